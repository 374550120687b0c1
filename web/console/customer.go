package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web/auth"
	"github.com/carebell/carebell/web/page"
)

type customerView struct {
	page.View
	ID   string
	File *operate.CustomerFile
	Due  []*care.Occurrence // what will go
	Not  []*care.Occurrence // what will not, and why
	Stop []string           // opt-outs in force
	Hold []care.Hold
}

// customer shows one customer: what went and what became of it, what is ahead, and why the rest is not.
func (c *Console) customer(w http.ResponseWriter, r *http.Request) {
	t, id := c.set.Accepted(r), r.PathValue("id")
	file, err := c.service.Customer(r.Context(), auth.Of(r), id)
	switch {
	case errors.Is(err, care.ErrGone):
		t.Write(w, c.log, http.StatusNotFound, "note", page.View{Title: t.T("console.nobody"), Lead: id, Tone: "warn"})
		return
	case err != nil:
		c.broken(w, t, err)
		return
	}
	shown := customerView{View: page.View{Title: id, Wide: true}, ID: id, File: file}
	for _, o := range file.Due {
		if o.Verdict == care.Send {
			shown.Due = append(shown.Due, o)
		} else {
			shown.Not = append(shown.Not, o)
		}
	}
	if o := file.Overlay; o != nil {
		for scope := range o.Stops {
			if feedback.Stopped(o, scope) {
				shown.Stop = append(shown.Stop, scope)
			}
		}
		slices.Sort(shown.Stop)
		shown.Hold = append(shown.Hold, o.Holds...)
	}
	if file.Customer != nil {
		shown.Hold = append(shown.Hold, file.Customer.Holds...)
	}
	shown.localise()
	t.Write(w, c.log, http.StatusOK, "customer", shown)
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

// customerURL is the address of a customer's page.
func customerURL(id string) string { return "/customers/" + url.PathEscape(id) }
