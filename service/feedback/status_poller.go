package feedback

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

const (
	askEvery  = 30 * time.Second    // between looks at what is uncertain
	askFirst  = time.Minute         // after the attempt: a receipt mostly comes by then
	askMost   = time.Hour           // the longest pause between two questions about one message
	askFor    = 24 * time.Hour      // after that nobody will know better
	askWorth  = 30 * 24 * time.Hour // what is older than askFor is asked about once, after a start; providers forget what is older
	askAtOnce = 50                  // questions in one look
)

// StatusPoller asks SMS gateways what became of texts whose answer was lost, where a gateway can be asked. What it hears goes the way
// of a receipt. It works on the leader; a question asked twice does no harm.
type StatusPoller struct {
	StatusPollerConfig
	turns map[string]turn
}

// StatusPollerConfig is what a status poller works with.
type StatusPollerConfig struct {
	Messages func(ctx context.Context, f store.Filter) ([]care.Record, error)
	Facts    func(ctx context.Context, ids []string) ([]*care.Facts, error)
	// Question names a message as its gateway knows it; false = it cannot be asked about (Questions.Of).
	Question func(f *care.Facts, r *care.Record) (sms.Question, bool)
	// Ask asks a gateway, within its rate; the error is sms.ErrUnknown if it does not know either.
	Ask   func(ctx context.Context, q sms.Question) (care.Receipt, error)
	Take  func(ctx context.Context, receipts []care.Receipt) error
	Leads func() bool
	Now   func() time.Time
	Log   *slog.Logger
}

// NewStatusPoller returns a poller that does nothing until Run.
func NewStatusPoller(cfg StatusPollerConfig) *StatusPoller {
	return &StatusPoller{StatusPollerConfig: cfg}
}

// turn is when a message is asked about next.
type turn struct {
	at   time.Time
	wait time.Duration
}

// Run asks every so often, until ctx ends.
func (p *StatusPoller) Run(ctx context.Context) {
	for care.Sleep(ctx, askEvery) {
		if !p.Leads() {
			continue
		}
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "what is uncertain could not be asked about; trying again", slog.Any("error", err))
		}
	}
}

// look asks about the messages whose turn it is.
func (p *StatusPoller) look(ctx context.Context) error {
	records, err := p.Messages(ctx, store.Filter{State: care.StateUncertain, Channel: care.SMS})
	if err != nil {
		return err
	}
	due := p.due(records)
	if len(due) == 0 {
		return nil
	}
	ids := make([]string, len(due))
	for j := range due {
		ids[j] = due[j].Customer
	}
	facts, err := p.Facts(ctx, ids)
	if err != nil {
		return err
	}
	var heard []care.Receipt
	var failed error
	for j := range due {
		q, ok := p.Question(facts[j], &due[j])
		if !ok {
			continue
		}
		rc, err := p.Ask(ctx, q)
		switch {
		case err == nil:
			heard = append(heard, rc)
		case !errors.Is(err, sms.ErrUnknown):
			failed = err
		}
	}
	if len(heard) > 0 {
		if err := p.Take(ctx, heard); err != nil {
			return err
		}
	}
	return failed
}

// due picks the messages whose turn it is, and says when theirs comes again.
func (p *StatusPoller) due(records []care.Record) []care.Record {
	now, turns := p.Now(), make(map[string]turn, len(records))
	var out []care.Record
	for _, r := range records {
		if r.Channel != care.SMS || now.Sub(r.UpdatedAt) > askWorth {
			continue
		}
		t, known := p.turns[r.ID]
		if !known {
			t = turn{r.UpdatedAt.Add(askFirst), askFirst}
		}
		if over := known && now.Sub(r.UpdatedAt) > askFor; !over && !t.at.After(now) && len(out) < askAtOnce {
			out = append(out, r)
			t = turn{now.Add(t.wait), min(2*t.wait, askMost)}
		}
		turns[r.ID] = t
	}
	p.turns = turns // those whose outcome is known are forgotten
	return out
}

// Questions names uncertain messages as their gateways know them.
type Questions struct {
	Book     func() *carebook.Compiled
	Redirect Redirect
}

// Of returns the question about a message. Without the customer's number there is none.
func (q Questions) Of(f *care.Facts, r *care.Record) (sms.Question, bool) {
	if f.Customer == nil || len(r.Attempts) == 0 {
		return sms.Question{}, false
	}
	dealer := q.Book().Planner.Dealer(f.Customer)
	if dealer == nil {
		return sms.Question{}, false
	}
	to, ok := carebook.Address(care.SMS, f.Customer, dealer)
	if redirected := q.Redirect[care.SMS]; redirected != "" {
		to, ok = redirected, true
	}
	last := r.Attempts[len(r.Attempts)-1]
	return sms.Question{ID: r.ID, Gateway: last.Gateway, To: to, Country: dealer.Country, Dealer: dealer.Dealer, At: last.At, ProviderID: last.Provider}, ok
}
