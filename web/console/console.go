// Package console serves the people's pages of the private listener: how the daemon is and the last messages, one customer, the
// advisors' tasks.
//
// What it promises: GET and HEAD change nothing; pages need no script and no cookie; whatever is shown or changed is asked for in the
// name of who asks (web/auth), so that nobody sees another dealer's customers. It decides nothing: service/operate does.
package console

import (
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
)

//go:embed pages
var files embed.FS

// Service is what the console shows and does, in the name of a principal (operate.Console).
type Service interface {
	Status(ctx context.Context, who care.Principal) (*operate.Status, error)
	// Messages returns the messages that a filter selects, the last changed first.
	Messages(ctx context.Context, who care.Principal, f operate.MessageFilter) ([]care.Record, error)
	// Customer returns one customer; the error is care.ErrGone if there is none.
	Customer(ctx context.Context, who care.Principal, id string) (*operate.CustomerFile, error)
	// Tasks returns what people have to do, the newest first.
	Tasks(ctx context.Context, who care.Principal, f operate.TaskFilter) (*operate.TaskList, error)
	// TaskDone ticks a task off; false = there is none of that key (any more).
	TaskDone(ctx context.Context, who care.Principal, key string) (bool, error)
}

// Console are the people's pages.
type Console struct {
	service Service
	set     *page.Set
	log     *slog.Logger
}

// New returns the pages over a service.
func New(service Service, log *slog.Logger) *Console {
	return &Console{service: service, log: log, set: page.New(files, "pages/*.html", functions)}
}

// functions are what the pages' templates call.
func functions(l *page.Locale) template.FuncMap {
	return template.FuncMap{
		"moment": moment, "tone": tone, "customerURL": customerURL, "since": l.Span, "lane": func(name string) string { return lane(l, name) },
		"state": func(s care.State) string { return l.Word("state", string(s)) },
		"shown": func(s care.State, reason string) string { return l.Word("state", care.Shown(s, reason)) },
		"kind":  func(kind string) string { return l.Word("kind", kind) },
		"task":  func(reason string) string { return l.Word("task", reason) },
	}
}

// Routes lists everything that the console answers to.
func (c *Console) Routes() []httpx.Route {
	return []httpx.Route{
		{Pattern: "GET /{$}", Handler: c.start},
		{Pattern: "GET /console", Handler: c.start}, // also where a page of the same name took the start
		{Pattern: "GET /customers/{id}", Handler: c.customer},
		{Pattern: "GET /tasks", Handler: c.tasks},
		{Pattern: "POST /tasks/done", Handler: c.tickOff},
	}
}

// moment writes an instant, in UTC unless it carries a zone of its own.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format("2006-01-02 15:04")
}

// lane writes the name of a lane in words.
func lane(t *page.Locale, name string) string {
	for _, l := range care.Lanes {
		switch {
		case l.String() != name:
		case l.Urgent:
			return t.T("lane.urgent", "channel", t.Channel(l.Channel))
		default:
			return t.T("lane.rest", "channel", t.Channel(l.Channel))
		}
	}
	return name
}

// rowsShown is how many rows a list has unless it is asked for more.
const rowsShown = 50

func (c *Console) broken(w http.ResponseWriter, t *page.Locale, err error) {
	c.log.Error("the console cannot read its data", slog.Any("error", err))
	t.Write(w, c.log, http.StatusServiceUnavailable, "note", page.View{
		Title: t.T("console.broken.title"), Tone: "warn",
		Lead: t.T("console.broken.lead"),
	})
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
