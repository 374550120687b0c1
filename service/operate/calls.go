package operate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// wrongNumber is the outcome after which the customer's number gets no texts either.
const wrongNumber = "wrong_number"

// callStates are the outcomes of a call with what becomes of its message.
var callStates = map[string]care.State{
	"reached": care.StateDelivered, "appointment": care.StateDelivered, "declined": care.StateDelivered,
	"not_reached": care.StateUndelivered, wrongNumber: care.StateUndelivered,
}

// CallOutcomes are what can come of a call.
var CallOutcomes = []string{"reached", "not_reached", "appointment", "declined", wrongNumber}

// Calls lists the calls that are due, the newest first, of the dealers that the principal sees.
func (s *Service) Calls(ctx context.Context, who care.Principal) ([]store.Task, error) {
	all, _, err := s.Store.Tasks(ctx, "", math.MaxInt)
	return slices.DeleteFunc(all, func(t store.Task) bool { return t.Reason != store.TaskCall || !who.Sees(t.Dealer) }), err
}

// CloseCall closes a call with what came of it, one of CallOutcomes: its message is delivered or undelivered, and the task is off the list.
// It returns false if there is no such call (any more) that the principal sees.
func (s *Service) CloseCall(ctx context.Context, who care.Principal, key, outcome string) (bool, error) {
	state, known := callStates[outcome]
	if !known {
		return false, fmt.Errorf("%q is no outcome of a call: write %s", outcome, strings.Join(CallOutcomes, ", "))
	}
	calls, err := s.Calls(ctx, who)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(calls, func(t store.Task) bool { return t.Key == key })
	if i < 0 {
		return false, nil
	}
	call := &calls[i]
	if outcome == wrongNumber {
		if err := s.suppressNumber(ctx, call.Customer); err != nil {
			return false, err
		}
	}
	// The message first: its outcome takes the call off the list, whatever happens then.
	receipt := care.Receipt{ID: call.ID, Channel: care.Task, Gateway: string(care.Task), State: state, Code: outcome, At: s.Now()}
	if err := s.Store.Receipts(ctx, []care.Receipt{receipt}); err != nil {
		return false, err
	}
	_, err = s.Store.CloseTask(ctx, key, outcome, who.Name)
	return true, err
}

// suppressNumber keeps texts from a number that is somebody else's.
func (s *Service) suppressNumber(ctx context.Context, customer string) error {
	book, err := s.Book()
	if err != nil {
		return err
	}
	facts, err := s.Store.Customers(ctx, []string{customer})
	if err != nil || facts[0].Customer == nil {
		return err
	}
	dealer := book.Planner.Dealer(facts[0].Customer)
	if dealer == nil {
		return nil
	}
	number, ok := carebook.Address(care.SMS, facts[0].Customer, dealer)
	if !ok {
		return nil
	}
	dead := care.Suppression{Channel: care.SMS, Hash: book.HashAddress(number), Reason: wrongNumber, At: s.Now()}
	return s.Store.UpdateOverlay(ctx, customer, func(o *care.Overlay) error {
		o.Suppressed = append(slices.DeleteFunc(o.Suppressed, func(old care.Suppression) bool { return old.Channel == dead.Channel && old.Hash == dead.Hash }), dead)
		return nil
	})
}
