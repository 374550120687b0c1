package console

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/care/token"
)

// maxPage bounds what a page takes, in bytes.
const maxPage = 64 << 10

// Limits per client. The first guards the machine; the second slows down who guesses: only a link or a secret that is wrong
// counts, because a mail provider opts out thousands of its customers from one address.
const (
	requestsPerSecond, requestsBurst = 500, 10_000
	guessesPerSecond, guessesBurst   = 0.5, 20
)

// Public is what the public listener serves: the customers' pages and the callbacks of gateways.
type Public struct {
	Signer   *token.Signer
	Overlays Overlays
	Facts    Facts  // nil = pages know nothing but the token
	Events   Events // nil = nobody is told

	Callbacks    Callbacks // nil = there is no /hooks
	Receipts     Receipts
	People       People
	BounceSecret string // for /hooks/email/bounce; "" = there is none
	// Hash returns the keyed hash of an address that a provider names, "" if it is none. Without it a report counts for the customer's
	// present address, whichever it was about.
	Hash func(ch care.Channel, address string) string

	TrustedProxies []netip.Prefix
	Now            func() time.Time
	Log            *slog.Logger

	requests, guesses *limiter
}

// route is one address of the public listener.
type route struct {
	pattern string
	handler http.HandlerFunc
}

// routes lists everything that the public listener answers to.
func (p *Public) routes() []route {
	list := []route{
		{"GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive\n") }},
		{"GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
			plain(w, http.StatusOK, "User-agent: *\nDisallow: /\n")
		}},
	}
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
		list = append(list, route{"GET" + path, p.page(of.purpose, of.show)}, route{"POST" + path, p.page(of.purpose, of.act)})
	}
	list = append(list, route{"GET /calendar/{token}", p.page(token.Calendar, p.calendar)})
	if p.Callbacks != nil {
		list = append(list, route{"GET /hooks/sms/{gateway}", p.smsHook}, route{"POST /hooks/sms/{gateway}", p.smsHook})
		if p.BounceSecret != "" {
			list = append(list, route{"POST /hooks/email/bounce", p.bounceHook})
		}
	}
	return list
}

// Handler returns the public listener's routes.
func (p *Public) Handler() http.Handler {
	p.requests = newLimiter(requestsPerSecond, requestsBurst, p.Now)
	p.guesses = newLimiter(rate.Limit(guessesPerSecond), guessesBurst, p.Now)
	mux := http.NewServeMux()
	for _, r := range p.routes() {
		mux.HandleFunc(r.pattern, r.handler)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { p.notFound(w, r) })
	return secure(policy, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.requests.take(clientOf(r, p.TrustedProxies)) {
			tooMany(w)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "30")
	plain(w, http.StatusTooManyRequests, texts.Every("page.too_many")+"\n")
}

// guessed counts a wrong link or secret, and answers: with 404 or the status given, then with 429.
func (p *Public) guessed(w http.ResponseWriter, r *http.Request, otherwise func()) {
	if !p.guesses.take(clientOf(r, p.TrustedProxies)) {
		tooMany(w)
		return
	}
	otherwise()
}

func (p *Public) notFound(w http.ResponseWriter, r *http.Request) {
	p.guessed(w, r, func() {
		t := accepted(r)
		write(w, p.Log, t, http.StatusNotFound, "note", view{
			Title: t.T("page.not_found.title"), Tone: "warn",
			Lead: t.T("page.not_found.lead"),
		})
	})
}

// visit is one request of a customer's page whose token is good.
type visit struct {
	token token.Token
	facts PageFacts
	gone  bool // there is no such customer any more
	known bool // facts say more than locale and dealer
	now   time.Time
	t     *locale
}

// view begins a page of the visit.
func (v *visit) view(title, lead, tone string) view {
	return view{Title: title, Lead: lead, Tone: tone, Dealer: v.facts.Dealer, Phone: v.facts.DealerPhone}
}

// page checks the token, reads a body within its limit and finds the facts. An opt-out never fails for want of facts; every other
// page asks to come back later.
func (p *Public) page(purpose token.Purpose, then func(http.ResponseWriter, *http.Request, *visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := r.PathValue("token")
		if purpose == token.Calendar {
			text = withoutICS(text)
		}
		t, err := p.Signer.Verify(purpose, text)
		if err != nil {
			p.notFound(w, r)
			return
		}
		if r.Method == http.MethodPost && !readForm(w, r) {
			return
		}
		v := &visit{token: t, now: p.Now()}
		switch err := p.lookup(r.Context(), v); {
		case err != nil && purpose != token.Unsubscribe:
			p.Log.Error("a customer's page cannot be made", slog.String("customer", t.Customer), slog.Any("error", err))
			unavailable(w)
			return
		case err != nil:
			p.Log.Warn("a page of preferences is made without facts", slog.String("customer", t.Customer), slog.Any("error", err))
		}
		v.t = localeFor(v.facts.Locale)
		if v.facts.Locale == "" {
			v.t = accepted(r)
		}
		if v.gone && purpose != token.Unsubscribe {
			p.note(w, v, http.StatusGone, v.view(
				v.t.T("page.gone.title"), v.t.T("page.gone.lead"), ""))
			return
		}
		then(w, r, v)
	}
}

func (p *Public) lookup(ctx context.Context, v *visit) (err error) {
	if p.Facts == nil {
		return nil
	}
	v.facts, err = p.Facts.Lookup(ctx, v.token.Customer, v.token.Occurrence)
	switch {
	case errors.Is(err, care.ErrGone):
		v.gone = true
		return nil
	case err != nil:
		v.facts = PageFacts{}
		return err
	}
	v.known = true
	return nil
}

// readForm reads a body as RFC 8058 section 3.2 wants it, urlencoded or multipart, and answers itself if it cannot be read.
func readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxPage)
	var err error
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		err = r.ParseMultipartForm(maxPage) //nolint:gosec // the body is bounded above
		defer func() {
			if r.MultipartForm != nil {
				_ = r.MultipartForm.RemoveAll()
			}
		}()
	} else {
		err = r.ParseForm()
	}
	if err == nil {
		return true
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || r.ContentLength > maxPage {
		plain(w, http.StatusRequestEntityTooLarge, texts.Every("page.too_large")+"\n")
		return false
	}
	plain(w, http.StatusBadRequest, texts.Every("page.unreadable")+"\n")
	return false
}

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "30")
	plain(w, http.StatusServiceUnavailable, texts.Every("page.try_again")+"\n")
}

