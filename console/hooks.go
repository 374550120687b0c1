package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
)

// Bounds of callbacks, in bytes: a gateway sends up to 100 receipts at once, a bounce carries the mail it is about.
const (
	maxHook   = 256 << 10
	maxBounce = 1 << 20
)

// Reply is a text that a customer sent.
type Reply struct {
	Gateway string
	ID      string // the gateway's id of the reply; the same on a repeat; "" if it has none
	From    string // the customer's number, E.164 where the gateway says so
	To      string // the number it was sent to
	Text    string
	OptOut  bool // it says stop: by its words, or because the gateway already took it so
	OptIn   bool
	At      time.Time
}

// Answer is what a gateway wants to hear, with status 200, so that it does not post again.
type Answer struct {
	Body        []byte
	ContentType string
}

// Callbacks reads what gateways and mail servers post. The errors are ErrForged, ErrUnreadable and ErrUnknownGateway; any other
// means: post it again.
type Callbacks interface {
	// SMS checks the signature or secret of what was posted to /hooks/sms/<gateway> and reads it.
	SMS(ctx context.Context, gateway string, r *http.Request) ([]care.Receipt, []Reply, Answer, error)
	// Mail reads a mail that came back: a bounce (RFC 3464) or a complaint (RFC 5965), whose Kind is opted_out. A mail that is
	// neither gives no receipts.
	Mail(ctx context.Context, raw []byte) ([]care.Receipt, error)
}

// Errors of Callbacks.
var (
	ErrForged         = errors.New("the callback's signature or token is wrong")
	ErrUnreadable     = errors.New("the callback cannot be read")
	ErrUnknownGateway = errors.New("there is no such gateway")
)

// Receipts keeps what providers say of messages, in any order and however often.
type Receipts interface {
	Receipts(ctx context.Context, receipts []care.Receipt) error
}

// People finds customers by what a provider knows of them.
type People interface {
	// ByNumber returns the customers who have this number.
	ByNumber(ctx context.Context, number string) ([]Asked, error)
	// ByMessage returns whose message it is, with how many messages in the last 30 days did not reach them on that channel since the
	// last one that did (this one included). care.ErrGone: nobody's.
	ByMessage(ctx context.Context, occurrence string, ch care.Channel) (customer string, failures int, err error)
}

// Asked is a customer with the last message that went to them by SMS.
type Asked struct {
	Customer   string
	Occurrence string
	At         time.Time
	Asks       string // KindSurvey, KindOdometer or KindRSVP if the message asks for it, else ""
}

// softFailures is after how many messages in 30 days that did not arrive an address counts as dead.
const softFailures = 3

// smsHook takes receipts and replies. Some gateways know GET only (Kannel): their secret is in the URL, and the callback does what
// it says all the same. HEAD does nothing.
func (p *Public) smsHook(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		plain(w, http.StatusMethodNotAllowed, "")
		return
	}
	if r.ContentLength > maxHook {
		plain(w, http.StatusRequestEntityTooLarge, "the callback is too large\n")
		return
	}
	gateway := r.PathValue("gateway")
	r.Body = http.MaxBytesReader(w, r.Body, maxHook)
	receipts, replies, answer, err := p.Callbacks.SMS(r.Context(), gateway, r)
	if err != nil {
		p.refuse(w, r, gateway, err)
		return
	}
	if err := p.TakeReceipts(r.Context(), receipts); err != nil {
		p.again(w, gateway, err)
		return
	}
	for _, reply := range replies {
		if err := p.takeReply(r.Context(), reply); err != nil {
			p.again(w, gateway, err)
			return
		}
	}
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(answer.Body)
}

func (p *Public) refuse(w http.ResponseWriter, r *http.Request, gateway string, err error) {
	switch {
	case errors.Is(err, ErrUnknownGateway):
		p.guessed(w, r, func() { plain(w, http.StatusNotFound, ErrUnknownGateway.Error()+"\n") })
	case errors.Is(err, ErrForged):
		p.guessed(w, r, func() {
			p.Log.Warn("a callback was refused: its signature or token is wrong", slog.String("gateway", gateway))
			plain(w, http.StatusForbidden, ErrForged.Error()+"\n")
		})
	case errors.Is(err, ErrUnreadable):
		plain(w, http.StatusBadRequest, ErrUnreadable.Error()+"\n")
	default:
		p.again(w, gateway, err)
	}
}

// again asks the gateway to post once more.
func (p *Public) again(w http.ResponseWriter, gateway string, err error) {
	p.Log.Error("a callback could not be recorded", slog.String("gateway", gateway), slog.Any("error", err))
	w.Header().Set("Retry-After", "30")
	plain(w, http.StatusServiceUnavailable, "please post it again\n")
}

