package feedback

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
)

// Service takes feedback. All its methods may be called at the same time.
type Service struct {
	Overlays Overlays
	// Addresses keeps what is known of addresses, whoever has them; nil = nothing is kept.
	Addresses Addresses
	Facts     Facts  // nil = nothing is known of a customer
	Events    Events // nil = nobody is told
	Receipts  Receipts
	People    People // nil = nothing is learned from receipts and replies
	// Reports reads a mail that came back (ReadReport).
	Reports func(raw []byte) ([]care.Receipt, error)
	// Message reads a message's record, to know the gateway that it went by; nil = every gateway is believed.
	Message func(ctx context.Context, id string) (care.Record, error)
	// Unread counts a returned mail that teaches nothing, and reports whether it is the first of its kind for an hour; nil = not counted.
	Unread func(ctx context.Context, why string) (first bool, err error)
	// Hash returns the keyed hash of an address that a provider names, "" if it is none. Without it a report counts for the customer's
	// present address, whichever it was about.
	Hash func(ch care.Channel, address string) string
	Now  func() time.Time
	Log  *slog.Logger
}

// Subject is whom and what feedback is about: a customer, the message that they answer, and what is known of both.
type Subject struct {
	Customer   string
	Occurrence string       // the message; "" = none
	Channel    care.Channel // by which it went; "" = not known
	Facts      CustomerFacts
	Gone       bool // there is no such customer any more
	Known      bool // the facts say more than locale and dealer
	Now        time.Time
}

// Subject finds what is known of a customer and a message. It returns one in any case: with an error nothing is known of the
// customer, which is enough for an opt-out.
func (s *Service) Subject(ctx context.Context, customer, occurrence string, ch care.Channel) (*Subject, error) {
	about := &Subject{Customer: customer, Occurrence: occurrence, Channel: ch, Now: s.Now()}
	if s.Facts == nil {
		return about, nil
	}
	facts, err := s.Facts.Lookup(ctx, customer, occurrence)
	switch {
	case errors.Is(err, care.ErrGone):
		about.Facts, about.Gone = facts, true
		return about, nil
	case err != nil:
		return about, err
	}
	about.Facts, about.Known = facts, true
	return about, nil
}

// today is the date where the customer is.
func (about *Subject) today() care.Date { return about.Facts.Today(about.Now) }

// entry begins what is told of the subject.
func (about *Subject) entry(kind, value string) care.EventEntry {
	e := care.EventEntry{
		At: about.Now, ID: about.Occurrence, Customer: about.Customer, Dealer: about.Facts.DealerID, Program: about.Facts.Program,
		Step: about.Facts.Step, Channel: about.Channel, Kind: kind, Value: value,
	}
	if about.Facts.Vehicle != nil {
		e.Vehicle = about.Facts.Vehicle.ID
	}
	return e
}

// task begins a task for whoever looks after the customer.
func (about *Subject) task(reason, value string) care.EventEntry {
	e := about.entry(KindTask, value)
	e.Reason = reason
	return e
}

func (s *Service) tell(ctx context.Context, entries ...care.EventEntry) error {
	if s.Events == nil {
		return nil
	}
	for _, e := range entries {
		if err := s.Events.Add(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// decide keeps what a customer decided about messages and then tells of it. The decision counts even if telling fails. The subject
// knows of it afterwards.
func (s *Service) decide(ctx context.Context, about *Subject, change func(*care.Overlay) error, entries ...care.EventEntry) error {
	var now care.Overlay
	err := s.Overlays.UpdateOverlay(ctx, about.Customer, func(o *care.Overlay) error {
		if err := change(o); err != nil {
			return err
		}
		now = *o
		return nil
	})
	if err != nil {
		return err
	}
	about.Facts.Overlay = &now
	if s.Facts != nil && about.Known { // with what is known of the addresses
		if facts, err := s.Facts.Lookup(ctx, about.Customer, about.Occurrence); err == nil {
			about.Facts.Overlay = facts.Overlay
		}
	}
	if err := s.tell(ctx, entries...); err != nil {
		s.Log.Error("a decision is on record, but nobody was told", slog.String("customer", about.Customer), slog.Any("error", err))
	}
	return nil
}

// carry has the customer's addresses on these channels carry a decision: it holds for whoever has them.
func (s *Service) carry(ctx context.Context, about *Subject, channels []care.Channel, change func(*care.AddressState)) error {
	for _, ch := range channels {
		if err := s.change(ctx, about.Facts.AddressHash[ch], change); err != nil {
			return err
		}
	}
	return nil
}

// change changes what is known of an address; one that is not known is left out.
func (s *Service) change(ctx context.Context, hash string, change func(*care.AddressState)) error {
	if s.Addresses == nil || hash == "" {
		return nil
	}
	return s.Addresses.UpdateAddress(ctx, hash, change)
}

// answer tells what a customer answered and then keeps it: a complaint must reach a person, if need be twice.
func (s *Service) answer(ctx context.Context, about *Subject, change func(*care.Overlay) error, entries ...care.EventEntry) error {
	if err := s.tell(ctx, entries...); err != nil {
		return err
	}
	return s.Overlays.UpdateOverlay(ctx, about.Customer, change)
}
