package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/carebell/carebell/care"
)

// Scope is what a pause is about; the zero Scope is everything.
type Scope struct {
	Program, Dealer string
	Channel         care.Channel
}

// Name returns the scope as it is kept: all, program:NAME, dealer:NAME or channel:NAME. It fails if more than one is given.
func (s Scope) Name() (string, error) {
	given := 0
	name := "all"
	for _, part := range [][2]string{{"program", s.Program}, {"dealer", s.Dealer}, {"channel", string(s.Channel)}} {
		if part[1] != "" {
			given++
			name = part[0] + ":" + part[1]
		}
	}
	if given > 1 {
		return "", errors.New("pause one thing at a time: a program, a dealer or a channel")
	}
	return name, nil
}

// Brake reports whether the scope names a brake: a dealer's program.
func (s Scope) Brake() bool { return s.Program != "" && s.Dealer != "" && s.Channel == "" }

// Pause stops a scope: what is due waits until Resume, unless it expires. A principal who is bound to dealers pauses those only.
func (s *Service) Pause(ctx context.Context, who care.Principal, scope Scope) error {
	name, err := s.stopName(who, scope)
	if err != nil {
		return err
	}
	return s.Store.Pause(ctx, name)
}

// Resume lets a scope go on. That of a dealer's program releases its brake.
func (s *Service) Resume(ctx context.Context, who care.Principal, scope Scope) error {
	if scope.Brake() {
		if !who.Sees(scope.Dealer) {
			return noDealer(scope.Dealer)
		}
		return s.Store.ReleaseBrake(ctx, scope.Dealer, scope.Program)
	}
	name, err := s.stopName(who, scope)
	if err != nil {
		return err
	}
	return s.Store.Resume(ctx, name)
}

// AcceptRestored is the operator's word after Redis was restored from a snapshot: the state is to be gone on with as it is. It is about
// everything, so nobody who is bound to dealers may say it.
func (s *Service) AcceptRestored(ctx context.Context, who care.Principal) error {
	if !who.All() {
		return ErrOtherDealers
	}
	_, stopped, err := s.Store.Accepted(ctx)
	if err != nil {
		return err
	}
	if !stopped {
		return errors.New("no replica has found Redis restored: there is nothing to accept")
	}
	return s.Store.AcceptRestored(ctx)
}

// stopName checks a scope and returns its name. It refuses a name that the book does not have: a pause with a typing mistake would stop
// nothing.
func (s *Service) stopName(who care.Principal, scope Scope) (string, error) {
	name, err := scope.Name()
	if err != nil {
		return "", err
	}
	if !who.All() {
		if scope.Dealer == "" {
			return "", ErrOtherDealers
		}
		if !who.Sees(scope.Dealer) {
			return "", noDealer(scope.Dealer)
		}
	}
	if scope.Program == "" && scope.Dealer == "" {
		return name, nil
	}
	book, err := s.Book()
	if err != nil {
		return "", err
	}
	if scope.Dealer != "" && book.Book.Dealer(scope.Dealer) == nil {
		return "", noDealer(scope.Dealer)
	}
	return name, book.FindProgram(scope.Program)
}

func noDealer(name string) error { return fmt.Errorf("the book has no dealer %q", name) }
