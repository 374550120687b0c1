package sms

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/answer"
	"github.com/carebell/carebell/channels/httpclient"
)

// gateway is one way to send: a driver with its settings.
type gateway interface {
	// send sends one message. text is composed already; "" on gateways that send templates.
	send(ctx context.Context, m *care.Message, text string) (outcome, error)
	// plain reports whether the gateway takes text; else it sends approved templates.
	plain() bool
	// callback reads what the gateway posts: receipts or replies.
	callback(in *inbound) (*Callback, error)
}

// outcome is a gateway's yes.
type outcome struct {
	id    string // the provider's
	parts int
	tries int
}

// provider is what every driver has.
type provider struct {
	Gateway
	client *httpclient.Client
	clock  func() time.Time
	public string   // base of callback URLs, "" = none
	tokens []string // of callback URLs that are not signed: the first goes into them, all are taken
}

// token goes into callback URLs; "" = there is none.
func (p *provider) token() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// template returns the approved template that a message has for the account, else for all accounts of its provider.
func (g *Gateway) template(m *care.Message) care.GatewayTemplate {
	if t, ok := m.Gateways[g.Name]; ok {
		return t
	}
	return m.Gateways[g.Driver]
}

// callbackURL returns the URL that a gateway calls with receipts, with the message's id on it; "" if there is no public listener.
func (p *provider) callbackURL(query string) string {
	if p.public == "" {
		return ""
	}
	u := strings.TrimRight(p.public, "/") + "/hooks/sms/" + p.Name
	if query != "" {
		u += "?" + query
	}
	return u
}

// fail builds the error for a gateway's refusal.
func fail(kind care.Kind, code string, a *httpclient.Answer) *care.Error {
	e := &care.Error{Kind: kind, Code: short(code), Err: errors.New("the gateway refused")}
	if a != nil {
		e.Tries, e.Said = a.Tries, answer.Words(words(a))
	}
	return e
}

// words are what a gateway says to people: the text of its answer, or the field of it that has one.
func words(a *httpclient.Answer) string {
	body := strings.TrimSpace(string(a.Body))
	if len(body) == 0 || body[0] == '<' {
		return ""
	}
	if body[0] != '{' && body[0] != '[' {
		return body
	}
	doc, err := decode(a.Body)
	if err != nil {
		return ""
	}
	for _, at := range []pointer{
		{"message"},
		{"Message"},
		{"msg"},
		{"errmsg"},
		{"error"},
		{"error", "message"},
		{"errors", "0", "description"},
		{"requestError", "serviceException", "text"},
		{"Response", "Error", "Message"},
		{"ResponseMetadata", "Error", "Message"},
		{"Response", "SendStatusSet", "0", "Message"},
		{"messages", "0", "error-text"},
		{"description"},
		{"error_description"},
	} {
		if said := at.text(doc); said != "" {
			return said
		}
	}
	return ""
}

// aboutNumber are words of a refusal that is about one number, whatever its status.
var aboutNumber = regexp.MustCompile(`(?i)routable|no route|\bnumber|recipient|destination|msisdn|subscriber|black-?list|white-|号码|黑名单`)

// unclear is a yes by its status whose body cannot be read: the message may have been taken.
func unclear(a *httpclient.Answer) *care.Error {
	return &care.Error{
		Kind: care.KindUncertain, Code: "http " + strconv.Itoa(a.Status), Tries: a.Tries,
		Err: errors.New("the gateway's answer cannot be read"),
	}
}

// short keeps a provider's code a code: no text of theirs gets into ours.
func short(code string) string {
	code = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._:- ", r):
			return r
		}
		return -1
	}, code)
	if len(code) > 64 {
		code = code[:64]
	}
	if len(code) > 8 && strings.Trim(code, "0123456789") == "" {
		return "number" // so long a code could be one that somebody can be called at
	}
	return code
}

// foreign cleans a provider's own id, alike in its answer and in its receipts, so that the two are found to be the same.
func foreign(id string) string {
	id = channels.OneLine(id)
	if len(id) > 128 {
		id = strings.ToValidUTF8(id[:128], "")
	}
	return id
}

// statusError classes an answer by its HTTP status alone, where the provider says nothing better.
func statusError(a *httpclient.Answer, now time.Time) *care.Error {
	e := fail(care.KindRetry, "http "+strconv.Itoa(a.Status), a)
	e.RetryAfter = httpclient.RetryAfter(a.Header, now)
	switch {
	case (a.Status == 403 || a.Status == 404) && aboutNumber.MatchString(words(a)):
		e.Kind = care.KindContent
	case a.Status == 401, a.Status == 403, a.Status == 404, a.Status == 407, a.Status == 402:
		e.Kind = care.KindOperator // wrong URL, credentials or an empty account: no message will pass
	case a.Status == 408, a.Status == 425, a.Status == 429:
	case a.Status >= 400 && a.Status < 500:
		e.Kind = care.KindContent
	case a.Status >= 300 && a.Status < 400:
		e.Kind = care.KindOperator
		e.Err = errors.New("the gateway redirects, which is not followed: correct its URL")
	}
	return e
}

// codes is what a provider's codes mean. An entry that ends in * is a prefix; the longest that fits counts.
type codes map[string]care.Kind

// kind returns what a code means, KindRetry for one that is not known.
func (c codes) kind(code string) care.Kind {
	if k, ok := c.find(code); ok {
		return k
	}
	return care.KindRetry
}

// find returns what a code means, if that is known.
func (c codes) find(code string) (kind care.Kind, found bool) {
	if k, ok := c[code]; ok {
		return k, true
	}
	best := -1
	for pattern, k := range c {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(code, prefix) && len(prefix) > best {
			best, kind, found = len(prefix), k, true
		}
	}
	return kind, found
}
