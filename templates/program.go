package templates

// place is what a value stands in, and so how it is escaped.
type place uint8

const (
	inText       place = iota // plain text of several lines: SMS, the plain-text twin
	inLine                    // a header or anything else of one line
	inHTML                    // text of an HTML document
	inAttribute               // a quoted attribute of it
	inURL                     // an attribute that is a URL
	inJSONString              // between the quotes of a JSON string
	inJSON                    // where a JSON value stands
)

// program is a compiled text: what is run per message.
type program struct {
	nodes []node
	uses  []use
}

// use is a variable in a program, for lint: guarded when an if, a default or an alternative catches its absence.
type use struct {
	path    string
	pos     position
	guarded bool
}

// signal says how a node ended.
type signal uint8

const (
	done signal = iota
	breakLoop
	continueLoop
	failed
)

type node interface{ run(s *state) signal }

type textNode string

func (n textNode) run(s *state) signal {
	s.work(1 + len(n)/256)
	return s.write(string(n))
}

// urlStart marks where the value of a URL attribute begins.
type urlStart struct{}

func (urlStart) run(s *state) signal {
	s.urlAt = len(s.out)
	return done
}

type outputNode struct {
	of    expression
	place place
}

func (n *outputNode) run(s *state) signal {
	s.work(4)
	v := n.of.eval(s)
	if s.err != nil {
		return failed
	}
	switch v.kind {
	case missing:
		name := v.text
		if name == "" {
			name = describe(n.of)
		}
		return s.fail(codeMissing, "%s has no value", name)
	case object:
		return s.fail(codeRender, "%s is no text: name one of its fields", describe(n.of))
	}
	return s.emit(v, n.place, n.of)
}

// decision is what preview needs to take a block's other branches: where the block stands and what it stands in.
type decision struct {
	at     position
	within []choice
}

// choice is one branch of a block; the number behind the last branch is none of them.
type choice struct {
	at     position
	branch int
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

func (n *ifNode) run(s *state) signal {
	if s.forced != nil {
		if k, ok := s.forced[n.at]; ok {
			if k >= len(n.branches) {
				return s.take(&n.decision, k, nil)
			}
			return s.take(&n.decision, k, n.branches[k].body)
		}
	}
	for i := range n.branches {
		b := &n.branches[i]
		s.work(2)
		if b.when == nil || b.when.eval(s).truth() != b.not {
			s.saw(&n.decision, i)
			return s.run(b.body)
		}
		if s.err != nil {
			return failed
		}
	}
	s.saw(&n.decision, len(n.branches))
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

func (n *caseNode) run(s *state) signal {
	if k, ok := s.forced[n.at]; ok {
		if k >= len(n.whens) {
			return s.take(&n.decision, k, nil)
		}
		return s.take(&n.decision, k, n.whens[k].body)
	}
	v := n.of.eval(s)
	for i := range n.whens {
		w := &n.whens[i]
		hit := len(w.values) == 0
		for _, e := range w.values {
			s.work(2 + len(v.text)/64 + len(v.list))
			hit = hit || v.equal(e.eval(s))
		}
		if s.err != nil {
			return failed
		}
		if hit {
			s.saw(&n.decision, i)
			return s.run(w.body)
		}
	}
	s.saw(&n.decision, len(n.whens))
	return done
}

type forNode struct {
	slot          int
	in            expression
	limit, offset expression
	reversed      bool
	body, or      []node
}

func (n *forNode) run(s *state) signal {
	items := n.in.eval(s).list
	if n.offset != nil {
		items = items[min(max(int(n.offset.eval(s).number()), 0), len(items)):]
	}
	if n.limit != nil {
		items = items[:min(max(int(n.limit.eval(s).number()), 0), len(items))]
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
		s.work(4)
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

func (n jumpNode) run(*state) signal { return signal(n) }
