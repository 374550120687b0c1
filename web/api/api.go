// Package api serves /api/v1 of the private listener to programs, as JSON: status, messages, a customer's timeline, tasks.
//
// What it promises: what openapi.json says, which a test holds against the routes; an error comes as {"error": "…"}; whatever is shown
// or changed is asked for in the name of who asks (web/auth).
package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web/auth"
	"github.com/carebell/carebell/web/httpx"
)

// Service is what the API shows and does, in the name of a principal (operate.Console).
type Service interface {
	Status(ctx context.Context, who care.Principal) (*operate.Status, error)
	Messages(ctx context.Context, who care.Principal, f operate.MessageFilter) ([]care.Record, error)
	// Customer returns one customer; the error is care.ErrGone if there is none.
	Customer(ctx context.Context, who care.Principal, id string) (*operate.CustomerFile, error)
	Tasks(ctx context.Context, who care.Principal, f operate.TaskFilter) (*operate.TaskList, error)
	// TaskDone ticks a task off; false = there is none of that key (any more).
	TaskDone(ctx context.Context, who care.Principal, key string) (bool, error)
}

// API is the JSON API.
type API struct {
	service Service
	log     *slog.Logger
}

// New returns the API over a service.
func New(service Service, log *slog.Logger) *API { return &API{service: service, log: log} }

// Routes lists everything that the API answers to.
func (a *API) Routes() []httpx.Route {
	return []httpx.Route{
		{Pattern: "GET /api/v1/status", Handler: a.status},
		{Pattern: "GET /api/v1/messages", Handler: a.messages},
		{Pattern: "GET /api/v1/customers/{id}/timeline", Handler: a.timeline},
		{Pattern: "GET /api/v1/tasks", Handler: a.tasks},
		{Pattern: "POST /api/v1/tasks/done", Handler: a.tickOff},
		{Pattern: "GET /api/v1/openapi.json", Handler: a.document},
	}
}

// rowsGiven is how many rows a list has unless it is asked for more or fewer.
const rowsGiven = 100

// openapi describes the API; a test holds it against the routes.
//
//go:embed openapi.json
var openapi []byte

func (a *API) document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openapi)
}

func (a *API) status(w http.ResponseWriter, r *http.Request) {
	status, err := a.service.Status(r.Context(), auth.Of(r))
	a.answer(w, status, err)
}

func (a *API) messages(w http.ResponseWriter, r *http.Request) {
	f, err := operate.ParseMessageFilter(r.URL.Query(), rowsGiven)
	if err != nil {
		httpx.Plain(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	messages, err := a.service.Messages(r.Context(), auth.Of(r), f)
	if messages == nil {
		messages = []care.Record{}
	}
	a.answer(w, map[string]any{"messages": messages}, err)
}

// planned is a line of `carebell plan --format jsonl`.
type planned struct {
	ID       string       `json:"id"`
	Vehicle  string       `json:"vehicle,omitempty"`
	Program  string       `json:"program"`
	Step     string       `json:"step"`
	Cycle    string       `json:"cycle"`
	On       care.Date    `json:"on"`
	Release  time.Time    `json:"release"`
	Channel  care.Channel `json:"channel,omitempty"`
	Verdict  care.Verdict `json:"verdict"`
	Reason   string       `json:"reason,omitempty"`
	Customer string       `json:"customer"`
}

func (a *API) timeline(w http.ResponseWriter, r *http.Request) {
	file, err := a.service.Customer(r.Context(), auth.Of(r), r.PathValue("id"))
	if err != nil {
		a.answer(w, nil, err)
		return
	}
	out := struct {
		Timeline []care.EventEntry `json:"timeline"`
		Due      []planned         `json:"due"`
	}{Timeline: file.Timeline, Due: []planned{}}
	if out.Timeline == nil {
		out.Timeline = []care.EventEntry{}
	}
	for _, o := range file.Due {
		out.Due = append(out.Due, planned{
			ID: o.ID, Customer: o.Customer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, On: o.On, Release: o.Release,
			Channel: o.Channel, Verdict: o.Verdict, Reason: o.Reason,
		})
	}
	a.answer(w, out, nil)
}

// answer answers with data, or says in the same form what is wrong.
func (a *API) answer(w http.ResponseWriter, data any, err error) {
	status := http.StatusOK
	switch {
	case errors.Is(err, care.ErrGone):
		status, data = http.StatusNotFound, map[string]string{"error": "there is no such customer"}
	case err != nil:
		a.log.Error("the API cannot read its data", slog.Any("error", err))
		status, data = http.StatusServiceUnavailable, map[string]string{"error": "Redis does not answer; carebell doctor says more"}
	}
	httpx.JSON(w, a.log, status, data)
}

func (a *API) tasks(w http.ResponseWriter, r *http.Request) {
	f, err := operate.ParseTaskFilter(r.URL.Query(), rowsGiven)
	if err != nil {
		httpx.Plain(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	list, err := a.service.Tasks(r.Context(), auth.Of(r), f)
	if err == nil && list.Tasks == nil {
		list.Tasks = []operate.Task{}
	}
	a.answer(w, list, err)
}

func (a *API) tickOff(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Key string `json:"key"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, httpx.MaxForm)).Decode(&asked); err != nil || !operate.ValidTaskKey(asked.Key) {
		httpx.JSON(w, a.log, http.StatusBadRequest, map[string]string{"error": `write {"key": "…"} with the key of a task`})
		return
	}
	done, err := a.service.TaskDone(r.Context(), auth.Of(r), asked.Key)
	if err == nil && !done {
		httpx.JSON(w, a.log, http.StatusNotFound, map[string]string{"error": "there is no such task, or it was ticked off before"})
		return
	}
	a.answer(w, map[string]bool{"done": done}, err)
}
