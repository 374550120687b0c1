package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/console"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/store"
)

// desk is what the console shows.
type desk struct{ d *Daemon }

var _ console.Desk = desk{}

// ahead is how far the console plans for one customer.
const ahead = 366 * 24 * time.Hour

// Status tells how the daemon is.
func (k desk) Status(ctx context.Context) (*console.Status, error) {
	d := k.d
	checked := d.book.Load()
	out := &console.Status{
		Version: d.env.Version, At: d.env.Now(), Book: checked.Book.Version, BookLoaded: checked.loaded, DryRun: d.env.Settings.DryRun,
		Leading: d.leads.Load(),
	}
	if out.Leading {
		out.Leader = d.holder
	}
	for _, dealer := range checked.Book.Dealers {
		out.Dealers = append(out.Dealers, dealer.Dealer)
	}
	for _, p := range checked.Book.Programs {
		out.Programs = append(out.Programs, p.Program)
	}
	slices.Sort(out.Programs)
	depths, err := d.store.Depth(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range depths {
		out.Lanes = append(out.Lanes, console.LaneStatus{Lane: q.Lane.String(), Due: q.Due, Later: q.Later, Claimed: q.Claimed})
	}
	if out.Uncertain, err = d.store.Uncertain(ctx); err != nil {
		return nil, err
	}
	if out.Failed, err = d.store.Failed(ctx); err != nil {
		return nil, err
	}
	if _, out.Tasks, err = d.store.Tasks(ctx, "", 0); err != nil {
		return nil, err
	}
	op, err := d.stops.Operator(ctx)
	if err != nil {
		return nil, err
	}
	out.Paused, out.Brakes = scopes(op)
	return out, nil
}

// scopes names what operators have stopped, in a fixed order.
func scopes(op *care.Operator) (paused, brakes []string) {
	if op.All {
		paused = append(paused, "all")
	}
	var named []string
	for name, on := range op.Programs {
		if on {
			named = append(named, "program:"+name)
		}
	}
	for name, on := range op.Dealers {
		if on {
			named = append(named, "dealer:"+name)
		}
	}
	for ch, on := range op.Channels {
		if on {
			named = append(named, "channel:"+string(ch))
		}
	}
	slices.Sort(named)
	for name, on := range op.Brakes {
		if on {
			brakes = append(brakes, name)
		}
	}
	slices.Sort(brakes)
	return append(paused, named...), brakes
}

// Messages returns the messages that a filter selects, the last changed first.
func (k desk) Messages(ctx context.Context, f console.MessageFilter) ([]care.Record, error) {
	return k.d.store.Messages(ctx, store.Filter{
		State: f.State, Program: f.Program, Channel: f.Channel, Customer: f.Customer, Dealer: f.Dealer, Limit: f.Limit,
	})
}

// Customer returns one customer with what was said and what is ahead.
func (k desk) Customer(ctx context.Context, id string) (*console.CustomerFile, error) {
	d := k.d
	f, err := factsOf(ctx, d.store, id)
	if errors.Is(err, errNoCustomer) || !care.ValidID(id) {
		return nil, care.ErrGone
	}
	if err != nil {
		return nil, err
	}
	timeline, err := d.store.Timeline(ctx, id)
	if err != nil {
		return nil, err
	}
	checked := d.book.Load()
	op, err := d.stops.Operator(ctx)
	if err != nil {
		return nil, err
	}
	now := d.env.Now()
	return &console.CustomerFile{
		Customer: f.Customer, Defects: append(f.Defects, checked.Planner.Defects(f)...), Overlay: f.Overlay, Timeline: timeline,
		Due:      checked.Planner.Plan(f, scheduler.Request{From: now, To: now.Add(ahead), Now: now, Operator: op}),
		Location: checked.Planner.Location(f.Customer),
	}, nil
}

// Tasks returns what people have to do, with the names of those who look after the customers.
func (k desk) Tasks(ctx context.Context, f console.TaskFilter) (*console.TaskList, error) {
	d := k.d
	checked := d.book.Load()
	out := &console.TaskList{At: d.env.Now()}
	for _, dealer := range checked.Book.Dealers {
		out.Dealers = append(out.Dealers, dealer.Dealer)
	}
	tasks, open, err := d.store.Tasks(ctx, f.Dealer, f.Limit)
	if err != nil {
		return nil, err
	}
	out.Open = open
	customers := make([]string, 0, len(tasks))
	for i := range tasks {
		customers = append(customers, tasks[i].Customer)
	}
	slices.Sort(customers)
	facts, err := d.store.Customers(ctx, slices.Compact(customers))
	if err != nil {
		return nil, err
	}
	advisors := make(map[string]string, len(facts))
	for _, known := range facts {
		if known.Customer == nil {
			continue
		}
		if dealer := checked.Planner.Dealer(known.Customer); dealer != nil {
			if a := dealer.AdvisorFor(known.Customer.Advisor); a != nil {
				advisors[known.Customer.ID] = a.Name
			}
		}
	}
	for i := range tasks {
		t := &tasks[i]
		out.Tasks = append(out.Tasks, console.Task{
			Key: t.Key, At: t.At, ID: t.ID, Customer: t.Customer, Dealer: t.Dealer, Advisor: advisors[t.Customer], Vehicle: t.Vehicle,
			Program: t.Program, Step: t.Step, Channel: t.Channel, Reason: t.Reason,
			Location: checked.Planner.Location(&care.Customer{Dealer: t.Dealer}),
		})
	}
	return out, nil
}

// TaskDone ticks a task off.
func (k desk) TaskDone(ctx context.Context, key string) (bool, error) {
	return k.d.store.TaskDone(ctx, key)
}
