package templates

// expression is one of the nodes below.
type expression interface{ eval(s *state) value }

type literal struct{ value value }

func (l literal) eval(*state) value { return l.value }

// variable is one of the catalogue.
type variable struct {
	path    string
	get     func(s *state) value
	instead *program // from the front matter's defaults
}

func (v *variable) eval(s *state) value {
	out := v.get(s)
	if out.kind != missing {
		if out.kind == list {
			s.work(len(out.list)) // it was made anew
		}
		return out
	}
	if v.instead != nil {
		if s.depth < maxDepth {
			s.depth++
			out = textValue(s.inner(v.instead))
			s.depth--
		}
		if out.kind != missing {
			return out
		}
	}
	return value{text: v.path}
}

// loopItem is the variable of a loop, counted from the outermost.
type loopItem struct {
	name string
	slot int
}

func (l loopItem) eval(s *state) value {
	out := s.loops[l.slot].item
	if out.kind == missing {
		out.text = l.name
	}
	return out
}

// loopField is forloop.index and its like.
type loopField struct {
	slot int
	name string
}

func (l loopField) eval(s *state) value {
	at := &s.loops[l.slot]
	switch l.name {
	case "index":
		return numberValue(float64(at.index + 1))
	case "index0":
		return numberValue(float64(at.index))
	case "rindex":
		return numberValue(float64(at.length - at.index))
	case "rindex0":
		return numberValue(float64(at.length - at.index - 1))
	case "length":
		return numberValue(float64(at.length))
	case "first":
		return boolValue(at.index == 0)
	default: // last
		return boolValue(at.index == at.length-1)
	}
}

var loopFields = []string{"first", "index", "index0", "last", "length", "rindex", "rindex0"}

type property struct {
	of   expression
	name string
}

func (p property) eval(s *state) value {
	of := p.of.eval(s)
	s.work(1 + len(of.text)/16)
	out := of.property(p.name)
	if out.kind == missing {
		out.text = of.text
		if of.kind != missing {
			out.text = describe(p)
		}
	}
	return out
}

type index struct{ of, at expression }

func (i index) eval(s *state) value {
	of, at := i.of.eval(s), i.at.eval(s)
	var out value
	if at.kind == number {
		out = of.index(int(at.num))
	} else if at.kind == text {
		out = of.property(at.text)
	}
	if out.kind == missing {
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
	filter *filter
	args   []expression
}

func (f *filtered) eval(s *state) value {
	in := f.in.eval(s)
	if in.kind == missing && !f.filter.takesMissing {
		return in
	}
	// The arguments lie on a stack of the state: what is handed to a function that is not known here would be allocated.
	base := len(s.args)
	for _, a := range f.args {
		v := a.eval(s)
		if v.kind == missing && !f.filter.takesMissing {
			s.args = s.args[:base]
			return v
		}
		s.args = append(s.args, v)
	}
	s.work(8 + len(in.text)/16 + len(in.list))
	out := f.filter.apply(s, in, s.args[base:])
	s.args = s.args[:base]
	if len(out.text) > maxOutput || len(out.list) > maxOutput {
		s.fail(codeTooLarge, "a filter made more than %d KiB", maxOutput>>10)
		return value{kind: text}
	}
	if out.kind == missing && out.text == "" {
		out.text = describe(f)
	}
	return out
}

type comparison struct {
	op   string
	a, b expression
}

func (c comparison) eval(s *state) value {
	a, b := c.a.eval(s), c.b.eval(s)
	s.work(2 + len(a.text)/64 + len(a.list))
	switch c.op {
	case "==":
		return boolValue(a.equal(b))
	case "!=", "<>":
		return boolValue(!a.equal(b))
	case "contains":
		s.work(len(a.text) / 16)
		return boolValue(a.contains(b))
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
	return boolValue(ok)
}

type logic struct {
	and  bool
	a, b expression
}

func (l logic) eval(s *state) value {
	if a := l.a.eval(s).truth(); a != l.and {
		return boolValue(a)
	}
	return boolValue(l.b.eval(s).truth())
}
