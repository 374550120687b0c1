package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/events"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/hooks"
)

// What a mail provider posts is kept if it shows our secret and the proof of the mail; what could not be recorded is asked for again.
func TestMailEvents(t *testing.T) {
	t.Parallel()
	proofs := email.NewProofs([]byte("a key of this test"))
	id := strings.Repeat("a", 26) + "-email"
	body := `{"RecordType":"Bounce","Type":"HardBounce","Details":"550 5.1.1 user unknown","Email":"w@c.example","Content":"X-Carebell-Id: ` + id + "-" + proofs.Of(id) + `"}`
	for name, tt := range map[string]struct {
		path, password, body string
		away                 bool
		status, writes       int
	}{
		"a password":            {"/hooks/email/postmark", "bounce-secret", body, false, 200, 1},
		"in the address":        {"/hooks/email/postmark?token=bounce-secret", "", body, false, 200, 1},
		"another password":      {"/hooks/email/postmark", "guess", body, false, 403, 0},
		"none":                  {"/hooks/email/aliyun", "", body, false, 403, 0},
		"not set up":            {"/hooks/email/mailgun", "bounce-secret", body, false, 404, 0},
		"unknown":               {"/hooks/email/other", "bounce-secret", body, false, 404, 0},
		"no proof":              {"/hooks/email/postmark", "bounce-secret", strings.Replace(body, proofs.Of(id), "aaaaaaaaaaaa", 1), false, 200, 0},
		"no JSON":               {"/hooks/email/postmark", "bounce-secret", "{", false, 400, 0},
		"too long":              {"/hooks/email/postmark", "bounce-secret", strings.Repeat(" ", feedback.MaxMail+1), false, 413, 0},
		"it cannot be kept":     {"/hooks/email/postmark", "bounce-secret", body, true, 503, 0},
		"the mail server's own": {"/hooks/email/bounce", "guess", body, false, 401, 0},
	} {
		d := staffed()
		if tt.away {
			d.broken = errors.New("away")
		}
		p := d.public()
		p.Mail = hooks.Mail{Reader: events.New(events.Config{Secrets: p.BounceSecrets, Reports: email.Reports{Proven: proofs.Proven}, Now: func() time.Time { return now }})}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, strings.NewReader(tt.body))
		if tt.password != "" {
			r.SetBasicAuth("carebell", tt.password)
		}
		if w := serve(t, p.Handler(), r); w.Code != tt.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if len(d.receipts) != tt.writes {
			t.Errorf("%s: %+v", name, d.receipts)
		}
	}
}
