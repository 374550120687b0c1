package sms

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

// StatusSpec says how a gateway is asked what became of a message.
type StatusSpec struct {
	Method  string            `yaml:"method"`
	URL     string            `yaml:"url"`
	Body    string            `yaml:"body"`
	Headers map[string]string `yaml:"headers"`
	Report  *ReceiptSpec      `yaml:"report"` // how the answer is read; without it as receipts are
}

// BalanceSpec says how a gateway is asked what the account is worth.
type BalanceSpec struct {
	Method  string            `yaml:"method"`
	URL     string            `yaml:"url"`
	Body    string            `yaml:"body"`
	Headers map[string]string `yaml:"headers"`
	Value   string            `yaml:"value"`
	Low     float64           `yaml:"low"` // below it, somebody is told
}

// TokenSpec says how the token is asked for that the other requests carry.
type TokenSpec struct {
	Method    string `yaml:"method"`
	URL       string `yaml:"url"`
	Body      string `yaml:"body"`
	Format    string `yaml:"format"`
	Auth      Auth   `yaml:"auth"`
	Value     string `yaml:"value"`
	ExpiresIn string `yaml:"expires_in"` // where the seconds are that it holds; "" = until it is refused
	// Refused are codes of answers that mean that the token holds no longer, beside HTTP 401.
	Refused []string `yaml:"refused"`
}

// ask asks what became of a message. Only a report on this very message is an answer.
func (g *generic) ask(ctx context.Context, q *Question) (care.Receipt, error) {
	spec := g.spec.Status
	if spec == nil || (q.ProviderID == "" && strings.Contains(spec.URL+spec.Body, "{provider_id}")) {
		return care.Receipt{}, ErrUnknown
	}
	to, err := g.number(q.To, q.Country)
	if err != nil {
		return care.Receipt{}, ErrUnknown
	}
	values := g.account()
	values["to"], values["country"], values["provider_id"] = to, q.Country, q.ProviderID
	values["id"] = q.ID + "-" + string(care.SMS)
	doc, err := g.answerTo(ctx, g.spec.question(spec.Method, spec.URL, spec.Body, spec.Headers), values)
	if err != nil {
		return care.Receipt{}, err
	}
	for _, entry := range listed(doc, spec.Report.List) {
		r, ok := g.readReceipt(spec.Report, entry)
		if !ok || (spec.Report.ID != "" && r.ID != q.ID) || (r.ProviderID != "" && q.ProviderID != "" && r.ProviderID != q.ProviderID) {
			continue
		}
		r.ID, r.To = q.ID, q.To
		return r, nil
	}
	return care.Receipt{}, ErrUnknown
}

// answerTo asks a question and reads the answer: ErrUnknown for HTTP 404. A question that got lost may be asked again.
func (g *generic) answerTo(ctx context.Context, r *request, values map[string]string) (any, error) {
	a, err := g.call(ctx, r, values)
	if err != nil {
		return nil, repeatable(err, "")
	}
	if a.Status == http.StatusNotFound {
		return nil, ErrUnknown
	}
	if a.Status < 200 || a.Status > 299 {
		return nil, statusError(a, g.clock())
	}
	doc, err := g.document(a)
	if err != nil {
		return nil, repeatable(unclear(a), "")
	}
	return doc, nil
}

// document reads an answer: as the file says of them, unless it is plainly JSON or XML.
func (g *generic) document(a *httpclient.Answer) (any, error) {
	format := g.spec.Answer.Format
	switch body := bytes.TrimSpace(a.Body); {
	case bytes.HasPrefix(body, []byte("{")), bytes.HasPrefix(body, []byte("[")):
		format = "json"
	case bytes.HasPrefix(body, []byte("<")):
		format = "xml"
	}
	return document(a.Body, format, g.pattern)
}

