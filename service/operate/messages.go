package operate

import (
	"cmp"
	"context"
	"errors"
	"slices"

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

// Messages calls each for the selected messages, the last changed first.
func (s *Service) Messages(ctx context.Context, who care.Principal, opt MessagesOptions, each func(care.Record) error) error {
	filter := store.Filter{State: opt.State, Customer: opt.Customer, Program: opt.Program, Limit: opt.Limit}
	records, err := s.messages(ctx, who, filter)
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

// messages selects those of the principal's dealers. Each dealer is asked for as many as are wanted, so that the limit holds for the
// principal's own messages.
func (s *Service) messages(ctx context.Context, who care.Principal, filter store.Filter) ([]care.Record, error) {
	if who.All() {
		return s.Store.Messages(ctx, filter)
	}
	var out []care.Record
	for _, dealer := range who.Dealers {
		if !who.Sees(dealer) || dealer == "" {
			continue
		}
		filter.Dealer = dealer
		some, err := s.Store.Messages(ctx, filter)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b care.Record) int { return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp.Compare(a.ID, b.ID)) })
	out = slices.CompactFunc(out, func(a, b care.Record) bool { return a.ID == b.ID })
	if filter.Limit > 0 {
		out = out[:min(len(out), filter.Limit)]
	}
	return out, nil
}

// Decision is what an operator says about messages.
type Decision string

// The decisions.
const (
	DecideRetry  Decision = "retry"
	DecideReopen Decision = "reopen" // retry, those that have expired too
	DecideDrop   Decision = "drop"
	DecideSent   Decision = "sent"
	DecideFailed Decision = "failed"
	DecideResend Decision = "resend"
)

// Decide carries a decision out and tells for each id whether it was refused, and why ("" = done). A message of another dealer's customer
// is refused like one that does not exist.
func (s *Service) Decide(ctx context.Context, who care.Principal, d Decision, ids []string, each func(id, why string)) error {
	refused, err := s.foreign(ctx, who, ids)
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return refused[id] != nil })
	results := []error{}
	if len(own) > 0 {
		switch d {
		case DecideRetry:
			results, err = s.Store.Retry(ctx, own)
		case DecideReopen:
			results, err = s.Store.Reopen(ctx, own)
		case DecideDrop:
			results, err = s.Store.Drop(ctx, own)
		default:
			results, err = s.Store.Resolve(ctx, own, string(d))
		}
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		why := refused[id]
		if why == nil {
			why, results = results[0], results[1:]
		}
		if why != nil {
			each(id, why.Error())
		} else {
			each(id, "")
		}
	}
	return nil
}

// foreign finds the messages that the principal may not see, each with the answer for one that does not exist.
func (s *Service) foreign(ctx context.Context, who care.Principal, ids []string) (map[string]error, error) {
	if who.All() {
		return nil, nil
	}
	out := map[string]error{}
	for _, id := range ids {
		rec, err := s.Store.Message(ctx, id)
		switch {
		case errors.Is(err, store.ErrNoMessage), err == nil && !who.Sees(rec.Dealer):
			out[id] = store.ErrNoMessage
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}
