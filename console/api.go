package console

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/carebell/carebell/care"
)

// openapi describes the API; a test holds it against the routes.
var openapi = mustRead("web/openapi.json")

func (p *Private) apiDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(openapi))
}

func (p *Private) apiStatus(w http.ResponseWriter, r *http.Request) {
	status, err := p.Desk.Status(r.Context())
	p.json(w, status, err)
}

func (p *Private) apiMessages(w http.ResponseWriter, r *http.Request) {
	f, ok := p.filter(w, r, 100)
	if !ok {
		return
	}
	messages, err := p.Desk.Messages(r.Context(), f)
	if messages == nil {
		messages = []care.Record{}
	}
	p.json(w, map[string]any{"messages": messages}, err)
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

func (p *Private) apiTimeline(w http.ResponseWriter, r *http.Request) {
	file, err := p.file(r.Context(), r.PathValue("id"))
	if err != nil {
		p.json(w, nil, err)
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
	p.json(w, out, nil)
}

// json answers with data, or says in the same form what is wrong.
func (p *Private) json(w http.ResponseWriter, data any, err error) {
	status := http.StatusOK
	switch {
	case errors.Is(err, care.ErrGone):
		status, data = http.StatusNotFound, map[string]string{"error": "there is no such customer"}
	case err != nil:
		p.Log.Error("the API cannot read its data", slog.Any("error", err))
		status, data = http.StatusServiceUnavailable, map[string]string{"error": "Redis does not answer; carebell doctor says more"}
	}
	p.answerJSON(w, status, data)
}
