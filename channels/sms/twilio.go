package sms

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's own scheme
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

// twilio speaks the Programmable Messaging API of 2010-04-01 (twilio/twilio-oai, spec/json/twilio_api_v2010.json). It has no
// idempotency key: our id travels in the StatusCallback.
type twilio struct{ provider }

// twilioCodes are from Twilio's error dictionary.
var twilioCodes = codes{
	"20429": care.KindRetry, "30001": care.KindRetry, "21730": care.KindRetry, "30003": care.KindRetry,
	"21211": care.KindRecipient, "21614": care.KindRecipient, "30005": care.KindRecipient, "30006": care.KindRecipient,
	"21610": care.KindOptedOut,
	"30610": care.KindDefer,
	"20003": care.KindOperator, "20404": care.KindOperator, "10001": care.KindOperator, "21606": care.KindOperator,
	"21608": care.KindOperator, "30034": care.KindOperator,
	// Of one number: no route from this sender to it (21612), its country is not switched on (21408), a landline (21635).
	"21612": care.KindContent, "21408": care.KindContent, "21635": care.KindRecipient,
	"21611": care.KindRetry,                              // the sender's queue is full, with status 400 or 429
	"30007": care.KindContent,                            // a carrier's filter took this text
	"21602": care.KindContent, "21617": care.KindContent, // no body; longer than 1600
}

// maxTwilio is the longest body, in UTF-16 units.
const maxTwilio = 1600

func newTwilio(p provider) (gateway, error) {
	if p.User == "" || p.Password == "" || p.From == "" {
		return nil, errors.New("set CARE_SMS_USER to the Account SID, CARE_SMS_PASSWORD to the auth token and CARE_SMS_FROM to a number or Messaging Service SID")
	}
	if p.URL == "" {
		p.URL = "https://api.twilio.com"
	}
	return &twilio{p}, nil
}

func (t *twilio) plain() bool { return true }

func (t *twilio) send(ctx context.Context, m *care.Message, text string) (outcome, error) {
	if len(utf16.Encode([]rune(text))) > maxTwilio {
		return outcome{}, content("too_long", "the text is longer than 1600 characters")
	}
	form := url.Values{"To": {m.To}, "Body": {text}}
	if strings.HasPrefix(t.From, "MG") {
		form.Set("MessagingServiceSid", t.From)
	} else {
		form.Set("From", t.From)
	}
	if receipt := t.callbackURL("id=" + m.WireID()); receipt != "" {
		form.Set("StatusCallback", receipt)
	}
	if !m.Expires.IsZero() {
		form.Set("ValidityPeriod", strconv.Itoa(max(60, min(int(m.Expires.Sub(t.clock())/time.Second), 36000))))
	}
	header := http.Header{
		"Content-Type":  {"application/x-www-form-urlencoded"},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(t.User+":"+t.Password))},
		"Accept":        {"application/json"},
	}
	target := strings.TrimRight(t.URL, "/") + "/2010-04-01/Accounts/" + url.PathEscape(t.User) + "/Messages.json"
	a, err := t.client.Do(ctx, &httpclient.Request{Method: http.MethodPost, URL: target, Header: header, Body: []byte(form.Encode())})
	if err != nil {
		return outcome{}, err
	}
	return t.read(a)
}

func (t *twilio) read(a *httpclient.Answer) (outcome, error) {
	var answer struct {
		SID       string      `json:"sid"`
		Status    any         `json:"status"` // a word, or in an error the HTTP status
		Segments  string      `json:"num_segments"`
		ErrorCode json.Number `json:"error_code"`
		Code      json.Number `json:"code"`
	}
	err := json.Unmarshal(a.Body, &answer)
	if a.Status >= 200 && a.Status < 300 {
		if err != nil || answer.SID == "" {
			return outcome{}, unclear(a)
		}
		if status, _ := answer.Status.(string); status == "failed" || status == "undelivered" {
			return outcome{}, fail(twilioCodes.kind(answer.ErrorCode.String()), answer.ErrorCode.String(), a)
		}
		return outcome{id: answer.SID, parts: number(answer.Segments), tries: a.Tries}, nil
	}
	e := statusError(a, t.clock())
	if code := answer.Code.String(); err == nil && code != "" && a.Status < 500 {
		e.Code = short(code)
		if kind, known := twilioCodes[code]; known {
			e.Kind = kind
		}
	}
	return outcome{}, e
}

// twilioSignature is base64(HMAC-SHA1(token, URL and each key and value, sorted by key)). Whatever fields arrive are signed.
func twilioSignature(token, target string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(target))
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		values := slices.Clone(form[k])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			mac.Write([]byte(k + v))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// callback reads a status callback or an incoming message. Twilio signs both.
func (t *twilio) callback(in *inbound) (*Callback, error) {
	form := in.form()
	want := twilioSignature(t.Password, t.callbackURL(in.URL.RawQuery), form)
	if t.public == "" || !hmac.Equal([]byte(want), []byte(in.Header.Get("X-Twilio-Signature"))) {
		return nil, ErrForged
	}
	c := &Callback{Answer: []byte("<Response></Response>"), ContentType: "text/xml"}
	sid := form.Get("MessageSid")
	status := form.Get("MessageStatus")
	if status == "" || status == "received" || status == "receiving" {
		if sid == "" || form.Get("From") == "" {
			return nil, ErrUnreadable
		}
		r := t.reply(sid, form.Get("From"), form.Get("To"), form.Get("Body"))
		switch form.Get("OptOutType") {
		case "STOP":
			r.OptOut = true
		case "START":
			r.OptIn = true
		}
		c.Replies = []Reply{r}
		return c, nil
	}
	r := t.receipt(in.query.Get("id"), foreign(sid))
	r.Code, r.To = short(form.Get("ErrorCode")), t.plus(form.Get("To"))
	switch status {
	case "accepted", "scheduled", "queued", "sending", "sent":
		r.State = care.StateSent
	case "delivered", "read":
		r.State = care.StateDelivered
	case "undelivered":
		r.State, r.Kind = care.StateUndelivered, twilioCodes.kind(r.Code)
	case "failed", "canceled":
		r.State, r.Kind = care.StateFailed, twilioCodes.kind(r.Code)
	default:
		return nil, ErrUnreadable
	}
	c.Receipts = []care.Receipt{r}
	return c, nil
}
