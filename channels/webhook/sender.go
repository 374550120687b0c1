package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/httpclient"
)

// Timeout is how long a message with its repeats may take unless a Config says otherwise (Standard Webhooks: 15 to 30 s).
const Timeout = 20 * time.Second

// Config says where webhooks go by default and how they are signed. Clock is required, URL unless every message has its own.
type Config struct {
	URL string // CARE_WEBHOOK_URL
	// Secrets sign every request; two while a key is being changed. whsec_… for Standard Webhooks; the plain secret of a DingTalk
	// or Feishu bot.
	Secrets []string
	Preset  Preset // "" = by the endpoint's host
	// AllowHosts may lie inside of the network; the host of URL may too, because the operator set it.
	AllowHosts  []string
	Connections int           // kept per host; 0 = 32
	Timeout     time.Duration // of one message with its repeats; 0 = Timeout
	TLS         *tls.Config   // nil: the system's roots
	Clock       func() time.Time
}

// Sender posts webhooks. It is safe for many goroutines.
type Sender struct {
	cfg       Config
	keys      []*signer
	botSecret string
	client    *httpclient.Client
	known     sync.Map // URL → *target: the endpoints of messages, read once
	count     atomic.Int32
}

// target is an endpoint that was read.
type target struct {
	url    *url.URL
	preset Preset
}

// mostKnown bounds what is kept of endpoints: they come from the book, which can be read anew without end.
const mostKnown = 1000

// target reads an endpoint.
func (s *Sender) target(raw string) (*target, error) {
	if t, ok := s.known.Load(raw); ok {
		return t.(*target), nil
	}
	u, err := endpoint(raw)
	if err != nil {
		return nil, err
	}
	t := &target{u, s.cfg.Preset}
	if t.preset == "" {
		t.preset = presetOf(u)
	}
	if s.count.Add(1) <= mostKnown {
		s.known.Store(raw, t)
	}
	return t, nil
}

// New checks the settings. It connects to nothing.
func New(cfg Config) (*Sender, error) {
	if cfg.Clock == nil {
		return nil, errors.New("webhook: no clock")
	}
	if !cfg.Preset.known() {
		return nil, fmt.Errorf("webhook: unknown preset %q; there are standard, wecom, dingtalk, feishu and cloudevents", cfg.Preset)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = Timeout
	}
	s := &Sender{cfg: cfg}
	allowed := cfg.AllowHosts
	preset := cfg.Preset
	if cfg.URL != "" {
		u, err := endpoint(cfg.URL)
		if err != nil {
			return nil, errors.New("webhook: CARE_WEBHOOK_URL is no http(s) URL")
		}
		allowed = append([]string{u.Hostname()}, allowed...)
		if preset == "" {
			preset = presetOf(u)
		}
	}
	for i, secret := range cfg.Secrets {
		if preset.bot() && !strings.HasPrefix(secret, Prefix) {
			s.botSecret = secret
			continue
		}
		key, err := parseSecret(secret)
		if err != nil {
			return nil, fmt.Errorf("webhook: secret %d: %w", i+1, err)
		}
		s.keys = append(s.keys, newSigner(key))
	}
	s.client = httpclient.New(httpclient.Config{
		Connections: cfg.Connections, Timeout: cfg.Timeout, IdleTimeout: 90 * time.Second, // a repeat is harmless here
		Guard: httpclient.NewGuard(allowed), TLS: cfg.TLS,
	})
	return s, nil
}

// Close closes idle connections.
func (s *Sender) Close() error { return s.client.Close() }

func endpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("no http(s) URL")
	}
	return u, nil
}

// content is a defect of the message itself: no repeat will help.
func content(code, cause string) *care.Error {
	return &care.Error{Kind: care.KindContent, Code: code, Err: errors.New(cause)}
}

// Send posts a message to m.To, or to the configured endpoint. The body is the template's, else an envelope {type, timestamp,
// data}. An error is a *care.Error whose code is "http <status>", the bot's own code, or a word of httpclient.Client.
func (s *Sender) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	req, preset, err := s.request(m)
	if err != nil {
		return care.Receipt{}, err
	}
	a, err := s.client.Do(ctx, req)
	if err != nil {
		return care.Receipt{}, err
	}
	now := s.cfg.Clock()
	if e := judge(a, preset, now); e != nil {
		return care.Receipt{}, e
	}
	return care.Receipt{ID: m.ID, Channel: care.Webhook, Gateway: string(preset), State: care.StateSent, Tries: a.Tries, Reached: a.Reached, At: now}, nil
}

