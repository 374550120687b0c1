package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
)

// Desk is what the console shows.
type Desk interface {
	Status(ctx context.Context) (*Status, error)
	// Messages returns the messages that a filter selects, the last changed first.
	Messages(ctx context.Context, f MessageFilter) ([]care.Record, error)
	// Customer returns one customer; the error is care.ErrGone if there is none.
	Customer(ctx context.Context, id string) (*CustomerFile, error)
	// Tasks returns what people have to do, the newest first.
	Tasks(ctx context.Context, f TaskFilter) (*TaskList, error)
	// TaskDone ticks a task off; false = there is none of that key (any more).
	TaskDone(ctx context.Context, key string) (bool, error)
}

// Status is how the daemon is.
type Status struct {
	Version    string       `json:"version"`
	At         time.Time    `json:"at"`
	Book       string       `json:"book"` // its version
	BookLoaded time.Time    `json:"book_loaded"`
	Dealers    []string     `json:"dealers"`
	Programs   []string     `json:"programs"` // by name
	Lanes      []LaneStatus `json:"lanes"`
	Uncertain  int          `json:"uncertain"`
	Failed     int          `json:"failed"`
	Tasks      int          `json:"tasks"`  // for people, open
	Paused     []string     `json:"paused"` // scopes: all, program:x, dealer:x, channel:x
	Brakes     []string     `json:"brakes"` // dealer/program
	Leader     string       `json:"leader"` // "" = nobody leads the sweep
	Leading    bool         `json:"leading"`
	DryRun     bool         `json:"dry_run"`
}

// LaneStatus counts one lane of the queue.
type LaneStatus struct {
	Lane    string `json:"lane"` // care.Lane.String()
	Due     int    `json:"due"`  // released
	Later   int    `json:"later"`
	Claimed int    `json:"claimed"`
}

// MessageFilter selects messages; what is zero does not matter.
type MessageFilter struct {
	State    care.State
	Program  string
	Channel  care.Channel
	Customer string
	Dealer   string
	Limit    int
}

// CustomerFile is what the console shows of a customer.
type CustomerFile struct {
	Customer *care.Customer // nil if the record cannot be read
	Defects  []care.Defect
	Overlay  *care.Overlay
	Timeline []care.EventEntry  // the newest first
	Due      []*care.Occurrence // what the plan has ahead, with its verdicts, in order
	Location *time.Location     // in which times are shown
}

const (
	rowsShown = 50
	rowsMost  = 1000
)

type tile struct{ Label, Value, Note, Tone, Link string }

type startView struct {
	view
	Status   *Status
	Tiles    []tile
	Lanes    []LaneStatus
	Filter   MessageFilter
	States   []care.State
	Channels []care.Channel
	Messages []care.Record
	Path     string
}

// start shows how the daemon is and the last messages.
func (p *Private) start(w http.ResponseWriter, r *http.Request) {
	t := accepted(r)
	f, ok := p.filter(w, r, rowsShown)
	if !ok {
		return
	}
	status, err := p.Desk.Status(r.Context())
	if err != nil {
		p.broken(w, t, err)
		return
	}
	messages, err := p.Desk.Messages(r.Context(), f)
	if err != nil {
		p.broken(w, t, err)
		return
	}
	write(w, p.Log, t, http.StatusOK, "start", startView{
		view: view{Title: "carebell", Wide: true}, Status: status, Tiles: tiles(t, status), Lanes: status.Lanes, Filter: f,
		States: care.States, Channels: care.Channels, Messages: messages, Path: r.URL.Path,
	})
}

// tiles are the numbers at the top: what waits, what needs a person, what was stopped by one.
func tiles(t *locale, s *Status) []tile {
	due, later, claimed := 0, 0, 0
	for _, l := range s.Lanes {
		due, later, claimed = due+l.Due, later+l.Later, claimed+l.Claimed
	}
	warn := func(bad bool) string {
		if bad {
			return "warn"
		}
		return "ok"
	}
	out := []tile{
		{Label: t.T("console.tile.due"), Value: texts.Number(due), Note: t.T("console.tile.claimed", "count", claimed)},
		{Label: t.T("console.tile.later"), Value: texts.Number(later)},
		{Label: t.T("console.tile.uncertain"), Value: texts.Number(s.Uncertain), Note: t.T("console.tile.decide"), Tone: warn(s.Uncertain > 0)},
		{Label: t.T("console.tile.failed"), Value: texts.Number(s.Failed), Tone: warn(s.Failed > 0)},
		{Label: t.T("console.tile.tasks"), Value: texts.Number(s.Tasks), Note: t.T("console.tile.call_list"), Tone: warn(s.Tasks > 0), Link: tasksPath},
		{Label: t.T("console.tile.paused"), Value: strconv.Itoa(len(s.Paused)), Note: names(s.Paused), Tone: warn(len(s.Paused) > 0)},
		{Label: t.T("console.tile.brakes"), Value: strconv.Itoa(len(s.Brakes)), Note: names(s.Brakes), Tone: warn(len(s.Brakes) > 0)},
	}
	return out
}

