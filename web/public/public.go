// Package public serves the customers' own pages: preferences, survey, invitation with its calendar file, mileage.
//
// What it promises: GET and HEAD change nothing; a link works only with a token we signed; pages need no script and no cookie; nothing
// on a page names a customer or shows a whole number plate, because links are forwarded; an opt-out is on record before the page says
// so, and is taken even for a customer whose record is gone. It knows nothing of what operators can do (service/operate): what
// customers say goes to service/feedback.
package public

import (
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
)

// Wording is the version of the words on the customers' pages; it is kept with each opt-out and opt-in as evidence of what was
// agreed to. Change it when the words change.
const Wording = "pages-2026-11"

//go:embed pages
var files embed.FS

// Pages are the customers' pages.
type Pages struct {
	Signer   *token.Signer
	Feedback *feedback.Service
	Log      *slog.Logger

	set     *page.Set
	guesses *httpx.Guesses
}

// New returns the pages. A link that is wrong counts as a guess.
func New(signer *token.Signer, to *feedback.Service, guesses *httpx.Guesses, log *slog.Logger) *Pages {
	return &Pages{
		Signer: signer, Feedback: to, Log: log, guesses: guesses,
		set: page.New(files, "pages/*.html", func(*page.Locale) template.FuncMap { return template.FuncMap{"plate": plate} }),
	}
}

// Routes lists everything that the pages answer to.
func (p *Pages) Routes() []httpx.Route {
	var list []httpx.Route
	for _, of := range []struct {
		purpose   token.Purpose
		show, act func(http.ResponseWriter, *http.Request, *visit)
	}{
		{token.Unsubscribe, p.showPreferences, p.setPreferences},
		{token.Survey, p.showSurvey, p.takeSurvey},
		{token.RSVP, p.showRSVP, p.takeRSVP},
		{token.Odometer, p.showOdometer, p.takeOdometer},
	} {
		path := " /" + string(of.purpose) + "/{token}"
		list = append(list, httpx.Route{Pattern: "GET" + path, Handler: p.page(of.purpose, of.show)},
			httpx.Route{Pattern: "POST" + path, Handler: p.page(of.purpose, of.act)})
	}
	return append(list, httpx.Route{Pattern: "GET /calendar/{token}", Handler: p.page(token.Calendar, p.calendar)})
}

// NotFound answers for a link that is no good.
func (p *Pages) NotFound(w http.ResponseWriter, r *http.Request) {
	p.guesses.Wrong(w, r, func() {
		t := p.set.Accepted(r)
		t.Write(w, p.Log, http.StatusNotFound, "note", page.View{
			Title: t.T("page.not_found.title"), Tone: "warn",
			Lead: t.T("page.not_found.lead"),
		})
	})
}

// visit is one request of a customer's page whose token is good.
type visit struct {
	*feedback.Subject
	t     *page.Locale
	trial bool // the link changes nothing
}

// view begins a page of the visit.
func (v *visit) view(title, lead, tone string) page.View {
	return page.View{Title: title, Lead: lead, Tone: tone, Dealer: v.Facts.Dealer, Phone: v.Facts.DealerPhone, Trial: v.trial}
}

// how is how the visit decides: by the link, under the words of the page.
func (v *visit) how() care.Stop { return care.Stop{At: v.Now, Source: "link", Wording: Wording} }

// page checks the token, reads a body within its limit and finds the facts. An opt-out never fails for want of facts; every other
// page asks to come back later.
func (p *Pages) page(purpose token.Purpose, then func(http.ResponseWriter, *http.Request, *visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := r.PathValue("token")
		if purpose == token.Calendar {
			text = withoutICS(text)
		}
		t, err := p.Signer.Verify(purpose, text)
		if err != nil {
			p.NotFound(w, r)
			return
		}
		if r.Method == http.MethodPost && !httpx.ReadForm(w, r) {
			return
		}
		about, err := p.Feedback.Subject(r.Context(), t.Customer, t.Occurrence, t.Channel)
		switch {
		case err != nil && purpose != token.Unsubscribe:
			p.Log.Error("a customer's page cannot be made", slog.String("customer", t.Customer), slog.Any("error", err))
			httpx.Unavailable(w)
			return
		case err != nil:
			p.Log.Warn("a page of preferences is made without facts", slog.String("customer", t.Customer), slog.Any("error", err))
		}
		v := &visit{Subject: about, t: p.set.For(about.Facts.Locale), trial: t.Trial}
		if about.Facts.Locale == "" {
			v.t = p.set.Accepted(r)
		}
		if v.Gone && purpose != token.Unsubscribe {
			p.note(w, v, http.StatusGone, v.view(v.t.T("page.gone.title"), v.t.T("page.gone.lead"), ""))
			return
		}
		if v.trial && r.Method == http.MethodPost {
			p.note(w, v, http.StatusOK, v.view(v.t.T("page.trial.title"), v.t.T("page.trial.lead"), ""))
			return
		}
		then(w, r, v)
	}
}

func (p *Pages) note(w http.ResponseWriter, v *visit, status int, view page.View) {
	v.t.Write(w, p.Log, status, "note", view)
}

// failed answers for what could not be kept.
func (p *Pages) failed(w http.ResponseWriter, v *visit, what string, err error) {
	p.Log.Error("what a customer said could not be recorded", slog.String("what", what), slog.String("customer", v.Customer), slog.Any("error", err))
	httpx.Unavailable(w)
}

// wrongPerson takes "this is not me".
func (p *Pages) wrongPerson(w http.ResponseWriter, r *http.Request, v *visit) {
	if err := p.Feedback.NotMe(r.Context(), v.Subject, v.how()); err != nil {
		p.failed(w, v, feedback.KindNotMe, err)
		return
	}
	// The page says nothing of the customer any more: whoever reads it is somebody else.
	p.note(w, v, http.StatusOK, page.View{
		Title: v.t.T("page.not_me.title"), Tone: "ok", Dealer: v.Facts.Dealer,
		Lead: v.t.T("page.not_me.lead"),
	})
}

// plate shows enough of a number plate for its owner and too little for anybody else.
func plate(s string) string {
	r := []rune(strings.NewReplacer("·", "", " ", "", "-", "").Replace(s))
	switch n := len(r); {
	case n == 0:
		return ""
	case n < 5:
		return strings.Repeat("•", n)
	default:
		return string(r[:2]) + strings.Repeat("•", n-3) + string(r[n-1])
	}
}
