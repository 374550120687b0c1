package liquid

import (
	"errors"
	"fmt"
	"sync"
)

// Codes of Error.
const (
	CodeMissing  = "missing_variable"
	CodeTooLarge = "too_large"
	CodeTooSlow  = "too_slow"
	CodeRender   = "render" // anything else: a link that is none, a calculation without a result
)

// Error says why a template cannot be rendered. It names variables and never what they hold.
type Error struct{ Code, Message string }

// Error implements error.
func (e *Error) Error() string { return e.Message }

type loop struct {
	item          Value
	index, length int
}

// State is the rendering of one message, of one or several templates that share the limits. States are pooled: nothing of one message
// stays for the next.
type State struct {
	// Data is what the variables and filters of the language read.
	Data any
	// Separator stands between the items of a list that is shown as a whole.
	Separator string
	// Seen is told of each branch that is taken; nil = nobody asks.
	Seen func(c Choice)
	// Forced are branches to take whatever their conditions say, by the position of their blocks.
	Forced map[Position]int

	out    []byte
	urlAt  int
	loops  []loop
	args   []Value // of the filters being applied
	depth  int
	budget int
	err    error
}

var states = sync.Pool{New: func() any { return &State{out: make([]byte, 0, 16<<10)} }}

// NewState begins the rendering of a message. Release ends it.
func NewState(data any) *State {
	s, _ := states.Get().(*State)
	s.Data, s.Separator, s.budget = data, ", ", MaxWork
	return s
}

// Release gives the state back. Neither it nor what Render returned may be used afterwards.
func (s *State) Release() {
	clear(s.loops[:cap(s.loops)])
	clear(s.args[:cap(s.args)])
	*s = State{out: s.out[:0], loops: s.loops[:0], args: s.args[:0]}
	states.Put(s)
}

// Render returns what the template writes, valid until the state is used again. The error is an *Error; after one the state renders
// nothing more.
func (s *State) Render(t *Template) ([]byte, error) {
	s.out = s.out[:0]
	s.run(t.nodes)
	return s.out, s.err
}

// Work counts what a filter or variable does, in units of some 100 ns.
func (s *State) Work(n int) {
	if s.budget -= n; s.budget < 0 && s.err == nil {
		s.Fail(CodeTooSlow, "the template works longer than a message may take; are loops nested?")
	}
}

// Fail ends the rendering with an error, unless there is one already.
func (s *State) Fail(code, format string, args ...any) {
	if s.err == nil {
		s.err = &Error{Code: code, Message: fmt.Sprintf(format, args...)}
	}
}

// fail is Fail for a node.
func (s *State) fail(code, format string, args ...any) signal {
	s.Fail(code, format, args...)
	return failed
}

func (s *State) saw(at Position, branch int) {
	if s.Seen != nil {
		s.Seen(Choice{at, branch})
	}
}

// take runs the branch that was asked for.
func (s *State) take(at Position, branch int, body []node) signal {
	s.saw(at, branch)
	return s.run(body)
}

func (s *State) run(nodes []node) signal {
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

func (s *State) write(text string) signal {
	if len(s.out)+len(text) > MaxOutput {
		return s.fail(CodeTooLarge, "the message is larger than %d KiB", MaxOutput>>10)
	}
	s.out = append(s.out, text...)
	return done
}

// inner runs a program of its own in the middle of another, for a default that has tags in it.
func (s *State) inner(t *Template) string {
	from := len(s.out)
	s.run(t.nodes)
	text := string(s.out[from:])
	s.out = s.out[:from]
	if e, ok := errors.AsType[*Error](s.err); ok && e.Code == CodeMissing {
		s.err = nil // then the default is missing too, and the variable is named
		return ""
	}
	return text
}

// emit writes a value, escaped for its context.
func (s *State) emit(v Value, context EscapeContext, of expression) signal {
	if context == InJSON {
		s.out = v.appendJSON(s.out)
		return s.write("")
	}
	shown := v.text
	if v.kind != KindText {
		shown = v.String()
	}
	if v.kind == KindList {
		shown = s.joined(v.list, s.Separator)
	}
	if len(s.out)+len(shown) > MaxOutput {
		return s.fail(CodeTooLarge, "the message is larger than %d KiB", MaxOutput>>10)
	}
	s.Work(len(shown) / 16)
	switch context {
	case InText, InLine:
		s.out = append(s.out, Clean(shown, false)...)
	case InHTML, InAttribute:
		s.out = appendHTML(s.out, Clean(shown, false))
	case InURL:
		out, ok := appendURL(s.out, s.urlAt, Clean(shown, false))
		if !ok {
			return s.fail(CodeRender, "%s is no address for a link: it must begin with https://, http://, mailto: or tel:", describe(of))
		}
		s.out = out
	case InJSONString:
		s.out = appendJSONString(s.out, Clean(shown, true))
	}
	return s.write("")
}
