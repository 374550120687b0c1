package sms

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// kannel speaks to smsbox's sendsms (Kannel user guide, "Sending SMS messages"; gw/smsbox.c).
type kannel struct{ provider }

func newKannel(p provider) (gateway, error) {
	if p.URL == "" {
		return nil, errors.New("set CARE_SMS_URL to smsbox's sendsms, e.g. http://127.0.0.1:13013/cgi-bin/sendsms")
	}
	u, _ := url.Parse(p.URL)
	if u.Path == "" || u.Path == "/" {
		p.URL = strings.TrimRight(p.URL, "/") + "/cgi-bin/sendsms"
	}
	return &kannel{p}, nil
}

func (k *kannel) plain() bool { return true }

// send is a GET, because smsbox answers a form with 400. It returns no id of its own: ours stands in the dlr-url.
func (k *kannel) send(ctx context.Context, m *care.Message, text string) (outcome, error) {
	q := url.Values{
		"username": {k.User}, "password": {k.Password}, "to": {m.To}, "text": {text}, "charset": {"UTF-8"}, "coding": {"2"},
	}
	if _, ok := gsmLength(text); ok {
		q.Set("coding", "0")
	}
	if k.From != "" {
		q.Set("from", k.From)
	}
	if !m.Expires.IsZero() {
		// In minutes; a message that is late anyway is still worth a quarter of an hour.
		q.Set("validity", strconv.Itoa(max(15, min(int(m.Expires.Sub(k.clock())/time.Minute), 7*24*60))))
	}
	if receipt := k.receiptURL(m.WireID()); receipt != "" {
		q.Set("dlr-mask", "31")
		q.Set("dlr-url", receipt)
	}
	target := k.URL + "?" + q.Encode()
	if strings.Contains(k.URL, "?") {
		target = k.URL + "&" + q.Encode()
	}
	a, err := k.client.Do(ctx, &channels.Request{Method: http.MethodGet, URL: target})
	if err != nil {
		return outcome{}, err
	}
	return k.read(a)
}

// receiptURL carries Kannel's escapes: %d the event, %A the SMSC's words, %F its id, %T the time. They may not be escaped again.
func (k *kannel) receiptURL(id string) string {
	return k.callbackURL("token=" + url.QueryEscape(k.token) + "&id=" + url.QueryEscape(id) + "&event=%d&reply=%A&foreign=%F&at=%T")
}

func (k *kannel) read(a *channels.Answer) (outcome, error) {
	body := bytes.TrimSpace(a.Body)
	switch {
	case a.Status == http.StatusAccepted && (bytes.HasPrefix(body, []byte("0:")) || bytes.HasPrefix(body, []byte("3:"))):
		return outcome{tries: a.Tries}, nil
	case a.Status >= 200 && a.Status < 300:
		return outcome{}, unclear(a)
	}
	return outcome{}, statusError(a, k.clock())
}
