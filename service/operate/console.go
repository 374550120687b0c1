package operate

import (
	"context"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Console answers the console and the API of a running daemon. It reads what the daemon has; nothing is opened anew.
type Console struct {
	Store    *store.Store
	Book     func() *carebook.Compiled
	Operator func(ctx context.Context) (*care.Operator, error) // what is stopped, as delivery sees it
	Now      func() time.Time

	Version string // of the program
	DryRun  bool
	// Leader names the replica that leads the sweep, "" if it is not known; leading tells whether it is this one.
	Leader func() (name string, leading bool)
}

// ahead is how far the console plans for one customer.
const ahead = 366 * 24 * time.Hour

// MostRows is the most that one question returns.
const MostRows = 1000

// Status tells how the daemon is. What is counted is everybody's; the dealers are those that the principal sees.
func (c *Console) Status(ctx context.Context, who care.Principal) (*Status, error) {
	book := c.Book()
	out := &Status{
		Version: c.Version, At: c.Now(), Book: book.Book.Version, BookLoaded: book.Loaded, DryRun: c.DryRun, Dealers: dealers(book, who),
	}
	out.Leader, out.Leading = c.Leader()
	for _, p := range book.Book.Programs {
		out.Programs = append(out.Programs, p.Program)
	}
	slices.Sort(out.Programs)
	depths, err := c.Store.Depth(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range depths {
		out.Lanes = append(out.Lanes, LaneStatus{Lane: q.Lane.String(), Due: q.Due, Later: q.Later, Claimed: q.Claimed})
	}
	if out.Uncertain, err = c.Store.Uncertain(ctx); err != nil {
		return nil, err
	}
	if out.Failed, err = c.Store.Failed(ctx); err != nil {
		return nil, err
	}
	if _, out.Tasks, err = c.tasks(ctx, who, TaskFilter{}); err != nil {
		return nil, err
	}
	op, err := c.Operator(ctx)
	if err != nil {
		return nil, err
	}
	out.Paused, out.Brakes = StoppedScopes(op)
	return out, nil
}

// dealers are those of the book that a principal sees.
func dealers(book *carebook.Compiled, who care.Principal) []string {
	var out []string
	for _, d := range book.Book.Dealers {
		if who.Sees(d.Dealer) {
			out = append(out, d.Dealer)
		}
	}
	return out
}

// StoppedScopes names what operators have stopped, in a fixed order.
func StoppedScopes(op *care.Operator) (paused, brakes []string) {
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
func (c *Console) Messages(ctx context.Context, who care.Principal, f MessageFilter) ([]care.Record, error) {
	if f.Dealer != "" {
		if !who.Sees(f.Dealer) {
			return nil, nil
		}
		if !who.All() {
			who.Dealers = []string{f.Dealer}
		}
	}
	return (&Service{Store: c.Store}).messages(ctx, who, store.Filter{
		State: f.State, Program: f.Program, Channel: f.Channel, Customer: f.Customer, Dealer: f.Dealer, Limit: f.Limit,
	})
}

// Customer returns one customer with what was said and what is ahead; the error is care.ErrGone if there is none, or none that the
// principal sees.
func (c *Console) Customer(ctx context.Context, who care.Principal, id string) (*CustomerFile, error) {
	if !care.ValidID(id) {
		return nil, care.ErrGone
	}
	facts, err := c.Store.Facts(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	f, book := facts[0], c.Book()
	switch {
	case f.Err != nil:
		return nil, f.Err
	case !book.Visible(who, f.Customer):
		return nil, care.ErrGone
	}
	timeline, err := c.Store.Timeline(ctx, id)
	if err != nil {
		return nil, err
	}
	op, err := c.Operator(ctx)
	if err != nil {
		return nil, err
	}
	now := c.Now()
	return &CustomerFile{
		Customer: f.Customer, Defects: append(f.Defects, book.Planner.Defects(f)...), Overlay: f.Overlay, Timeline: timeline,
		Due:      book.Planner.Plan(f, scheduler.Request{From: now, To: now.Add(ahead), Now: now, Operator: op}),
		Location: book.Planner.Location(f.Customer),
	}, nil
}

// tasks returns the open tasks of the dealers that the principal sees, the newest first, and how many there are.
func (c *Console) tasks(ctx context.Context, who care.Principal, f TaskFilter) (tasks []store.Task, open int, err error) {
	dealers := slices.Clone(who.Dealers)
	switch {
	case f.Dealer != "":
		dealers = []string{f.Dealer}
	case who.All():
		dealers = []string{""} // all of them at once
	}
	slices.Sort(dealers)
	for _, dealer := range slices.Compact(dealers) {
		if !who.All() && (dealer == "" || !who.Sees(dealer)) {
			continue
		}
		some, n, err := c.Store.Tasks(ctx, dealer, f.Limit)
		if err != nil {
			return nil, 0, err
		}
		tasks, open = append(tasks, some...), open+n
	}
	if len(who.Dealers) > 1 {
		slices.SortStableFunc(tasks, func(a, b store.Task) int { return b.At.Compare(a.At) })
	}
	return tasks[:min(len(tasks), max(f.Limit, 0))], open, nil
}

// Tasks returns what people have to do, the newest first, with the names of those who look after the customers.
func (c *Console) Tasks(ctx context.Context, who care.Principal, f TaskFilter) (*TaskList, error) {
	book := c.Book()
	out := &TaskList{At: c.Now(), Dealers: dealers(book, who)}
	tasks, open, err := c.tasks(ctx, who, f)
	if err != nil {
		return nil, err
	}
	out.Open = open
	advisors, err := c.advisors(ctx, book, tasks)
	if err != nil {
		return nil, err
	}
	for i := range tasks {
		t := &tasks[i]
		out.Tasks = append(out.Tasks, Task{
			Key: t.Key, At: t.At, ID: t.ID, Customer: t.Customer, Dealer: t.Dealer, Advisor: advisors[t.Customer], Vehicle: t.Vehicle,
			Program: t.Program, Step: t.Step, Channel: t.Channel, Reason: t.Reason,
			Script: t.Script, NoNumber: t.Reason == store.TaskCall && t.Value != "",
			Location: book.Planner.Location(&care.Customer{Dealer: t.Dealer}),
		})
	}
	return out, nil
}

// advisors returns the names of those who look after the customers of tasks, by customer.
func (c *Console) advisors(ctx context.Context, book *carebook.Compiled, tasks []store.Task) (map[string]string, error) {
	customers := make([]string, 0, len(tasks))
	for i := range tasks {
		customers = append(customers, tasks[i].Customer)
	}
	slices.Sort(customers)
	facts, err := c.Store.Customers(ctx, slices.Compact(customers))
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(facts))
	for _, known := range facts {
		if known.Customer == nil {
			continue
		}
		if dealer := book.Planner.Dealer(known.Customer); dealer != nil {
			if a := dealer.AdvisorFor(known.Customer.Advisor); a != nil {
				names[known.Customer.ID] = a.Name.In(dealer.Locale)
			}
		}
	}
	return names, nil
}

// CloseCall closes a call with what came of it, one of CallOutcomes; false = there is none of that key (any more) that the principal sees.
func (c *Console) CloseCall(ctx context.Context, who care.Principal, key, outcome string) (bool, error) {
	s := Service{Store: c.Store, Book: func() (*carebook.Compiled, error) { return c.Book(), nil }, Now: c.Now}
	return s.CloseCall(ctx, who, key, outcome)
}

// TaskDone ticks a task off; false = there is none of that key (any more), or none that the principal sees.
func (c *Console) TaskDone(ctx context.Context, who care.Principal, key string) (bool, error) {
	if !who.All() {
		_, open, err := c.tasks(ctx, who, TaskFilter{})
		if err != nil {
			return false, err
		}
		tasks, _, err := c.tasks(ctx, who, TaskFilter{Limit: open})
		if err != nil || !slices.ContainsFunc(tasks, func(t store.Task) bool { return t.Key == key }) {
			return false, err
		}
	}
	return c.Store.TaskDone(ctx, key)
}
