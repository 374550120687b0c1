package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/events"
	"github.com/carebell/carebell/channels/httpclient"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/httpx"
)

// Mail reads what mail providers post of bounces and complaints.
type Mail struct {
	Reader   *events.Reader // nil = there is no such address
	Redirect feedback.Redirect
}

// NewMail returns what reads the events of the providers that the settings name.
func NewMail(set *config.Settings, redirect feedback.Redirect, now func() time.Time) Mail {
	cfg := events.Config{
		SESTopic: set.Bounce.SESTopic, SendGridKey: set.Bounce.SendgridKey, MailgunKey: set.Bounce.MailgunKey.Reveal(), Secrets: set.BounceSecrets(), Now: now,
	}
	if keys := set.ReportKeys(); len(keys) > 0 {
		cfg.Reports.Proven = email.NewProofs(keys...).Proven
	}
	client := httpclient.New(httpclient.Config{Now: now})
	cfg.Get = func(ctx context.Context, url string) ([]byte, error) {
		answer, err := client.Do(ctx, &httpclient.Request{Method: http.MethodGet, URL: url, Repeat: true})
		if err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("SNS answered %d", answer.Status)
		}
		if err != nil {
			return nil, err
		}
		return answer.Body, nil
	}
	return Mail{Reader: events.New(cfg), Redirect: redirect}
}

// mailHook takes the events of a mail provider. Whoever shows neither the provider's signature nor our secret is not read.
func (h *Hooks) mailHook(w http.ResponseWriter, r *http.Request) {
	provider := r.PathValue("provider")
	if err := h.Mail.Reader.Admits(provider, r, httpx.SecretOf(r)); err != nil {
		h.refuse(w, r, provider, hookError(err))
		return
	}
	body, ok := readMail(w, r)
	if !ok {
		return
	}
	found, err := h.Mail.Reader.Read(r.Context(), provider, r.Header, body)
	if err == nil {
		err = h.Feedback.TakeEvents(r.Context(), h.Mail.Redirect.Strip(found.Receipts), found.Unproven)
	}
	if err != nil {
		h.refuse(w, r, provider, hookError(err))
		return
	}
	found.Done()
	w.WriteHeader(http.StatusOK)
}

func hookError(err error) error {
	for of, is := range map[error]error{
		events.ErrForged: ErrForged, events.ErrUnknown: ErrUnknownGateway, events.ErrUnreadable: feedback.ErrUnreadable,
	} {
		if errors.Is(err, of) {
			return is
		}
	}
	return err
}
