package events

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// The errors of Read.
var (
	ErrForged     = errors.New("the event's signature or secret is wrong")
	ErrUnknown    = errors.New("there is no such provider, or its key is not set")
	ErrUnreadable = errors.New("the event cannot be read")
)

// Config says whom to believe.
type Config struct {
	SESTopic    string   // ARN of the SNS topic; "" = no SES
	SendGridKey string   // public key in base64; "" = no SendGrid
	MailgunKey  string   // "" = no Mailgun
	Secrets     []string // in the address or as a password, for those who sign nothing; none = neither Postmark nor Aliyun
	Reports     email.Reports
	// Get fetches SNS' certificates and confirms the subscription. An URL is checked before.
	Get func(ctx context.Context, url string) ([]byte, error)
	Now func() time.Time
}

// Reader reads events. It is safe for many goroutines.
type Reader struct {
	cfg   Config
	sns   certificates
	spent tokens // of Mailgun
}

// New returns a reader.
func New(cfg Config) *Reader { return &Reader{cfg: cfg} }

// Events are what a provider posted.
type Events struct {
	Receipts []care.Receipt
	Unproven int // events that name a message of ours without its proof
	done     func()
}

// Done says that the events are on record: they are not taken again.
func (e Events) Done() {
	if e.done != nil {
		e.done()
	}
}

// Admits reports whether a provider is set up and a request shows what can be judged without its body.
func (r *Reader) Admits(provider string, req *http.Request, given string) error {
	ok := false
	switch provider {
	case "ses":
		ok = r.cfg.SESTopic != ""
	case "sendgrid":
		ok = r.cfg.SendGridKey != ""
	case "mailgun":
		ok = r.cfg.MailgunKey != ""
	case "postmark", "aliyun":
		ok = len(r.cfg.Secrets) > 0
	}
	if !ok {
		return ErrUnknown
	}
	switch provider {
	case "ses":
		ok = req.Header.Get("X-Amz-Sns-Topic-Arn") == r.cfg.SESTopic
	case "sendgrid":
		ok = req.Header.Get(sendGridSignature) != "" && req.Header.Get(sendGridTime) != ""
	case "postmark", "aliyun":
		ok = false
		for _, secret := range r.cfg.Secrets {
			ok = ok || subtle.ConstantTimeCompare([]byte(cmp.Or(given, req.URL.Query().Get("token"))), []byte(secret)) == 1
		}
	}
	if !ok {
		return ErrForged
	}
	return nil
}

// Read reads what a provider posted, after Admits.
func (r *Reader) Read(ctx context.Context, provider string, header http.Header, body []byte) (Events, error) {
	var found []event
	var out Events
	var err error
	switch provider {
	case "ses":
		found, err = r.ses(ctx, body)
	case "sendgrid":
		if !r.signedBySendGrid(header, body) {
			return out, ErrForged
		}
		found, err = sendGrid(body)
	case "mailgun":
		found, out.done, err = r.mailgun(body)
	case "postmark":
		found, err = postmark(body)
	case "aliyun":
		found, err = aliyun(body)
	default:
		err = ErrUnknown
	}
	if err != nil {
		return Events{}, err
	}
	for _, e := range found {
		id, proven := r.cfg.Reports.Find(e.texts...)
		switch {
		case id == "": // somebody else's mail, or one whose id was lost
		case !proven:
			out.Unproven++
		default:
			out.Receipts = append(out.Receipts, e.receipt(id, r.cfg.Now()))
		}
	}
	return out, nil
}

// what an event tells.
type what uint8

const (
	bounced what = iota
	delayed
	delivered
	complained
	unsubscribed
)

// event is a provider's word on one mail to one address.
type event struct {
	what   what
	dead   bool // the provider says that there is no such address
	hard   bool // it calls the failure lasting; what the server said counts more
	status string
	said   string
	to     string
	at     time.Time
	texts  []string // where our id may stand
}

func (e *event) receipt(id string, now time.Time) care.Receipt {
	rc := care.Receipt{ID: id, Channel: care.Email, Gateway: "smtp", At: e.at, To: e.to}
	if rc.At.IsZero() || rc.At.After(now) {
		rc.At = now
	}
	switch e.what {
	case delayed:
		rc.State, rc.Code = care.StateSent, e.status
	case delivered:
		rc.State, rc.Code = care.StateDelivered, e.status
	case complained:
		rc.State, rc.Kind, rc.Code = care.StateDelivered, care.KindOptedOut, email.Complaint
	case unsubscribed:
		rc.State, rc.Kind, rc.Code = care.StateDelivered, care.KindOptedOut, "unsubscribe"
	default:
		rc.State = care.StateUndelivered
		rc.Kind, rc.Code = email.Class(e.status, e.said)
		if e.dead || e.hard && e.said == "" {
			rc.Kind = care.KindRecipient
		}
		if rc.Code == "" {
			rc.Code = map[bool]string{true: "hard", false: "soft"}[rc.Kind == care.KindRecipient]
		}
	}
	return rc
}

// texts lists every text of a JSON value, names left out: providers quote headers and ids in different places.
func texts(raw []byte) []string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var out []string
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, x := range v[:min(len(v), 500)] {
				if depth < 8 {
					walk(x, depth+1)
				}
			}
		case map[string]any:
			for _, x := range v {
				if depth < 8 {
					walk(x, depth+1)
				}
			}
		}
	}
	walk(v, 0)
	return out
}

// unix reads seconds since 1970, with or without a fraction.
func unix(n json.Number) time.Time {
	if f, err := n.Float64(); err == nil && f > 0 && f < 1e11 {
		return time.UnixMilli(int64(f * 1000)).UTC()
	}
	return time.Time{}
}

// oneOf reports whether a word is one of several, in any case.
func oneOf(word string, list ...string) bool {
	for _, one := range list {
		if strings.EqualFold(word, one) {
			return true
		}
	}
	return false
}