// Exchange is a request and its answer, for the person who sets an endpoint up. It holds what Send never tells: show it to nobody else.
type Exchange struct {
	Method, URL string
	Header      http.Header
	Body        []byte
	Status      int // 0 = no answer
	Answer      http.Header
	AnswerBody  []byte
	Took        time.Duration
}

// Test posts a message as Send does, and shows what went and what came back.
func (s *Sender) Test(ctx context.Context, m *care.Message) (Exchange, error) {
	req, preset, err := s.request(m)
	if err != nil {
		return Exchange{}, err
	}
	x := Exchange{Method: req.Method, URL: req.URL, Body: req.Body}
	sign := req.Prepare
	req.Prepare = func(r *http.Request) error {
		err := sign(r)
		x.URL, x.Header = r.URL.String(), r.Header.Clone()
		return err
	}
	start := s.cfg.Clock()
	a, err := s.client.Do(ctx, req)
	x.Took = s.cfg.Clock().Sub(start)
	if err != nil {
		return x, err
	}
	x.Status, x.Answer, x.AnswerBody = a.Status, a.Header, a.Body
	if e := judge(a, preset, s.cfg.Clock()); e != nil {
		return x, e
	}
	return x, nil
}

// Event is something that happened, for a system of the dealership.
type Event struct {
	ID   string // the same on every repeat; care.ValidID, at most 56 characters
	Type string // e.g. task or message.sent
	At   time.Time
	Data any // marshalled as JSON
	// Text is the same in words, which is all that a group bot takes; without it nothing is posted to a bot.
	Text string
	More string // where more of it stands, for a text that is too long for a bot; "" = nowhere
}

// Bot reports whether events go to a group bot, which tells no repeat from a second message.
func (s *Sender) Bot() bool {
	t, err := s.target(s.cfg.URL)
	return err == nil && t.preset.bot()
}

// Post sends an event to the configured endpoint as Standard Webhooks (or CloudEvents) say. Errors as for Send.
func (s *Sender) Post(ctx context.Context, e Event) error {
	inner, err := json.Marshal(e.Data)
	if err != nil {
		return content("bad_event", "the event cannot be written as JSON")
	}
	preset := s.cfg.Preset
	if t, err := s.target(s.cfg.URL); err == nil {
		preset = t.preset
	}
	m := &care.Message{ID: e.ID, Channel: care.Webhook, Program: e.Type, At: e.At, Body: inner}
	switch {
	case preset.bot():
		if m.Body, m.Text = nil, []byte(cut(e.Text, botTexts[preset], e.More)); e.Text == "" {
			return nil
		}
	case preset != CloudEvents:
		if m.Body, err = json.Marshal(envelope{Type: e.Type, Timestamp: e.At.UTC().Format(time.RFC3339), Data: json.RawMessage(inner)}); err != nil {
			return content("bad_event", "the event cannot be written as JSON")
		}
	}
	_, err = s.Send(ctx, m)
	return err
}

func (s *Sender) request(m *care.Message) (*httpclient.Request, Preset, error) {
	id := m.WireID()
	if !care.ValidID(id) {
		return nil, "", content("bad_id", "the message's id is none")
	}
	raw := cmp.Or(m.To, s.cfg.URL)
	if raw == "" {
		return nil, "", &care.Error{Kind: care.KindOperator, Code: "no_endpoint", Err: errors.New("no endpoint: set CARE_WEBHOOK_URL or the dealer's webhook")}
	}
	t, err := s.target(raw)
	if err != nil {
		return nil, "", content("bad_url", "the endpoint is no http(s) URL")
	}
	preset := t.preset
	at := m.At
	if at.IsZero() {
		at = s.cfg.Clock()
	}
	body, contentType, err := s.body(preset, m, at)
	if err != nil {
		return nil, "", content("bad_body", err.Error())
	}
	if len(body) > limits[preset] {
		return nil, "", content("too_large", fmt.Sprintf("the body is larger than the endpoint takes, %d bytes", limits[preset]))
	}
	method, err := methodOf(m.Method)
	if err != nil {
		return nil, "", err
	}
	header, err := headers(m.Headers)
	if err != nil {
		return nil, "", err
	}
	if header.Get("Content-Type") == "" {
		header["Content-Type"] = []string{contentType}
	}
	header["User-Agent"] = userAgent
	if method == http.MethodGet {
		body = nil
	}
	return &httpclient.Request{
		Method: method, URL: raw, Target: t.url, Header: header, Body: body,
		Repeat:  !preset.bot(), // a bot checks no id: a repeat would be a second post
		Prepare: func(r *http.Request) error { return s.sign(r, preset, id, body) },
	}, preset, nil
}

