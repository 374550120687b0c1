package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
)

const mostGuests = 9

type rsvpView struct {
	view
	When, Place, Address string
	Calendar             string
	Open                 bool
	Coming, Declined     bool
	Guests               []int
	Bring                int
	Error                string
}

func (f *PageFacts) dealerZone() *time.Location {
	if f.DealerZone == nil {
		return time.UTC
	}
	return f.DealerZone
}

// closed says why an invitation takes no answer any more, "" if it does.
func (v *visit) closed() string {
	e := v.facts.Event
	today := care.DateOf(v.now.In(v.facts.dealerZone()))
	switch {
	case e.On.Before(today):
		return v.t.T("rsvp.over")
	case !e.RSVPUntil.IsZero() && e.RSVPUntil.Before(today):
		return v.t.T("rsvp.late", "date", v.t.Date(e.RSVPUntil))
	}
	return ""
}

// invited answers for an invitation that nobody can accept, because its event is gone or was called off.
func (p *Public) invited(w http.ResponseWriter, v *visit) bool {
	switch e := v.facts.Event; {
	case e == nil:
		p.note(w, v, http.StatusGone, v.view(v.t.T("rsvp.closed.title"), v.t.T("rsvp.closed.lead"), ""))
	case !e.Enabled:
		p.note(w, v, http.StatusOK, v.view(e.Title.In(v.facts.Locale), v.t.T("rsvp.cancelled"), "warn"))
	default:
		return true
	}
	return false
}

func (p *Public) showRSVP(w http.ResponseWriter, _ *http.Request, v *visit) {
	if p.invited(w, v) {
		p.rsvp(w, v, http.StatusOK, "")
	}
}

func (p *Public) takeRSVP(w http.ResponseWriter, r *http.Request, v *visit) {
	if !p.invited(w, v) {
		return
	}
	answer := r.PostForm.Get("answer")
	guests, err := strconv.Atoi(r.PostForm.Get("guests"))
	switch {
	case v.closed() != "":
		p.rsvp(w, v, http.StatusConflict, "")
		return
	case answer != "yes" && answer != "no":
		p.rsvp(w, v, http.StatusUnprocessableEntity, v.t.T("rsvp.missing"))
		return
	case answer == "no" || err != nil:
		guests = 0
	}
	guests = min(max(guests, 0), mostGuests)
	if err := p.keepRSVP(r.Context(), v, answer == "yes", guests); err != nil {
		p.failed(w, v, KindRSVP, err)
		return
	}
	o := *v.facts.overlay()
	setAnswer(&o, care.Answer{Kind: KindRSVP, About: v.facts.Event.Event, Value: answer, Text: "guests=" + strconv.Itoa(guests), At: v.now})
	v.facts.Overlay = &o
	p.rsvp(w, v, http.StatusOK, "")
}

func (p *Public) rsvp(w http.ResponseWriter, v *visit, status int, wrong string) {
	e, t := v.facts.Event, v.t
	why := v.closed()
	page := rsvpView{
		view: v.view(e.Title.In(v.facts.Locale), t.T("rsvp.lead"), ""),
		When: t.Date(e.On), Place: e.Place.In(v.facts.Locale), Address: e.Address.In(v.facts.Locale),
		Calendar: "/calendar/" + p.Signer.Sign(token.Token{
			Purpose: token.Calendar, Customer: v.token.Customer, Occurrence: v.token.Occurrence, Channel: v.token.Channel,
		}) + ".ics",
		Open: why == "", Error: wrong,
	}
	if e.StartsAt != "" {
		hours := e.StartsAt
		if e.EndsAt != "" {
			hours += "–" + e.EndsAt
		}
		page.When = t.T("rsvp.at", "date", page.When, "time", hours)
	}
	for n := range mostGuests + 1 {
		page.Guests = append(page.Guests, n)
	}
	if a := answerTo(v.facts.Overlay, KindRSVP, e.Event); a != nil {
		page.Coming, page.Declined = a.Value == "yes", a.Value == "no"
		if after, ok := strings.CutPrefix(a.Text, "guests="); ok {
			page.Bring, _ = strconv.Atoi(after)
		}
	}
	switch {
	case why != "":
		page.Lead = why
	case page.Coming && page.Bring > 0:
		page.Tone, page.Lead = "ok", t.T("rsvp.coming.with", "count", page.Bring)
	case page.Coming:
		page.Tone, page.Lead = "ok", t.T("rsvp.coming")
	case page.Declined:
		page.Lead = t.T("rsvp.declined")
	}
	write(w, p.Log, t, status, "rsvp", page)
}
