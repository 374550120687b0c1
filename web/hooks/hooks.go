// Package hooks takes what gateways and mail servers post: receipts, customers' texts, returned mail.
//
// What it promises: nothing is taken without the gateway's signature or secret; a body is bounded; what could not be recorded is asked
// for again, and what cannot be read is not. GET changes something only for gateways that know no other method (Kannel) and need their
// secret. What follows from a receipt or a reply is decided in service/feedback.
package hooks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/httpx"
)

// maxHook bounds a callback, in bytes: a gateway sends up to 100 receipts at once.
const maxHook = 256 << 10

// Answer is what a gateway wants to hear, with status 200, so that it does not post again.
type Answer struct {
	Body        []byte
	ContentType string
}

// Gateways reads what SMS gateways post to /hooks/sms/<gateway>, and checks its signature or secret. The errors are ErrForged,
// feedback.ErrUnreadable and ErrUnknownGateway; any other means: post it again.
type Gateways interface {
	Read(ctx context.Context, gateway string, r *http.Request) ([]care.Receipt, []feedback.Reply, Answer, error)
}

// Errors of Gateways.
var (
	ErrForged         = errors.New("the callback's signature or token is wrong")
	ErrUnknownGateway = errors.New("there is no such gateway")
)

// Hooks are the addresses that gateways and mail servers post to.
type Hooks struct {
	Gateways      Gateways
	Feedback      *feedback.Service
	BounceSecrets []string // for /hooks/email/bounce, any of them; none = there is no such address
	Mail          Mail     // for /hooks/email/<provider>
	Log           *slog.Logger

	guesses *httpx.Guesses
}

// New returns the hooks. A secret that is wrong counts as a guess.
func New(gateways Gateways, to *feedback.Service, bounceSecrets []string, mail Mail, guesses *httpx.Guesses, log *slog.Logger) *Hooks {
	return &Hooks{Gateways: gateways, Feedback: to, BounceSecrets: bounceSecrets, Mail: mail, Log: log, guesses: guesses}
}

// Routes lists everything that the hooks answer to.
func (h *Hooks) Routes() []httpx.Route {
	list := []httpx.Route{
		{Pattern: "GET /hooks/sms/{gateway}", Handler: h.smsHook}, {Pattern: "POST /hooks/sms/{gateway}", Handler: h.smsHook},
	}
	if len(h.BounceSecrets) > 0 {
		list = append(list, httpx.Route{Pattern: "POST /hooks/email/bounce", Handler: h.bounceHook})
	}
	if h.Mail.Reader != nil {
		list = append(list, httpx.Route{Pattern: "POST /hooks/email/{provider}", Handler: h.mailHook})
	}
	return list
}

// smsHook takes receipts and replies. Some gateways know GET only (Kannel): their secret is in the URL, and the callback does what
// it says all the same. HEAD does nothing.
func (h *Hooks) smsHook(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		httpx.Plain(w, http.StatusMethodNotAllowed, "")
		return
	}
	if r.ContentLength > maxHook {
		httpx.Plain(w, http.StatusRequestEntityTooLarge, "the callback is too large\n")
		return
	}
	gateway := r.PathValue("gateway")
	r.Body = http.MaxBytesReader(w, r.Body, maxHook)
	receipts, replies, answer, err := h.Gateways.Read(r.Context(), gateway, r)
	if err != nil {
		h.refuse(w, r, gateway, err)
		return
	}
	if err := h.Feedback.TakeReceipts(r.Context(), receipts); err != nil {
		h.again(w, gateway, err)
		return
	}
	for _, reply := range replies {
		if err := h.Feedback.TakeReply(r.Context(), reply); err != nil {
			h.again(w, gateway, err)
			return
		}
	}
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(answer.Body)
}

func (h *Hooks) refuse(w http.ResponseWriter, r *http.Request, gateway string, err error) {
	switch {
	case errors.Is(err, ErrUnknownGateway):
		h.guesses.Wrong(w, r, func() { httpx.Plain(w, http.StatusNotFound, ErrUnknownGateway.Error()+"\n") })
	case errors.Is(err, ErrForged):
		h.guesses.Wrong(w, r, func() {
			h.Log.Warn("a callback was refused: its signature or token is wrong", slog.String("gateway", gateway))
			httpx.Plain(w, http.StatusForbidden, ErrForged.Error()+"\n")
		})
	case errors.Is(err, feedback.ErrUnreadable):
		httpx.Plain(w, http.StatusBadRequest, feedback.ErrUnreadable.Error()+"\n")
	default:
		h.again(w, gateway, err)
	}
}

// again asks the gateway to post once more.
func (h *Hooks) again(w http.ResponseWriter, gateway string, err error) {
	h.Log.Error("a callback could not be recorded", slog.String("gateway", gateway), slog.Any("error", err))
	w.Header().Set("Retry-After", "30")
	httpx.Plain(w, http.StatusServiceUnavailable, "please post it again\n")
}

// bounceHook takes a returned mail as message/rfc822 (such as from a pipe of the mail server). The secret comes as a bearer token or
// as the password of basic authentication.
func (h *Hooks) bounceHook(w http.ResponseWriter, r *http.Request) {
	given := httpx.SecretOf(r)
	if !slices.ContainsFunc(h.BounceSecrets, func(secret string) bool { return httpx.SameSecret(given, secret) }) {
		h.guesses.Wrong(w, r, func() {
			w.Header().Set("WWW-Authenticate", `Basic realm="carebell bounces", charset="UTF-8"`)
			httpx.Plain(w, http.StatusUnauthorized, "this needs the secret for bounces\n")
		})
		return
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "", "message/rfc822", "message/global", "application/octet-stream":
	default:
		httpx.Plain(w, http.StatusUnsupportedMediaType, "post the mail as message/rfc822\n")
		return
	}
	raw, ok := readMail(w, r)
	if !ok {
		return
	}
	if err := h.Feedback.Returned(r.Context(), bytes.NewReader(raw)); err != nil {
		h.refuse(w, r, "email", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// readMail reads a body of up to a megabyte, or answers why not.
func readMail(w http.ResponseWriter, r *http.Request) (raw []byte, ok bool) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, feedback.MaxMail))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		httpx.Plain(w, http.StatusRequestEntityTooLarge, "it is too large: cut a mail off after 1 MB\n")
	} else if err != nil {
		httpx.Plain(w, http.StatusBadRequest, "it cannot be read\n")
	}
	return raw, err == nil
}
