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
	Gateway    bool          // RetryAfter is meant for everything that goes through the gateway
	Local      bool          // it was found here: no provider was asked
	Said       string        // the provider's own words, short and without addresses; "" = none
	Err        error         // the cause; may be nil
}

// Error returns "kind code: cause: the provider's words".
func (e *Error) Error() string {
	s := string(e.Kind)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Err != nil {
		s += fmt.Sprintf(": %v", e.Err)
	}
	if e.Said != "" {
		s += fmt.Sprintf(": %q", e.Said)
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
