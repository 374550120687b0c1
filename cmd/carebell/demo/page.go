package demo

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("demo").Parse(pageHTML))

// page lists every message as its customer saw it.
type page struct {
	inbox   *inbox
	planned func() map[string]*care.Occurrence
	now     func() time.Time
}

type row struct {
	N        int
	At       string
	Customer string
	Program  string
	Channel  care.Channel
	Subject  string
}

func (p *page) list(w http.ResponseWriter, r *http.Request) {
	program, channel := r.URL.Query().Get("program"), r.URL.Query().Get("channel")
	planned := p.planned()
	view := struct {
		Rows               []row
		Programs           []string
		Channels           []care.Channel
		Program, Channel   string
		Now                string
		Total, First       int
		Emails, SMS, Hooks int
	}{Channels: care.Channels, Program: program, Channel: channel, Now: p.now().Format("2006-01-02 15:04"), First: -1}
	arrivals := p.inbox.all()
	for i, a := range arrivals {
		row := row{N: i, At: a.At.Format("01-02 15:04"), Channel: a.Channel, Subject: a.Subject}
		if o := planned[a.ID]; o != nil { // on the customer's own clock
			row.Customer, row.Program, row.At = o.Customer, o.Program, a.At.In(o.Release.Location()).Format("01-02 15:04")
		}
		if row.Subject == "" {
			row.Subject = a.Text
		}
		switch a.Channel {
		case care.Email:
			view.Emails++
		case care.SMS:
			view.SMS++
		default:
			view.Hooks++
		}
		if !slices.Contains(view.Programs, row.Program) {
			view.Programs = append(view.Programs, row.Program)
		}
		if program != "" && row.Program != program || channel != "" && string(row.Channel) != channel {
			continue
		}
		if view.First < 0 || a.Channel == care.Email && arrivals[view.First].Channel != care.Email {
			view.First = i // a mail to begin with, if there is one
		}
		view.Rows = append(view.Rows, row)
	}
	view.Total = len(arrivals)
	slices.Sort(view.Programs)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = pages.ExecuteTemplate(w, "list", view)
}

// message shows one: a mail's own HTML, a text message as a bubble, a webhook's body.
func (p *page) message(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	arrivals := p.inbox.all()
	if err != nil || n < 0 || n >= len(arrivals) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The list shows it in a frame: a mail's own styles, nothing from elsewhere.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	if a := arrivals[n]; a.HTML != "" {
		_, _ = w.Write([]byte(a.HTML))
		return
	}
	_ = pages.ExecuteTemplate(w, "bubble", arrivals[n])
}