// repeatable turns a failure of a request that sends nothing into one that may be repeated.
func repeatable(err error, code string) error {
	e, ok := errors.AsType[*care.Error](err)
	if !ok {
		return err
	}
	out := *e
	out.Code = code + e.Code
	if e.Kind == care.KindUncertain {
		out.Kind = care.KindRetry
	}
	return &out
}

// Balance is what an account is worth.
type Balance struct {
	Gateway string
	Value   float64
	Low     float64 // below it, somebody should act; 0 = never
	Err     error   // why the value is not known
}

// Balances asks the gateways that can be asked.
func (s *Sender) Balances(ctx context.Context) []Balance {
	var all []Balance
	for _, r := range s.gateways {
		if g, ok := r.gateway.(*generic); ok && g.spec.Balance != nil {
			b := Balance{Gateway: r.Name, Low: g.spec.Balance.Low}
			if b.Value, b.Err = g.balance(ctx); !errors.Is(b.Err, errNoLimit) {
				all = append(all, b)
			}
		}
	}
	return all
}

// errNoLimit is of an account that has no balance: its gateway answers with a word, such as ND.
var errNoLimit = errors.New("the account has no limit")

func (g *generic) balance(ctx context.Context) (float64, error) {
	spec := g.spec.Balance
	doc, err := g.answerTo(ctx, g.spec.question(spec.Method, spec.URL, spec.Body, spec.Headers), g.account())
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(at(spec.Value, doc))
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case text == "" || math.IsNaN(value):
		return 0, errors.New("the answer has no balance at " + spec.Value)
	case err != nil:
		return 0, errNoLimit
	}
	return value, nil
}

// bearer is a token of two-step log-ins. It is kept in memory only.
type bearer struct {
	spec  *TokenSpec
	turn  chan struct{} // one request for a token at a time
	value string
	until time.Time // zero = until it is refused
}

func newBearer(spec *TokenSpec) *bearer {
	if spec == nil {
		return nil
	}
	return &bearer{spec: spec, turn: make(chan struct{}, 1)}
}

// get returns the token, and asks for one if there is none that holds.
func (b *bearer) get(ctx context.Context, g *generic) (string, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return "", &care.Error{Kind: care.KindRetry, Code: "token canceled", Err: ctx.Err()}
	}
	if b.value != "" && (b.until.IsZero() || g.clock().Before(b.until)) {
		return b.value, nil
	}
	r := &request{method: b.spec.Method, url: b.spec.URL, body: b.spec.Body, format: b.spec.Format, auth: &b.spec.Auth}
	a, err := g.do(ctx, r, g.account())
	if err != nil {
		return "", repeatable(err, "token ")
	}
	if a.Status < 200 || a.Status > 299 {
		e := statusError(a, g.clock())
		if e.Code = "token " + e.Code; e.Kind == care.KindContent { // it is the log-in that is refused, not a message
			e.Kind = care.KindOperator
		}
		return "", e
	}
	doc, err := g.document(a)
	value := at(b.spec.Value, doc)
	if err != nil || value == "" {
		return "", &care.Error{Kind: care.KindOperator, Code: "token missing", Err: errors.New("the answer has no token at " + b.spec.Value)}
	}
	b.value, b.until = value, time.Time{}
	if seconds, err := strconv.ParseFloat(at(b.spec.ExpiresIn, doc), 64); err == nil && seconds > 0 {
		holds := time.Duration(seconds * float64(time.Second))
		b.until = g.clock().Add(holds - min(time.Minute, holds/2))
	}
	return value, nil
}

// forget drops a token that was refused, unless there is a new one already.
func (b *bearer) forget(token string) {
	b.turn <- struct{}{}
	if b.value == token {
		b.value = ""
	}
	<-b.turn
}

// refused reports whether an answer says that the token holds no longer.
func (g *generic) refused(a *httpclient.Answer) bool {
	if a.Status == http.StatusUnauthorized {
		return true
	}
	doc, err := g.document(a)
	return err == nil && slices.Contains(g.token.spec.Refused, g.codeOf(doc))
}
