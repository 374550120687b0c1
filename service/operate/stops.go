package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store"
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

// Pause stops a scope: what is due waits until Resume, unless it expires. A principal who is bound to dealers pauses those only. It reports
// whether that is new: the first pause of a scope stays on record.
func (s *Service) Pause(ctx context.Context, who care.Principal, scope Scope, reason string) (bool, error) {
	name, err := s.stopName(who, scope)
	if err != nil {
		return false, err
	}
	fresh, err := s.Store.Pause(ctx, name, who.Name, reason)
	if err != nil || !fresh {
		return false, err
	}
	return true, s.tell(ctx, who, care.KindPause, name, reason)
}

// Resume lets a scope go on. That of a dealer's program releases its brake. It reports whether anything was stopped.
func (s *Service) Resume(ctx context.Context, who care.Principal, scope Scope) (bool, error) {
	if scope.Brake() {
		if !who.Sees(scope.Dealer) {
			return false, noDealer(scope.Dealer)
		}
		if err := s.Store.ReleaseBrake(ctx, scope.Dealer, scope.Program); err != nil {
			return false, err
		}
		return true, s.tell(ctx, who, care.KindResume, brakeScope+scope.Dealer+"/"+scope.Program, "")
	}
	name, err := s.stopName(who, scope)
	if err != nil {
		return false, err
	}
	was, err := s.Store.Resume(ctx, name)
	if err != nil || !was {
		return false, err
	}
	return true, s.tell(ctx, who, care.KindResume, name, "")
}

const (
	brakeScope    = "brake:"
	restoredScope = "restored"
)

// Stopped lists what is stopped that the principal may let go on. A Redis that was restored is none of it: AcceptRestored is about that.
func (s *Service) Stopped(ctx context.Context, who care.Principal) ([]store.Stop, error) {
	all, err := s.Store.Stops(ctx)
	return slices.DeleteFunc(all, func(stop store.Stop) bool {
		scope, ok := scopeOf(stop.Scope)
		return !ok || !who.All() && (scope.Dealer == "" || !who.Sees(scope.Dealer))
	}), err
}

// ResumeAll lets everything go on that Stopped lists.
func (s *Service) ResumeAll(ctx context.Context, who care.Principal, stopped []store.Stop) error {
	for _, stop := range stopped {
		scope, _ := scopeOf(stop.Scope)
		if scope.Brake() || stop.Scope == "all" {
			if _, err := s.Resume(ctx, who, scope); err != nil {
				return err
			}
			continue
		}
		// The book may have lost the name since: its stop goes all the same.
		was, err := s.Store.Resume(ctx, stop.Scope)
		if err == nil && was {
			err = s.tell(ctx, who, care.KindResume, stop.Scope, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scopeOf reads a scope as it is kept; false = it is none that Resume lifts.
func scopeOf(name string) (Scope, bool) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "all":
		return Scope{}, true
	case "program":
		return Scope{Program: rest}, true
	case "dealer":
		return Scope{Dealer: rest}, true
	case "channel":
		return Scope{Channel: care.Channel(rest)}, true
	case "brake":
		dealer, program, _ := strings.Cut(rest, "/")
		return Scope{Dealer: dealer, Program: program}, true
	}
	return Scope{}, false
}

// tell writes into care:events what an operator did.
func (s *Service) tell(ctx context.Context, who care.Principal, kind, scope, reason string) error {
	return s.Store.Publish(ctx, []*care.EventEntry{{At: s.Now().UTC(), Kind: kind, Value: scope, Reason: reason, By: who.Name}})
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
	if err := s.Store.AcceptRestored(ctx); err != nil {
		return err
	}
	return s.tell(ctx, who, care.KindResume, restoredScope, "")
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
