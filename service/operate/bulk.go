package operate

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/carebell/carebell/care"
)

// Selection is what a decision by filter would be about.
type Selection struct {
	IDs    []string
	Groups []Group // the largest first
}

// Group counts messages of one kind in a selection.
type Group struct {
	Program string       `json:"program"`
	Channel care.Channel `json:"channel"`
	State   care.State   `json:"state"`
	Reason  string       `json:"reason"`
	Count   int          `json:"count"`
}

// decidable are the states that a decision is about, without a state in the filter.
var decidable = map[Decision][]care.State{
	DecideRetry: {care.StateFailed}, DecideReopen: {care.StateFailed, care.StateExpired}, DecideDrop: {care.StateDue, care.StateRetry, care.StateFailed},
	DecideSent: {care.StateUncertain}, DecideFailed: {care.StateUncertain}, DecideResend: {care.StateUncertain},
}

// ErrNoFilter is returned for a decision about everything.
var ErrNoFilter = errors.New("name ids, or what they have in common: --state, --program, --dealer, --channel, --code or --reason")

// Select finds the messages that a decision may be about, within a filter that must not be empty.
func (s *Service) Select(ctx context.Context, who care.Principal, d Decision, opt MessagesOptions) (*Selection, error) {
	if opt == (MessagesOptions{}) {
		return nil, ErrNoFilter
	}
	states := decidable[d]
	if opt.State != "" {
		states = []care.State{opt.State}
	}
	out := &Selection{}
	groups := map[Group]int{}
	for _, state := range states {
		opt.State = state
		err := s.Messages(ctx, who, opt, func(r care.Record) error {
			out.IDs = append(out.IDs, r.ID)
			groups[Group{Program: r.Program, Channel: r.Channel, State: r.State, Reason: cmp.Or(lastCode(&r), r.Reason)}]++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for g := range maps.Keys(groups) {
		n := groups[g]
		g.Count = n
		out.Groups = append(out.Groups, g)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Program, b.Program), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason))
	})
	return out, nil
}

// lastCode is what a provider said last of a message.
func lastCode(r *care.Record) string {
	if n := len(r.Attempts); n > 0 {
		return r.Attempts[n-1].Code
	}
	return ""
}

// results carries a decision out on the principal's own messages.
func (s *Service) results(ctx context.Context, d Decision, ids []string) ([]error, error) {
	switch d {
	case DecideRetry:
		return s.Store.Retry(ctx, ids)
	case DecideReopen:
		return s.Store.Reopen(ctx, ids)
	case DecideDrop:
		return s.Store.Drop(ctx, ids)
	}
	return s.Store.Resolve(ctx, ids, string(d))
}
