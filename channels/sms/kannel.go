package sms

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

// kannel speaks to smsbox's sendsms (Kannel user guide, "Sending SMS messages"; gw/smsbox.c).
type kannel struct {
	provider
	target *url.URL // the request without what a message says
	// What stands between the fields of a message in the query, escaped.
	wishes  [2]string // around the id; "" = no receipts are asked for
	account string    // after the receipt's, before the text
	user    string    // after the number
}

func newKannel(p provider) (gateway, error) {
	if p.URL == "" {
		return nil, errors.New("set CARE_SMS_URL to smsbox's sendsms, e.g. http://127.0.0.1:13013/cgi-bin/sendsms")
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, errors.New("its URL is no http(s) URL")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/cgi-bin/sendsms"
	}
	k := &kannel{provider: p, target: u, user: "&username=" + url.QueryEscape(p.User)}
	if p.From != "" {
		k.account = "&from=" + url.QueryEscape(p.From)
	}
	k.account += "&password=" + url.QueryEscape(p.Password) + "&text="
	if before := p.callbackURL("token=" + url.QueryEscape(p.token()) + "&id="); before != "" {
		// It carries Kannel's escapes: %d the event, %A the SMSC's words, %F its id, %T the time.
		k.wishes = [2]string{"&dlr-mask=31&dlr-url=" + url.QueryEscape(before), url.QueryEscape("&event=%d&reply=%A&foreign=%F&at=%T")}
	}
	return k, nil
}

func (k *kannel) plain() bool { return true }

// send is a GET, because smsbox answers a form with 400. It returns no id of its own: ours stands in the dlr-url.
func (k *kannel) send(ctx context.Context, m *care.Message, text string) (outcome, error) {
	target := *k.target
	var room [1 << 10]byte // enough for nearly all, and no garbage
	target.RawQuery = string(k.query(room[:0], m, text))
	a, err := k.client.Do(ctx, &httpclient.Request{Method: http.MethodGet, Target: &target})
	if err != nil {
		return outcome{}, err
	}
	return k.read(a)
}

// query writes the fields in the order of their names.
func (k *kannel) query(b []byte, m *care.Message, text string) []byte {
	if k.target.RawQuery != "" || k.target.ForceQuery {
		b = append(append(b, k.target.RawQuery...), '&')
	}
	coding := "charset=UTF-8&coding=2"
	if _, ok := gsmLength(text); ok {
		coding = "charset=UTF-8&coding=0"
	}
	b = append(b, coding...)
	if k.wishes[0] != "" {
		b = append(b, k.wishes[0]...)
		b = appendQuery(b, url.QueryEscape(m.WireID()))
		b = append(b, k.wishes[1]...)
	}
	b = append(b, k.account...)
	b = appendQuery(b, text)
	b = append(b, "&to="...)
	b = appendQuery(b, m.To)
	b = append(b, k.user...)
	if !m.Expires.IsZero() {
		// In minutes; a message that is late anyway is still worth a quarter of an hour.
		b = append(b, "&validity="...)
		b = strconv.AppendInt(b, max(15, min(int64(m.Expires.Sub(k.clock())/time.Minute), 7*24*60)), 10)
	}
	return b
}

// appendQuery escapes as url.QueryEscape does.
func appendQuery(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

func (k *kannel) read(a *httpclient.Answer) (outcome, error) {
	body := bytes.TrimSpace(a.Body)
	switch {
	case a.Status == http.StatusAccepted && (bytes.HasPrefix(body, []byte("0:")) || bytes.HasPrefix(body, []byte("3:"))):
		return outcome{tries: a.Tries}, nil
	case a.Status >= 200 && a.Status < 300:
		return outcome{}, unclear(a)
	}
	e := statusError(a, k.clock())
	if a.Status == http.StatusForbidden && len(body) > 0 && !bytes.Contains(body, []byte("Authorization failed")) {
		e.Kind = care.KindContent // "Not routable. Do not try again.": of this number (gw/smsbox.c)
	}
	return outcome{}, e
}
