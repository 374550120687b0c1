package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store"
)

// MessagesOptions select messages.
type MessagesOptions struct {
	State    care.State
	Customer string
	Program  string
	Limit    int
}

// Messages hands the selected messages to each, the last changed first.
func (e *Env) Messages(ctx context.Context, opt MessagesOptions, each func(care.Record) error) error {
	st, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	records, err := st.Messages(ctx, store.Filter{State: opt.State, Customer: opt.Customer, Program: opt.Program, Limit: opt.Limit})
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// Decision is what an operator says about messages.
type Decision string

// The decisions.
const (
	DecideRetry  Decision = "retry"
	DecideDrop   Decision = "drop"
	DecideSent   Decision = "sent"
	DecideFailed Decision = "failed"
	DecideResend Decision = "resend"
)

// Decide carries a decision out and tells for each id whether it was refused, and why ("" = done).
func (e *Env) Decide(ctx context.Context, d Decision, ids []string, each func(id, why string)) error {
	st, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	var results []error
	switch d {
	case DecideRetry:
		results, err = st.Retry(ctx, ids)
	case DecideDrop:
		results, err = st.Drop(ctx, ids)
	default:
		results, err = st.Resolve(ctx, ids, string(d))
	}
	if err != nil {
		return err
	}
	for i, id := range ids {
		why := ""
		if results[i] != nil {
			why = results[i].Error()
		}
		each(id, why)
	}
	return nil
}

// Scope is what a pause is about; the zero Scope is everything.
type Scope struct {
	Program, Dealer string
	Channel         care.Channel
}

func (s Scope) name() (string, error) {
	given := 0
	name := "all"
	for _, part := range [][2]string{{"program", s.Program}, {"dealer", s.Dealer}, {"channel", string(s.Channel)}} {
		if part[1] != "" {
			given++
			name = part[0] + ":" + part[1]
		}
	}
	if given > 1 {
		return "", fmt.Errorf("pause one thing at a time: a program, a dealer or a channel")
	}
	return name, nil
}

// Stop pauses or resumes a scope and says what now holds. Resuming a dealer's program lets its brake go.
func (e *Env) Stop(ctx context.Context, scope Scope, stop bool) (string, error) {
	st, err := e.open(ctx)
	if err != nil {
		return "", err
	}
	defer st.Close()
	if !stop && scope.Program != "" && scope.Dealer != "" && scope.Channel == "" {
		if err := st.ReleaseBrake(ctx, scope.Dealer, scope.Program); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s of dealer %s goes on: its brake is released", scope.Program, scope.Dealer), nil
	}
	name, err := scope.name()
	if err != nil {
		return "", err
	}
	if scope.Program != "" || scope.Dealer != "" {
		if err := e.known(scope); err != nil {
			return "", err
		}
	}
	if stop {
		return name + " is paused: what is due waits until carebell resume, unless it expires", st.Pause(ctx, name)
	}
	return name + " goes on", st.Resume(ctx, name)
}

// AcceptRestored is the operator's word after Redis was restored from a snapshot: the state is to be gone on with as it is.
func (e *Env) AcceptRestored(ctx context.Context) (string, error) {
	st, err := e.open(ctx)
	if err != nil {
		return "", err
	}
	defer st.Close()
	_, stopped, err := st.Accepted(ctx)
	if err != nil {
		return "", err
	}
	if !stopped {
		return "", errors.New("no replica has found Redis restored: there is nothing to accept")
	}
	return "the state in Redis is accepted as it is: every replica goes on within seconds", st.AcceptRestored(ctx)
}

// known refuses a name that the book does not have: a pause with a typing mistake would stop nothing.
func (e *Env) known(scope Scope) error {
	checked, err := e.check("")
	if err != nil {
		return err
	}
	if scope.Dealer != "" && checked.Book.Dealer(scope.Dealer) == nil {
		return fmt.Errorf("the book has no dealer %q", scope.Dealer)
	}
	return checked.FindProgram(scope.Program)
}
