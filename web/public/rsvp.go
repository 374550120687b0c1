package public

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/page"
)

const mostGuests = 9

type rsvpView struct {
	page.View
	When, Place, Address string
	Calendar             string
	Open                 bool
	Coming, Declined     bool
	Guests               []int
	Bring                int
	Error                string
}

// closed says why an invitation takes no answer any more, "" if it does.
func (v *visit) closed() string {
	switch v.Invitation() {
	case feedback.InvitationOver:
		return v.t.T("rsvp.over")
	case feedback.InvitationLate:
		return v.t.T("rsvp.late", "date", v.t.Date(v.Facts.Event.RSVPUntil))
	}
	return ""
}

// invited answers for an invitation that nobody can accept, because its event is gone or was called off.
func (p *Pages) invited(w http.ResponseWriter, v *visit) bool {
	switch e := v.Facts.Event; {
	case e == nil:
		p.note(w, v, http.StatusGone, v.view(v.t.T("rsvp.closed.title"), v.t.T("rsvp.closed.lead"), ""))
	case !e.Enabled:
		p.note(w, v, http.StatusOK, v.view(e.Title.In(v.Facts.Locale), v.t.T("rsvp.cancelled"), "warn"))
	default:
		return true
	}
	return false
}

func (p *Pages) showRSVP(w http.ResponseWriter, _ *http.Request, v *visit) {
	if p.invited(w, v) {
		p.rsvp(w, v, http.StatusOK, "")
	}
}

func (p *Pages) takeRSVP(w http.ResponseWriter, r *http.Request, v *visit) {
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
	if err := p.Feedback.RSVP(r.Context(), v.Subject, answer == "yes", guests); err != nil {
		p.failed(w, v, feedback.KindRSVP, err)
		return
	}
	p.rsvp(w, v, http.StatusOK, "")
}

func (p *Pages) rsvp(w http.ResponseWriter, v *visit, status int, wrong string) {
	e, t := v.Facts.Event, v.t
	why := v.closed()
	shown := rsvpView{
		View: v.view(e.Title.In(v.Facts.Locale), t.T("rsvp.lead"), ""),
		When: t.Date(e.On), Place: e.Place.In(v.Facts.Locale), Address: e.Address.In(v.Facts.Locale),
		Calendar: "/calendar/" + p.Signer.Sign(token.Token{
			Purpose: token.Calendar, Customer: v.Customer, Occurrence: v.Occurrence, Channel: v.Channel,
		}) + ".ics",
		Open: why == "", Error: wrong,
	}
	if e.StartsAt != "" {
		hours := e.StartsAt
		if e.EndsAt != "" {
			hours += "–" + e.EndsAt
		}
		shown.When = t.T("rsvp.at", "date", shown.When, "time", hours)
	}
	for n := range mostGuests + 1 {
		shown.Guests = append(shown.Guests, n)
	}
	if a := feedback.AnswerTo(v.Facts.Overlay, feedback.KindRSVP, e.Event); a != nil {
		shown.Coming, shown.Declined = a.Value == "yes", a.Value == "no"
		if after, ok := strings.CutPrefix(a.Text, "guests="); ok {
			shown.Bring, _ = strconv.Atoi(after)
		}
	}
	switch {
	case why != "":
		shown.Lead = why
	case shown.Coming && shown.Bring > 0:
		shown.Tone, shown.Lead = "ok", t.T("rsvp.coming.with", "count", shown.Bring)
	case shown.Coming:
		shown.Tone, shown.Lead = "ok", t.T("rsvp.coming")
	case shown.Declined:
		shown.Lead = t.T("rsvp.declined")
	}
	t.Write(w, p.Log, status, "rsvp", shown)
}
