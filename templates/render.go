package templates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
	"github.com/carebell/carebell/templates/mail"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Render writes the message of a draft. It fills everything but To, ToName, Country, Attempt, At and Attachments. The error is a
// *care.Error of KindContent with the code missing_variable, too_large, too_slow or render; it names variables and never their
// contents.
func (s *Set) Render(d *care.Draft) (*care.Message, error) {
	if d == nil || d.Occurrence == nil {
		return nil, contentError(liquid.CodeRender, "there is nothing to render")
	}
	return s.render(d, nil, nil)
}

func (s *Set) render(d *care.Draft, seen func(liquid.Choice), forced map[liquid.Position]int) (*care.Message, error) {
	o := d.Occurrence
	t := s.of(d)
	if t == nil {
		return nil, contentError(liquid.CodeRender, "the book has no template %s for %s in %s or what it falls back to", o.Template, d.Channel, d.Locale)
	}
	r, _ := renderings.Get().(*rendering)
	defer r.release()
	r.bindings = bindings{draft: d, env: s.env, lang: t.lang, defaults: t.defaults}
	if d.Location != nil && !d.Now.IsZero() {
		r.today = care.DateOf(d.Now.In(d.Location))
	} else if !d.Now.IsZero() {
		r.today = care.DateOf(d.Now)
	}
	r.state = liquid.NewState(&r.bindings)
	r.state.Separator, r.state.Seen, r.state.Forced = t.lang.comma(), seen, forced
	m := &care.Message{
		ID: o.ID, Channel: d.Channel, Customer: o.Customer, Dealer: o.Dealer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step,
		Class: o.Class, Topic: o.Topic, Template: o.Template, Locale: t.locale, Expires: o.Expires, Unsubscribe: d.Links.Unsubscribe,
	}
	var err error
	switch d.Channel {
	case care.Email:
		err = r.email(t, m)
	case care.SMS:
		err = r.sms(t, m)
	case care.Task:
		err = r.task(t, m)
	default:
		err = r.webhook(t, m)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// of returns the template of a draft, or nil.
func (s *Set) of(d *care.Draft) *template {
	if d.Dealer == nil {
		return s.find("", d.Occurrence.Template, d.Channel, d.Locale)
	}
	return s.find(d.Dealer.Dealer, d.Occurrence.Template, d.Channel, d.Locale, d.Dealer.Locale)
}

// rendering is the writing of one message. Renderings are pooled; nothing of one message may stay for the next.
type rendering struct {
	bindings
	state *liquid.State
}

var renderings = sync.Pool{New: func() any { return new(rendering) }}

func (r *rendering) release() {
	r.state.Release()
	*r = rendering{}
	renderings.Put(r)
}

// render returns what a template writes, valid until the next one is rendered.
func (r *rendering) render(t *liquid.Template) ([]byte, error) {
	out, err := r.state.Render(t)
	if e, ok := errors.AsType[*liquid.Error](err); ok {
		return nil, &care.Error{Kind: care.KindContent, Code: e.Code, Err: e}
	}
	return out, err
}

func contentError(code, format string, args ...any) error {
	return &care.Error{Kind: care.KindContent, Code: code, Err: fmt.Errorf(format, args...)}
}

func (r *rendering) email(t *template, m *care.Message) error {
	if dealer := r.draft.Dealer; dealer != nil {
		m.From = care.Mailbox{Name: r.in(dealer.From.Name).String(), Address: dealer.From.Email}
		if m.From.Name == "" {
			m.From.Name = r.in(dealer.Name).String()
		}
		m.From.Name = liquid.Clean(m.From.Name, false)
	}
	if a := r.draft.Advisor; a != nil && a.Email != "" {
		m.ReplyTo = care.Mailbox{Name: liquid.Clean(r.in(a.Name).String(), false), Address: a.Email}
	}
	out, err := r.render(t.subject)
	if err != nil {
		return err
	}
	m.Subject = string(bytes.Join(bytes.Fields(out), []byte{' '}))
	if r.subject = m.Subject; m.Subject == "" {
		return contentError(liquid.CodeRender, "the subject came out empty")
	}
	if t.preheader != nil {
		if out, err = r.render(t.preheader); err != nil {
			return err
		}
		r.preheader = strings.TrimSpace(string(out))
	}
	if out, err = r.render(t.html); err != nil {
		return err
	}
	m.HTML = bytes.Clone(out)
	if out, err = r.render(t.text); err != nil {
		return err
	}
	m.Text = mail.Fold(out)
	return nil
}

// optOut is what a commercial text message must say (facts 4: 通信短信息服务管理规定; CTIA short code handbook).
func optOut(l language) string {
	switch {
	case l.traditional:
		return "，拒收請回覆R"
	case l.chinese:
		return "，拒收请回复R"
	}
	return " Reply STOP to opt out"
}

// task writes what the advisor is to say.
func (r *rendering) task(t *template, m *care.Message) error {
	out, err := r.render(t.text)
	if err != nil {
		return err
	}
	if m.Text = bytes.Clone(bytes.TrimSpace(out)); len(m.Text) == 0 {
		return contentError(liquid.CodeRender, "the script of the call came out empty")
	}
	return nil
}

func (r *rendering) sms(t *template, m *care.Message) error {
	if r.draft.Dealer != nil {
		m.Signature = liquid.Clean(r.in(r.draft.Dealer.SMSSignature).String(), false)
	}
	out, err := r.render(t.text)
	if err != nil {
		return err
	}
	body := bytes.TrimSpace(out)
	if m.Class == care.Commercial && !saysOptOut(string(body)) {
		m.Text = append(bytes.Clone(body), optOut(t.lang)...)
	} else {
		m.Text = bytes.Clone(body)
	}
	if len(m.Text) == 0 {
		return contentError(liquid.CodeRender, "the text message came out empty")
	}
	for i := range t.gateways {
		g := &t.gateways[i]
		one := care.GatewayTemplate{Template: g.template, Params: make(map[string]string, len(g.params))}
		for _, p := range g.params {
			if out, err = r.render(p.value); err != nil {
				return err
			}
			one.Params[p.name] = strings.TrimSpace(string(out))
			one.Order = append(one.Order, p.name)
		}
		if m.Gateways == nil {
			m.Gateways = make(map[string]care.GatewayTemplate, len(t.gateways))
		}
		m.Gateways[g.name] = one
	}
	return nil
}

// saysOptOut looks for the wordings in use: 拒收请回复R, 回T退订, 退订回T, Reply STOP, text STOP.
func saysOptOut(text string) bool {
	if strings.Contains(text, "拒收") || strings.Contains(text, "退订") || strings.Contains(text, "退訂") {
		return true
	}
	upper := strings.ToUpper(text)
	return strings.Contains(upper, "STOP") || strings.Contains(upper, "UNSUBSCRIBE") || strings.Contains(upper, "OPT OUT")
}

func (r *rendering) webhook(t *template, m *care.Message) error {
	out, err := r.render(t.text)
	if err != nil {
		return err
	}
	out = bytes.TrimSpace(out)
	if !json.Valid(out) {
		return contentError(liquid.CodeRender, "the webhook's body came out as no JSON: look for a comma too many or too few around {%% if %%}")
	}
	m.Body = bytes.Clone(out)
	m.Method = t.method
	for _, h := range t.headers {
		if out, err = r.render(h.value); err != nil {
			return err
		}
		if m.Headers == nil {
			m.Headers = make(map[string]string, len(t.headers))
		}
		m.Headers[h.name] = strings.TrimSpace(string(out))
	}
	return nil
}