// names writes the first few of a list.
func names(all []string) string {
	const shown = 3
	if len(all) > shown {
		return strings.Join(all[:shown], ", ") + " …"
	}
	return strings.Join(all, ", ")
}

// filter reads a filter from the query and answers itself if it cannot be read.
func (p *Private) filter(w http.ResponseWriter, r *http.Request, limit int) (MessageFilter, bool) {
	q := r.URL.Query()
	f := MessageFilter{
		State: care.State(q.Get("state")), Program: q.Get("program"), Channel: care.Channel(q.Get("channel")),
		Customer: q.Get("customer"), Dealer: q.Get("dealer"), Limit: limit,
	}
	wrong := ""
	switch n, err := strconv.Atoi(q.Get("limit")); {
	case f.State != "" && !slices.Contains(care.States, f.State):
		wrong = "state: there is no such state"
	case f.Channel != "" && !f.Channel.Known():
		wrong = "channel: write email, sms or webhook"
	case f.Customer != "" && !care.ValidID(f.Customer):
		wrong = "customer: that is no customer's id"
	case q.Get("limit") != "" && (err != nil || n < 1 || n > rowsMost):
		wrong = "limit: write a number from 1 to " + strconv.Itoa(rowsMost)
	case q.Get("limit") != "":
		f.Limit = n
	}
	if wrong != "" {
		plain(w, http.StatusBadRequest, wrong+"\n")
		return f, false
	}
	return f, true
}

func (p *Private) broken(w http.ResponseWriter, t *locale, err error) {
	p.Log.Error("the console cannot read its data", slog.Any("error", err))
	write(w, p.Log, t, http.StatusServiceUnavailable, "note", view{
		Title: t.T("console.broken.title"), Tone: "warn",
		Lead: t.T("console.broken.lead"),
	})
}

type customerView struct {
	view
	ID   string
	File *CustomerFile
	Due  []*care.Occurrence // what will go
	Not  []*care.Occurrence // what will not, and why
	Stop []string           // opt-outs in force
	Hold []care.Hold
}

// customer shows one customer: what went and what became of it, what is ahead, and why the rest is not.
func (p *Private) customer(w http.ResponseWriter, r *http.Request) {
	t, id := accepted(r), r.PathValue("id")
	file, err := p.file(r.Context(), id)
	switch {
	case errors.Is(err, care.ErrGone):
		write(w, p.Log, t, http.StatusNotFound, "note", view{Title: t.T("console.nobody"), Lead: id, Tone: "warn"})
		return
	case err != nil:
		p.broken(w, t, err)
		return
	}
	page := customerView{view: view{Title: id, Wide: true}, ID: id, File: file}
	for _, o := range file.Due {
		if o.Verdict == care.Send {
			page.Due = append(page.Due, o)
		} else {
			page.Not = append(page.Not, o)
		}
	}
	if o := file.Overlay; o != nil {
		for scope := range o.Stops {
			if stopped(o, scope) {
				page.Stop = append(page.Stop, scope)
			}
		}
		slices.Sort(page.Stop)
		page.Hold = append(page.Hold, o.Holds...)
	}
	if file.Customer != nil {
		page.Hold = append(page.Hold, file.Customer.Holds...)
	}
	page.localise()
	write(w, p.Log, t, http.StatusOK, "customer", page)
}

// localise shows times on the customer's clock.
func (c *customerView) localise() {
	loc := c.File.Location
	if loc == nil {
		loc = time.UTC
	}
	timeline := slices.Clone(c.File.Timeline)
	for i := range timeline {
		timeline[i].At = timeline[i].At.In(loc)
	}
	file := *c.File
	file.Timeline = timeline
	c.File = &file
	for _, list := range [][]*care.Occurrence{c.Due, c.Not} {
		for i, o := range list {
			shown := *o
			shown.Release = o.Release.In(loc)
			list[i] = &shown
		}
	}
}

// file reads a customer; what cannot be an id is nobody's.
func (p *Private) file(ctx context.Context, id string) (*CustomerFile, error) {
	if !care.ValidID(id) {
		return nil, care.ErrGone
	}
	return p.Desk.Customer(ctx, id)
}

// tone is the colour of a state.
func tone(s care.State) string {
	switch s {
	case care.StateSent, care.StateDelivered:
		return "good"
	case care.StateFailed, care.StateUndelivered, care.StateUncertain:
		return "bad"
	}
	return "calm"
}

// customerURL is the address of a customer's page.
func customerURL(id string) string { return "/customers/" + url.PathEscape(id) }
