package sms

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/channels/httpclient"
)

// vonage speaks Vonage's SMS API (Nexmo/api-specification, definitions/sms.yml). HTTP 200 says nothing there: each part has a
// status of its own.
type vonage struct{ provider }

var vonageCodes = codes{
	"1": care.KindRetry, "5": care.KindRetry, "10": care.KindRetry,
	"4": care.KindOperator, "8": care.KindOperator, "9": care.KindOperator, "11": care.KindOperator, "14": care.KindOperator,
	"15": care.KindOperator, "29": care.KindOperator, "32": care.KindOperator,
	"2": care.KindContent, "3": care.KindContent, "6": care.KindContent, "7": care.KindContent, "12": care.KindContent,
	"22": care.KindContent, "23": care.KindContent, "33": care.KindContent,
}

// vonageReceipts are the err-codes of receipts.
var vonageReceipts = codes{
	"2": care.KindRetry, "7": care.KindRetry, "8": care.KindRetry,
	"3": care.KindRecipient, "4": care.KindRecipient,
	"9": care.KindOptedOut,
}

func newVonage(p provider) (gateway, error) {
	if p.User == "" || p.Password == "" || p.From == "" {
		return nil, errors.New("set CARE_SMS_USER to the API key, CARE_SMS_PASSWORD to the API secret and CARE_SMS_FROM")
	}
	if p.URL == "" {
		p.URL = "https://rest.nexmo.com/sms/json"
	}
	return &vonage{p}, nil
}

func (v *vonage) plain() bool { return true }

func (v *vonage) send(ctx context.Context, m *care.Message, text string) (outcome, error) {
	to, err := contact.Digits(m.To, "") // it always expects the calling code (definitions/sms.yml, to)
	if err != nil {
		return outcome{}, otherNumber()
	}
	form := url.Values{
		"api_key": {v.User}, "api_secret": {v.Password}, "from": {strings.TrimPrefix(v.From, "+")}, "to": {to}, "text": {text},
		"type": {"unicode"}, "client-ref": {m.WireID()},
	}
	if _, ok := gsmLength(text); ok {
		form.Set("type", "text")
	}
	if !m.Expires.IsZero() {
		form.Set("ttl", strconv.FormatInt(max(20_000, min(m.Expires.Sub(v.clock()).Milliseconds(), (7*24*time.Hour).Milliseconds())), 10))
	}
	if receipt := v.callbackURL("token=" + url.QueryEscape(v.token())); receipt != "" {
		form.Set("callback", receipt)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a, err := v.client.Do(ctx, &httpclient.Request{Method: http.MethodPost, URL: v.URL, Header: header, Body: []byte(form.Encode())})
	if err != nil {
		return outcome{}, err
	}
	return v.read(a)
}

func (v *vonage) read(a *httpclient.Answer) (outcome, error) {
	if a.Status < 200 || a.Status >= 300 {
		return outcome{}, statusError(a, v.clock())
	}
	var answer struct {
		Messages []struct {
			Status string `json:"status"`
			ID     string `json:"message-id"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || len(answer.Messages) == 0 {
		return outcome{}, unclear(a)
	}
	taken, refused := 0, ""
	for _, part := range answer.Messages {
		switch {
		case part.Status == "0":
			taken++
		case refused == "":
			refused = part.Status
		}
	}
	switch {
	case refused == "" && taken == len(answer.Messages):
		return outcome{id: answer.Messages[0].ID, parts: taken, tries: a.Tries}, nil
	case taken > 0: // some parts are on their way: neither sent nor failed
		e := unclear(a)
		e.Code, e.Err = short(refused), errors.New("the gateway took only some parts")
		return outcome{}, e
	case refused == "":
		return outcome{}, unclear(a)
	}
	return outcome{}, fail(vonageCodes.kind(refused), refused, a)
}

// callback reads a receipt or an incoming message: JSON, a form or a query, as the account is set to.
func (v *vonage) callback(in *inbound) (*Callback, error) {
	if err := v.trusted(in); err != nil {
		return nil, err
	}
	field := v.fields(in)
	c := &Callback{ContentType: "text/plain; charset=utf-8"}
	status, text := field("status"), field("text")
	if status == "" {
		if field("msisdn") == "" || (text == "" && field("keyword") == "") {
			return nil, ErrUnreadable
		}
		if text == "" {
			text = field("keyword")
		}
		c.Replies = []Reply{v.reply(field("messageId"), full(field("msisdn")), field("to"), text)}
		return c, nil
	}
	r := v.receipt(field("client-ref"), foreign(field("messageId")))
	r.To = full(field("msisdn"))
	code := field("err-code")
	if code != "0" {
		r.Code = short(code)
	}
	switch status {
	case "delivered":
		r.State = care.StateDelivered
	case "accepted", "buffered", "unknown":
		r.State = care.StateSent
	case "expired", "failed", "rejected":
		r.State, r.Kind = care.StateUndelivered, vonageReceipts.kind(code)
	default:
		return nil, ErrUnreadable
	}
	c.Receipts = []care.Receipt{r}
	return c, nil
}

// full is a number of Vonage's with its plus: it always has the country's code (definitions/sms.yml, msisdn).
func full(msisdn string) string {
	if msisdn == "" {
		return ""
	}
	return "+" + strings.TrimPrefix(msisdn, "+")
}

func (v *vonage) fields(in *inbound) func(string) string {
	if form := in.form(); len(form) > 0 {
		return form.Get
	}
	if doc, err := decode(in.body); err == nil {
		return func(name string) string { return pointer{name}.text(doc) }
	}
	return in.query.Get
}