// bounceHook takes a returned mail as message/rfc822 (such as from a pipe of the mail server). The secret comes as a bearer token or
// as the password of basic authentication.
func (p *Public) bounceHook(w http.ResponseWriter, r *http.Request) {
	if !sameSecret(secretOf(r), p.BounceSecret) {
		p.guessed(w, r, func() {
			w.Header().Set("WWW-Authenticate", `Basic realm="carebell bounces", charset="UTF-8"`)
			plain(w, http.StatusUnauthorized, "this needs the secret for bounces\n")
		})
		return
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "", "message/rfc822", "message/global", "application/octet-stream":
	default:
		plain(w, http.StatusUnsupportedMediaType, "post the mail as message/rfc822\n")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBounce))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			plain(w, http.StatusRequestEntityTooLarge, "the mail is too large: cut it off after 1 MB\n")
			return
		}
		plain(w, http.StatusBadRequest, "the mail cannot be read\n")
		return
	}
	if err := p.Returned(r.Context(), bytes.NewReader(raw)); err != nil {
		p.refuse(w, r, "email", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Returned takes a mail that came back, from wherever it arrived: it keeps what the report says and acts on it; a mail that is no
// report changes nothing, and neither does a repeat. What is behind the first MB is not read. ErrUnreadable means that no repeat will
// help; any other error means: hand it in again.
func (p *Public) Returned(ctx context.Context, mail io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(mail, maxBounce))
	if err != nil {
		return err
	}
	receipts, err := p.Callbacks.Mail(ctx, raw)
	if err != nil {
		return err
	}
	return p.TakeReceipts(ctx, receipts)
}

// secretOf returns a bearer token (RFC 6750) or the password of basic authentication.
func secretOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	return ""
}

// sameSecret compares hashes, which have one length, so that it takes the same time whatever was guessed.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// TakeReceipts keeps receipts, whether a provider posted them or was asked, and learns from them: a dead address, an opt-out that the
// provider knows of. Receipts that were taken before change nothing.
func (p *Public) TakeReceipts(ctx context.Context, receipts []care.Receipt) error {
	if len(receipts) == 0 {
		return nil
	}
	if err := p.Receipts.Receipts(ctx, receipts); err != nil {
		return err
	}
	for i := range receipts {
		if err := p.learn(ctx, &receipts[i]); err != nil {
			return err
		}
	}
	return nil
}

// learn acts on what a receipt says of the customer. It does nothing the second time.
func (p *Public) learn(ctx context.Context, rc *care.Receipt) error {
	soft := rc.Kind == care.KindRetry && (rc.State == care.StateUndelivered || rc.State == care.StateFailed)
	if rc.ID == "" || p.People == nil || rc.Kind != care.KindRecipient && rc.Kind != care.KindOptedOut && !soft {
		return nil
	}
	customer, failures, err := p.People.ByMessage(ctx, rc.ID, rc.Channel)
	switch {
	case errors.Is(err, care.ErrGone):
		return nil
	case err != nil:
		return err
	case soft && failures < softFailures:
		return nil
	}
	v := &visit{token: token.Token{Customer: customer, Occurrence: rc.ID, Channel: rc.Channel}, now: p.Now()}
	if err := p.lookup(ctx, v); err != nil {
		return err
	}
	if rc.Kind == care.KindOptedOut {
		return p.providerStop(ctx, v, rc)
	}
	reason := rc.Code
	if soft {
		reason = "soft:" + rc.Code
	}
	hash := v.facts.AddressHash[rc.Channel]
	tasks := []care.EventEntry{v.task("dead_address", string(rc.Channel)+" "+reason)}
	if about := p.about(rc); about != "" && about != hash {
		// The customer has another address since: the old one is noted, and nobody need ask.
		hash, tasks = about, nil
	}
	known := slices.ContainsFunc(v.facts.overlay().Suppressed, func(s care.Suppression) bool { return s.Channel == rc.Channel && s.Hash == hash })
	if hash == "" || known {
		return nil
	}
	return p.decide(ctx, v, func(o *care.Overlay) error {
		suppress(o, rc.Channel, hash, reason, v.now)
		return nil
	}, tasks...)
}

// about returns the hash of the address that a receipt reports on, "" if it does not say.
func (p *Public) about(rc *care.Receipt) string {
	if p.Hash == nil || rc.To == "" {
		return ""
	}
	return p.Hash(rc.Channel, rc.To)
}

// providerStop records an opt-out that the provider knows of, unless it is on record or the customer has opted in since.
func (p *Public) providerStop(ctx context.Context, v *visit, rc *care.Receipt) error {
	scope, at := string(rc.Channel), rc.At
	if at.IsZero() || at.After(v.now) {
		at = v.now
	}
	o := v.facts.overlay()
	if g, ok := o.Grants[scope]; stopped(o, scope) || ok && g.At.After(at) {
		return nil
	}
	return p.decide(ctx, v, func(o *care.Overlay) error {
		stop(o, scope, care.Stop{At: at, Source: "provider"})
		return nil
	}, v.entry(KindOptOut, scope))
}
