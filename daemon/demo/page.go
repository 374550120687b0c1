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
		if o := planned[a.ID]; o != nil {
			row.Customer, row.Program = o.Customer, o.Program
		}
		if row.Subject == "" {
			row.Subject = short(a.Text, 60)
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
		if view.First < 0 {
			view.First = i
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
	if a := arrivals[n]; a.HTML != "" {
		_, _ = w.Write([]byte(a.HTML))
		return
	}
	_ = pages.ExecuteTemplate(w, "bubble", arrivals[n])
}

func short(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