func (p *Public) note(w http.ResponseWriter, v *visit, status int, page view) {
	write(w, p.Log, v.t, status, "note", page)
}

// entry begins what is told of a visit.
func (v *visit) entry(kind, value string) care.EventEntry {
	e := care.EventEntry{
		At: v.now, ID: v.token.Occurrence, Customer: v.token.Customer, Dealer: v.facts.DealerID, Program: v.facts.Program, Step: v.facts.Step,
		Channel: v.token.Channel, Kind: kind, Value: value,
	}
	if v.facts.Vehicle != nil {
		e.Vehicle = v.facts.Vehicle.ID
	}
	return e
}

// task begins a task for whoever looks after the customer.
func (v *visit) task(reason, value string) care.EventEntry {
	e := v.entry(KindTask, value)
	e.Reason = reason
	return e
}

func (p *Public) tell(ctx context.Context, entries ...care.EventEntry) error {
	if p.Events == nil {
		return nil
	}
	for _, e := range entries {
		if err := p.Events.Add(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// decide keeps what a customer decided about messages and then tells of it. The decision counts even if telling fails.
func (p *Public) decide(ctx context.Context, v *visit, change func(*care.Overlay) error, entries ...care.EventEntry) error {
	if err := p.Overlays.UpdateOverlay(ctx, v.token.Customer, change); err != nil {
		return err
	}
	if err := p.tell(ctx, entries...); err != nil {
		p.Log.Error("a decision is on record, but nobody was told", slog.String("customer", v.token.Customer), slog.Any("error", err))
	}
	return nil
}

// answer tells what a customer answered and then keeps it: a complaint must reach a person, if need be twice.
func (p *Public) answer(ctx context.Context, v *visit, change func(*care.Overlay) error, entries ...care.EventEntry) error {
	if err := p.tell(ctx, entries...); err != nil {
		return err
	}
	return p.Overlays.UpdateOverlay(ctx, v.token.Customer, change)
}

// failed answers for what could not be kept.
func (p *Public) failed(w http.ResponseWriter, v *visit, what string, err error) {
	p.Log.Error("what a customer said could not be recorded", slog.String("what", what), slog.String("customer", v.token.Customer), slog.Any("error", err))
	unavailable(w)
}

// wrongPerson takes "this is not me": the address is not used again. Where its hash is not known, the channel is stopped.
func (p *Public) wrongPerson(w http.ResponseWriter, r *http.Request, v *visit) {
	ch := v.token.Channel
	err := p.decide(r.Context(), v, func(o *care.Overlay) error {
		if !suppress(o, ch, v.facts.AddressHash[ch], KindNotMe, v.now) {
			stop(o, scopeOrAll(ch), care.Stop{At: v.now, Source: "link", Wording: Wording})
		}
		return nil
	}, v.entry(KindNotMe, string(ch)), v.task(KindNotMe, string(ch)))
	if err != nil {
		p.failed(w, v, KindNotMe, err)
		return
	}
	// The page says nothing of the customer any more: whoever reads it is somebody else.
	p.note(w, v, http.StatusOK, view{
		Title: v.t.T("page.not_me.title"), Tone: "ok", Dealer: v.facts.Dealer,
		Lead: v.t.T("page.not_me.lead"),
	})
}

// scopeOrAll is the scope of a channel; a link without one is about everything.
func scopeOrAll(ch care.Channel) string {
	if ch == "" {
		return everything
	}
	return string(ch)
}
