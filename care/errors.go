package care

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a failed attempt means for the message, the address and the channel. The channel classifies the provider's
// answer, delivery acts on the kind.
type Kind string

// The kinds. An error of no kind counts as KindRetry: a provider's new code must not lose a message.
const (
	KindRetry     Kind = "retry"     // a passing fault: try again later
	KindRecipient Kind = "recipient" // the address is dead: suppress it, try the next channel
	KindContent   Kind = "content"   // this message will never be taken: try the next channel
	KindOperator  Kind = "operator"  // nothing will be taken until a person acts: pause the channel, alert
	KindOptedOut  Kind = "opted_out" // the provider knows the customer refused: record it
	KindDefer     Kind = "defer"     // not now (the provider's quiet hours): try again at RetryAfter
	KindUncertain Kind = "uncertain" // it may have been taken: nobody knows
)

// Error is a failed attempt. Its text names no address, no secret and no part of the message.
type Error struct {
	Kind       Kind
	Code       string        // the provider's code or the protocol's status, e.g. "550 5.1.1"
	RetryAfter time.Duration // what the provider asked for; 0 if it did not
	Tries      int           // requests or dialogues made, when it was not one
	Reached    bool          // one of the earlier tries may have been taken, whatever the last one was told
	Err        error         // the cause; may be nil
}

// Error returns "kind code: cause".
func (e *Error) Error() string {
	s := string(e.Kind)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", s, e.Err)
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first Error in err's chain, KindRetry for any other error and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != "" {
		return e.Kind
	}
	return KindRetry
}

// Severity tells a fault that stops a book from a warning.
type Severity string

// The severities of a Problem.
const (
	Fault   Severity = "error"
	Warning Severity = "warning"
)

// Problem is something wrong in a care book, in words for the marketer who wrote it.
type Problem struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`           // a stable name, e.g. "unknown-field"
	File     string   `json:"file"`           // path below the book's folder, with slashes
	Line     int      `json:"line,omitempty"` // from 1; 0 = the whole file
	Column   int      `json:"column,omitempty"`
	Message  string   `json:"message"`           // what is wrong
	Remedy   string   `json:"remedy,omitempty"`  // what to write instead
	Excerpt  string   `json:"excerpt,omitempty"` // the line with a caret, several lines
}

// Error returns file:line:column: message; remedy.
func (p Problem) Error() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			s += fmt.Sprintf(":%d", p.Column)
		}
	}
	if s != "" {
		s += ": "
	}
	if p.Severity == Warning {
		s += "warning: "
	}
	s += p.Message
	if p.Remedy != "" {
		s += "; " + p.Remedy
	}
	return s
}

// Faults reports whether any of the problems is a Fault.
func Faults(problems []Problem) bool {
	for _, p := range problems {
		if p.Severity != Warning {
			return true
		}
	}
	return false
}
