package templates

import (
	"errors"
	"fmt"
	"sync"

	"github.com/carebell/carebell/care"
)

// Limits of one template (design B). Work is counted instead of timed, so that a template that passes today passes on a slow day:
// a mail of the default book takes some 1,000 units, and the dearest unit costs less than 100 ns: the budget ends below 50 ms.
const (
	maxSource = 64 << 10
	maxOutput = 256 << 10
	maxWork   = 200_000
)

// Codes of the errors of Render.
const (
	codeMissing  = "missing_variable"
	codeTooLarge = "too_large"
	codeTooSlow  = "too_slow"
	codeRender   = "render"
)

type loop struct {
	item          value
	index, length int
}

// state is one rendering. States are pooled; nothing of one message may stay in it.
type state struct {
	draft     *care.Draft
	env       *environment
	lang      language
	today     care.Date
	subject   string
	preheader string

	out    []byte
	urlAt  int
	loops  []loop
	args   []value // of the filters being applied
	depth  int
	budget int
	err    error
	// Preview asks which branches were taken and takes others; both are nil in the daemon.
	seen   func(d *decision, branch int)
	forced map[position]int
}

var states = sync.Pool{New: func() any { return &state{out: make([]byte, 0, 16<<10)} }}

func (s *state) reset() {
	clear(s.loops[:cap(s.loops)])
	clear(s.args[:cap(s.args)])
	*s = state{out: s.out[:0], loops: s.loops[:0], args: s.args[:0]}
}

func (s *state) work(n int) {
	if s.budget -= n; s.budget < 0 && s.err == nil {
		s.fail(codeTooSlow, "the template works longer than a message may take; are loops nested?")
	}
}

func (s *state) fail(code, format string, args ...any) signal {
	if s.err == nil {
		s.err = &care.Error{Kind: care.KindContent, Code: code, Err: fmt.Errorf(format, args...)}
	}
	return failed
}

func (s *state) saw(d *decision, branch int) {
	if s.seen != nil {
		s.seen(d, branch)
	}
}

// take runs the branch that preview asked for.
func (s *state) take(d *decision, branch int, body []node) signal {
	s.saw(d, branch)
	return s.run(body)
}

func (s *state) run(nodes []node) signal {
	for _, n := range nodes {
		if sig := n.run(s); sig != done {
			return sig
		}
		if s.err != nil {
			return failed
		}
	}
	return done
}

func (s *state) write(text string) signal {
	if len(s.out)+len(text) > maxOutput {
		return s.fail(codeTooLarge, "the message is larger than %d KiB", maxOutput>>10)
	}
	s.out = append(s.out, text...)
	return done
}

// render runs the program and returns what it wrote, valid until the state is used again.
func (s *state) render(p *program) ([]byte, error) {
	s.out = s.out[:0]
	s.run(p.nodes)
	return s.out, s.err
}

// inner runs a program of its own in the middle of another, for a default that has tags in it.
func (s *state) inner(p *program) string {
	from := len(s.out)
	s.run(p.nodes)
	text := string(s.out[from:])
	s.out = s.out[:from]
	if e, ok := errors.AsType[*care.Error](s.err); ok && e.Code == codeMissing {
		s.err = nil // then the default is missing too, and the variable is named
		return ""
	}
	return text
}

// emit writes a value, escaped for the place it stands in.
func (s *state) emit(v value, where place, of expression) signal {
	if where == inJSON {
		s.out = v.appendJSON(s.out)
		return s.write("")
	}
	shown := v.text
	if v.kind != text {
		shown = v.String()
	}
	if v.kind == list {
		shown = s.joined(v.list, s.lang.comma())
	}
	if len(s.out)+len(shown) > maxOutput {
		return s.fail(codeTooLarge, "the message is larger than %d KiB", maxOutput>>10)
	}
	s.work(len(shown) / 16)
	switch where {
	case inText, inLine:
		s.out = append(s.out, cleaned(shown, false)...)
	case inHTML, inAttribute:
		s.out = appendHTML(s.out, cleaned(shown, false))
	case inURL:
		out, ok := appendURL(s.out, s.urlAt, cleaned(shown, false))
		if !ok {
			return s.fail(codeRender, "%s is no address for a link: it must begin with https://, http://, mailto: or tel:", describe(of))
		}
		s.out = out
	case inJSONString:
		s.out = appendJSONString(s.out, cleaned(shown, true))
	}
	return s.write("")
}
