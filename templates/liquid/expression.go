package liquid

// expression is one of the nodes below.
type expression interface{ eval(s *State) Value }

type literal struct{ value Value }

func (l literal) eval(*State) Value { return l.value }

// variable is one of the catalogue.
type variable struct {
	path    string
	get     func(s *State) Value
	instead *Template // from the front matter's defaults
}

func (v *variable) eval(s *State) Value {
	out := v.get(s)
	if out.kind != KindMissing {
		if out.kind == KindList {
			s.Work(len(out.list)) // it was made anew
		}
		return out
	}
	if v.instead != nil {
		if s.depth < maxDepth {
			s.depth++
			out = Text(s.inner(v.instead))
			s.depth--
		}
		if out.kind != KindMissing {
			return out
		}
	}
	return Value{text: v.path}
}

// loopItem is the variable of a loop, counted from the outermost.
type loopItem struct {
	name string
	slot int
}

func (l loopItem) eval(s *State) Value {
	out := s.loops[l.slot].item
	if out.kind == KindMissing {
		out.text = l.name
	}
	return out
}

// loopField is forloop.index and its like.
type loopField struct {
	slot int
	name string
}

func (l loopField) eval(s *State) Value {
	at := &s.loops[l.slot]
	switch l.name {
	case "index":
		return Number(float64(at.index + 1))
	case "index0":
		return Number(float64(at.index))
	case "rindex":
		return Number(float64(at.length - at.index))
	case "rindex0":
		return Number(float64(at.length - at.index - 1))
	case "length":
		return Number(float64(at.length))
	case "first":
		return Bool(at.index == 0)
	default: // last
		return Bool(at.index == at.length-1)
	}
}

var loopFields = []string{"first", "index", "index0", "last", "length", "rindex", "rindex0"}

type property struct {
	of   expression
	name string
}

func (p property) eval(s *State) Value {
	of := p.of.eval(s)
	s.Work(1 + len(of.text)/16)
	out := of.property(p.name)
	if out.kind == KindMissing {
		out.text = of.text
		if of.kind != KindMissing {
			out.text = describe(p)
		}
	}
	return out
}

type index struct{ of, at expression }

func (i index) eval(s *State) Value {
	of, at := i.of.eval(s), i.at.eval(s)
	var out Value
	if at.kind == KindNumber {
		out = of.index(int(at.num))
	} else if at.kind == KindText {
		out = of.property(at.text)
	}
	if out.kind == KindMissing {
		out.text = describe(i)
	}
	return out
}

// describe names what an expression is about, for "… is missing".
func describe(e expression) string {
	switch e := e.(type) {
	case *variable:
		return e.path
	case loopItem:
		return e.name
	case property:
		return describe(e.of) + "." + e.name
	case index:
		return describe(e.of) + "[…]"
	case *filtered:
		return describe(e.in)
	}
	return ""
}

type filtered struct {
	in     expression
	filter *Filter
	args   []expression
}

func (f *filtered) eval(s *State) Value {
	in := f.in.eval(s)
	if in.kind == KindMissing && !f.filter.TakesMissing {
		return in
	}
	// The arguments lie on a stack of the state: what is handed to a function that is not known here would be allocated.
	base := len(s.args)
	for _, a := range f.args {
		v := a.eval(s)
		if v.kind == KindMissing && !f.filter.TakesMissing {
			s.args = s.args[:base]
			return v
		}
		s.args = append(s.args, v)
	}
	s.Work(8 + len(in.text)/16 + len(in.list))
	out := f.filter.Apply(s, in, s.args[base:])
	s.args = s.args[:base]
	if len(out.text) > MaxOutput || len(out.list) > MaxOutput {
		s.Fail(CodeTooLarge, "a filter made more than %d KiB", MaxOutput>>10)
		return Value{kind: KindText}
	}
	if out.kind == KindMissing && out.text == "" {
		out.text = describe(f)
	}
	return out
}

type comparison struct {
	op   string
	a, b expression
}

func (c comparison) eval(s *State) Value {
	a, b := c.a.eval(s), c.b.eval(s)
	s.Work(2 + len(a.text)/64 + len(a.list))
	switch c.op {
	case "==":
		return Bool(a.equal(b))
	case "!=", "<>":
		return Bool(!a.equal(b))
	case "contains":
		s.Work(len(a.text) / 16)
		return Bool(a.contains(b))
	}
	order, ok := a.compare(b)
	switch c.op {
	case "<":
		ok = ok && order < 0
	case "<=":
		ok = ok && order <= 0
	case ">":
		ok = ok && order > 0
	default:
		ok = ok && order >= 0
	}
	return Bool(ok)
}

type logic struct {
	and  bool
	a, b expression
}

func (l logic) eval(s *State) Value {
	if a := l.a.eval(s).truth(); a != l.and {
		return Bool(a)
	}
	return Bool(l.b.eval(s).truth())
}
