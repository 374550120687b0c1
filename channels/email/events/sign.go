package events

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SNS' first kind of signature
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The headers of SendGrid's signature.
const (
	sendGridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	sendGridTime      = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// How old a signed event may be. What was taken once changes nothing the second time: the spans only have to hold the providers' repeats.
const (
	sendGridFor = time.Hour
	mailgunFor  = 9 * time.Hour // it repeats for eight
)

// ses takes a message of SNS: a notification, or the question whether we want them.
func (r *Reader) ses(ctx context.Context, body []byte) ([]event, error) {
	m, err := decode[map[string]any](body)
	if err != nil {
		return nil, err
	}
	if field(m, "TopicArn") != r.cfg.SESTopic {
		return nil, ErrForged
	}
	if err := r.signedBySNS(ctx, m); err != nil {
		return nil, err
	}
	switch field(m, "Type") {
	case "Notification":
		message := []byte(field(m, "Message"))
		if !json.Valid(message) {
			return nil, nil // "Successfully validated SNS topic for Amazon SES event publishing."
		}
		return sesEvents(message)
	case "SubscriptionConfirmation":
		if !amazon(field(m, "SubscribeURL"), "") {
			return nil, ErrForged
		}
		_, err := r.cfg.Get(ctx, field(m, "SubscribeURL"))
		return nil, err
	}
	return nil, nil
}

func field(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

var snsHost = regexp.MustCompile(`^sns\.[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}\.amazonaws\.com(?:\.cn)?$`)

// amazon reports whether an URL is one of SNS' own.
func amazon(raw, suffix string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.User == nil && snsHost.MatchString(u.Host) && strings.HasSuffix(u.Path, suffix)
}

// signedBySNS checks a message's signature.
func (r *Reader) signedBySNS(ctx context.Context, m map[string]any) error {
	fields := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if field(m, "Type") != "Notification" {
		fields = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	var text strings.Builder
	for _, name := range fields {
		if value, ok := m[name].(string); ok {
			text.WriteString(name + "\n" + value + "\n")
		}
	}
	signature, err := base64.StdEncoding.DecodeString(field(m, "Signature"))
	where := field(m, "SigningCertURL")
	if err != nil || !amazon(where, ".pem") {
		return ErrForged
	}
	key, err := r.certificate(ctx, where)
	if err != nil {
		return err
	}
	switch field(m, "SignatureVersion") {
	case "1":
		sum := sha1.Sum([]byte(text.String())) //nolint:gosec // as SNS signs it
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256([]byte(text.String()))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		return ErrForged
	}
	if err != nil {
		return ErrForged
	}
	return nil
}

// certificates are those that SNS signs with, by their URL.
type certificates struct {
	mu    sync.Mutex
	byURL map[string]*x509.Certificate
}

// certificate fetches what SNS signs with, once for each URL. The host of the URL was checked; TLS vouches for it.
func (r *Reader) certificate(ctx context.Context, where string) (*rsa.PublicKey, error) {
	r.sns.mu.Lock()
	cert := r.sns.byURL[where]
	r.sns.mu.Unlock()
	if cert == nil {
		raw, err := r.cfg.Get(ctx, where)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(raw)
		if block == nil {
			return nil, ErrForged
		}
		if cert, err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, ErrForged
		}
		r.sns.mu.Lock()
		if len(r.sns.byURL) > 16 || r.sns.byURL == nil {
			r.sns.byURL = map[string]*x509.Certificate{}
		}
		r.sns.byURL[where] = cert
		r.sns.mu.Unlock()
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if now := r.cfg.Now(); !ok || now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, ErrForged
	}
	return key, nil
}

// recent reports whether a time in seconds is near.
func (r *Reader) recent(seconds string, span time.Duration) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	return err == nil && r.cfg.Now().Sub(time.Unix(n, 0)).Abs() <= span
}

// signedBySendGrid checks the signature over time and body.
func (r *Reader) signedBySendGrid(header http.Header, body []byte) bool {
	der, err := base64.StdEncoding.DecodeString(r.cfg.SendGridKey)
	if err != nil {
		return false
	}
	public, err := x509.ParsePKIXPublicKey(der)
	key, ok := public.(*ecdsa.PublicKey)
	signature, bad := base64.StdEncoding.DecodeString(header.Get(sendGridSignature))
	at := header.Get(sendGridTime)
	if err != nil || !ok || bad != nil || !r.recent(at, sendGridFor) {
		return false
	}
	sum := sha256.Sum256(append([]byte(at), body...))
	return ecdsa.VerifyASN1(key, sum[:], signature)
}

// mailgun checks the signature, which covers a token and not the event: a token counts once, from when its event is on record.
func (r *Reader) mailgun(body []byte) (found []event, done func(), err error) {
	m, err := decode[struct {
		Signature struct{ Timestamp, Token, Signature string }
		Event     json.RawMessage `json:"event-data"`
	}](body)
	if err != nil {
		return nil, nil, err
	}
	s := m.Signature
	mac := hmac.New(sha256.New, []byte(r.cfg.MailgunKey))
	mac.Write([]byte(s.Timestamp + s.Token))
	given, err := hex.DecodeString(s.Signature)
	if err != nil || !hmac.Equal(given, mac.Sum(nil)) || s.Token == "" || !r.recent(s.Timestamp, mailgunFor) || r.spent.has(s.Token) {
		return nil, nil, ErrForged
	}
	found, err = mailgunEvent(m.Event)
	return found, func() { r.spent.add(s.Token, r.cfg.Now()) }, err
}

// tokens are those that were used.
type tokens struct {
	mu sync.Mutex
	at map[string]time.Time
}

// mostTokens bounds them.
const mostTokens = 50_000

func (t *tokens) has(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.at[token]
	return ok
}

func (t *tokens) add(token string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[string]time.Time{}
	}
	if len(t.at) >= mostTokens {
		for one, at := range t.at {
			if now.Sub(at) > mailgunFor {
				delete(t.at, one)
			}
		}
		if len(t.at) >= mostTokens {
			clear(t.at) // a flood: what is taken again changes nothing
		}
	}
	t.at[token] = now
}