var userAgent = []string{"carebell"}

// sign puts id, time and signature on a try.
func (s *Sender) sign(r *http.Request, p Preset, id string, body []byte) error {
	now := s.cfg.Clock()
	switch {
	case p == DingTalk && s.botSecret != "":
		u := *r.URL
		q := u.Query()
		q.Set("timestamp", strconv.FormatInt(now.UnixMilli(), 10))
		q.Set("sign", dingTalkSign(s.botSecret, now))
		u.RawQuery = q.Encode()
		r.URL = &u
	case p.bot():
	default:
		values := [...]string{id, strconv.FormatInt(now.Unix(), 10), ""}
		r.Header["Webhook-Id"], r.Header["Webhook-Timestamp"] = values[0:1:1], values[1:2:2]
		if len(s.keys) > 0 {
			values[2] = signature(s.keys, id, values[1], body)
			r.Header["Webhook-Signature"] = values[2:3:3]
		}
	}
	return nil
}

func methodOf(m string) (string, error) {
	switch m = strings.ToUpper(m); m {
	case "":
		return http.MethodPost, nil
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet, http.MethodDelete:
		return m, nil
	}
	return "", content("bad_method", "the template's method is none of POST, PUT, PATCH, GET and DELETE")
}

// reserved headers are ours or the connection's.
var reserved = map[string]bool{
	"Webhook-Id": true, "Webhook-Timestamp": true, "Webhook-Signature": true, "Host": true, "Content-Length": true,
	"Transfer-Encoding": true, "Connection": true, "Trailer": true, "Te": true, "Upgrade": true, "Expect": true,
}

// headers checks a template's headers: the names are tokens, the values are cleaned.
func headers(in map[string]string) (http.Header, error) {
	out := make(http.Header, len(in)+5)
	for name, value := range in {
		key := http.CanonicalHeaderKey(name)
		if !token(name) || reserved[key] {
			return nil, content("bad_header", "a header of the template has a name that is not allowed")
		}
		out.Set(key, channels.OneLine(value))
	}
	return out, nil
}

// token is RFC 9110 section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// judge classes an answer.
func judge(a *httpclient.Answer, p Preset, now time.Time) *care.Error {
	if a.Status >= 200 && a.Status < 300 {
		if !p.bot() {
			return nil
		}
		e := botAnswer(a.Body)
		if e != nil {
			e.Tries, e.Reached = a.Tries, a.Reached
		}
		return e
	}
	e := &care.Error{
		Kind: care.KindRetry, Code: "http " + strconv.Itoa(a.Status), RetryAfter: httpclient.RetryAfter(a.Header, now), Tries: a.Tries, Reached: a.Reached,
		Err: errors.New("the endpoint refused"),
	}
	switch a.Status {
	case http.StatusGone: // Standard Webhooks: the endpoint wants nothing more
		e.Kind, e.Err = care.KindOperator, errors.New("the endpoint says that it is gone: remove it or resume the channel")
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		e.Kind, e.Err = care.KindOperator, errors.New("the endpoint refuses our signature or credentials")
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusLengthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		e.Kind, e.Err = care.KindContent, errors.New("the endpoint does not take this message")
	default:
		if a.Status >= 300 && a.Status < 400 {
			e.Err = errors.New("the endpoint redirects, which is not followed: correct its URL")
		}
	}
	return e
}
