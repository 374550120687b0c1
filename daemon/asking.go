package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/store"
)

const (
	askEvery  = 30 * time.Second    // between looks at what is uncertain
	askFirst  = time.Minute         // after the attempt: a receipt mostly comes by then
	askMost   = time.Hour           // the longest pause between two questions about one message
	askWorth  = 30 * 24 * time.Hour // providers forget what is older
	askAtOnce = 50                  // questions in one look
)

// inquirer asks SMS gateways what became of texts whose answer was lost, where a gateway can be asked. What it hears goes the way of a
// receipt. It runs on the leader; a question asked twice does no harm.
type inquirer struct {
	uncertain func(ctx context.Context) ([]care.Record, error)
	facts     func(ctx context.Context, ids []string) ([]*care.Facts, error)
	question  func(f *care.Facts, r *care.Record) (sms.Question, bool)
	ask       func(ctx context.Context, q sms.Question) (care.Receipt, error)
	take      func(ctx context.Context, receipts []care.Receipt) error
	leads     func() bool
	now       func() time.Time
	log       *slog.Logger
	turns     map[string]turn
}

// turn is when a message is asked about next.
type turn struct {
	at   time.Time
	wait time.Duration
}

func (i *inquirer) run(ctx context.Context) {
	for pauseFor(ctx, askEvery) {
		if !i.leads() {
			continue
		}
		if err := i.look(ctx); err != nil && ctx.Err() == nil {
			i.log.WarnContext(ctx, "what is uncertain could not be asked about; trying again", slog.Any("error", err))
		}
	}
}

// look asks about the messages whose turn it is.
func (i *inquirer) look(ctx context.Context) error {
	records, err := i.uncertain(ctx)
	if err != nil {
		return err
	}
	due := i.due(records)
	if len(due) == 0 {
		return nil
	}
	ids := make([]string, len(due))
	for j := range due {
		ids[j] = due[j].Customer
	}
	facts, err := i.facts(ctx, ids)
	if err != nil {
		return err
	}
	var heard []care.Receipt
	var failed error
	for j := range due {
		q, ok := i.question(facts[j], &due[j])
		if !ok {
			continue
		}
		rc, err := i.ask(ctx, q)
		switch {
		case err == nil:
			heard = append(heard, rc)
		case !errors.Is(err, sms.ErrUnknown):
			failed = err
		}
	}
	if len(heard) > 0 {
		if err := i.take(ctx, heard); err != nil {
			return err
		}
	}
	return failed
}

// due picks the messages whose turn it is, and says when theirs comes again.
func (i *inquirer) due(records []care.Record) []care.Record {
	now, turns := i.now(), make(map[string]turn, len(records))
	var out []care.Record
	for _, r := range records {
		if r.Channel != care.SMS || now.Sub(r.UpdatedAt) > askWorth {
			continue
		}
		t, known := i.turns[r.ID]
		if !known {
			t = turn{r.UpdatedAt.Add(askFirst), askFirst}
		}
		if !t.at.After(now) && len(out) < askAtOnce {
			out = append(out, r)
			t = turn{now.Add(t.wait), min(2*t.wait, askMost)}
		}
		turns[r.ID] = t
	}
	i.turns = turns // those that are settled are forgotten
	return out
}

// startAsking has the leader ask about uncertain texts.
func (d *Daemon) startAsking() {
	if d.channels.Load().sms == nil {
		return
	}
	i := &inquirer{
		uncertain: func(ctx context.Context) ([]care.Record, error) {
			return d.store.Messages(ctx, store.Filter{State: care.StateUncertain, Channel: care.SMS})
		},
		facts: d.store.Facts, question: d.question, ask: d.ask, take: d.public().TakeReceipts, leads: d.leads.Load, now: d.env.Now, log: d.log,
	}
	d.loop("status polling", i.run)
}

// ask asks within the channel's rate.
func (d *Daemon) ask(ctx context.Context, q sms.Question) (care.Receipt, error) {
	if err := d.engine.Wait(ctx, care.SMS); err != nil {
		return care.Receipt{}, err
	}
	return d.channels.Load().sms.Ask(ctx, q)
}

// question names an uncertain message as its gateway knows it. Without the customer's number there is none.
func (d *Daemon) question(f *care.Facts, r *care.Record) (sms.Question, bool) {
	if f.Customer == nil || len(r.Attempts) == 0 {
		return sms.Question{}, false
	}
	dealer := d.book.Load().Planner.Dealer(f.Customer)
	if dealer == nil {
		return sms.Question{}, false
	}
	to, ok := address(care.SMS, f.Customer, dealer)
	if d.env.Settings.RedirectPhone != "" {
		to, ok = d.env.Settings.RedirectPhone, true
	}
	last := r.Attempts[len(r.Attempts)-1]
	return sms.Question{ID: r.ID, Gateway: last.Gateway, To: to, Country: dealer.Country, Dealer: dealer.Dealer, At: last.At}, ok
}
