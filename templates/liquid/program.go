package liquid

// EscapeContext is what a value stands in, and so how it is escaped.
type EscapeContext uint8

// Escape contexts.
const (
	InText       EscapeContext = iota // plain text of several lines
	InLine                            // a header or anything else of one line
	InHTML                            // text of an HTML document
	InAttribute                       // a quoted attribute of it
	InURL                             // an attribute that is a URL
	InJSONString                      // between the quotes of a JSON string
	InJSON                            // where a JSON value stands
)

// Template is a compiled text: what is run per message. It is never changed and serves any number of goroutines.
type Template struct {
	nodes []node
	// Uses are the variables that it names, in their order.
	Uses []Use
}

// Use is a variable that a template names. It is guarded when an if, a default or an alternative catches its absence.
type Use struct {
	Name    string
	At      Position
	Guarded bool
}

// signal says how a node ended.
type signal uint8

const (
	done signal = iota
	breakLoop
	continueLoop
	failed
)

type node interface{ run(s *State) signal }

type textNode string

func (n textNode) run(s *State) signal {
	s.Work(1 + len(n)/256)
	return s.write(string(n))
}

// urlStart marks where the value of a URL attribute begins.
type urlStart struct{}

func (urlStart) run(s *State) signal {
	s.urlAt = len(s.out)
	return done
}

type outputNode struct {
	of      expression
	context EscapeContext
}

func (n *outputNode) run(s *State) signal {
	s.Work(4)
	v := n.of.eval(s)
	if s.err != nil {
		return failed
	}
	switch v.kind {
	case KindMissing:
		name := v.text
		if name == "" {
			name = describe(n.of)
		}
		return s.fail(CodeMissing, "%s has no value", name)
	case KindObject:
		return s.fail(CodeRender, "%s is no text: name one of its fields", describe(n.of))
	}
	return s.emit(v, n.context, n.of)
}

// decision is where a block stands and what it stands in.
type decision struct {
	at     Position
	within []Choice
}

// Choice is one branch of a block; the number behind the last branch is none of them.
type Choice struct {
	At     Position // of the block
	Branch int
}

type branch struct {
	when expression // nil = always
	not  bool
	tag  string // as it is written
	body []node
}

type ifNode struct {
	decision
	branches []branch
}

func (n *ifNode) run(s *State) signal {
	if s.Forced != nil {
		if k, ok := s.Forced[n.at]; ok {
			if k >= len(n.branches) {
				return s.take(n.at, k, nil)
			}
			return s.take(n.at, k, n.branches[k].body)
		}
	}
	for i := range n.branches {
		b := &n.branches[i]
		s.Work(2)
		if b.when == nil || b.when.eval(s).truth() != b.not {
			s.saw(n.at, i)
			return s.run(b.body)
		}
		if s.err != nil {
			return failed
		}
	}
	s.saw(n.at, len(n.branches))
	return done
}

type caseNode struct {
	decision
	of    expression
	whens []when
}

type when struct {
	values []expression // none = else
	tag    string
	body   []node
}

func (n *caseNode) run(s *State) signal {
	if k, ok := s.Forced[n.at]; ok {
		if k >= len(n.whens) {
			return s.take(n.at, k, nil)
		}
		return s.take(n.at, k, n.whens[k].body)
	}
	v := n.of.eval(s)
	for i := range n.whens {
		w := &n.whens[i]
		hit := len(w.values) == 0
		for _, e := range w.values {
			s.Work(2 + len(v.text)/64 + len(v.list))
			hit = hit || v.equal(e.eval(s))
		}
		if s.err != nil {
			return failed
		}
		if hit {
			s.saw(n.at, i)
			return s.run(w.body)
		}
	}
	s.saw(n.at, len(n.whens))
	return done
}

type forNode struct {
	slot          int
	in            expression
	limit, offset expression
	reversed      bool
	body, or      []node
}

func (n *forNode) run(s *State) signal {
	items := n.in.eval(s).list
	if n.offset != nil {
		items = items[min(max(int(n.offset.eval(s).Number()), 0), len(items)):]
	}
	if n.limit != nil {
		items = items[:min(max(int(n.limit.eval(s).Number()), 0), len(items))]
	}
	if s.err != nil {
		return failed
	}
	if len(items) == 0 {
		return s.run(n.or)
	}
	if n.slot == len(s.loops) {
		s.loops = append(s.loops, loop{})
	}
	for i := range items {
		item := items[i]
		if n.reversed {
			item = items[len(items)-1-i]
		}
		s.loops[n.slot] = loop{item: item, index: i, length: len(items)}
		s.Work(4)
		switch s.run(n.body) {
		case failed:
			return failed
		case breakLoop:
			return done
		}
	}
	return done
}

type jumpNode signal

func (n jumpNode) run(*State) signal { return signal(n) }
