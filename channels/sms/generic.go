package sms

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/httpclient"
)

// generic is a gateway that a file describes.
type generic struct {
	provider
	spec      *Spec
	url       string // the operator's, else the file's
	request   *request
	pattern   *regexp.Regexp // of text answers
	code      []pointer      // the first that has something counts
	id, parts pointer
	meaning   codes
	token     *bearer
}

func newGeneric(p provider, spec *Spec) (gateway, error) {
	g := &generic{provider: p, spec: spec, url: spec.URL, request: spec.request(), meaning: spec.Codes.meanings(), token: newBearer(spec.Token)}
	if u, err := url.Parse(p.URL); err == nil && p.URL != "" && (u.Path == "" || u.Path == "/") && u.RawQuery == "" {
		g.url = origin(p.URL) + strings.TrimPrefix(spec.URL, origin(spec.URL)) // the operator's host, with the file's path
	} else if p.URL != "" && !strings.Contains(spec.URL, "{to}") && !strings.Contains(spec.URL, "{text}") {
		g.url = p.URL // the operator's address of the same gateway, e.g. a test system
	}
	g.request.url = g.url
	if p.public == "" {
		g.request.url, g.request.body = withoutCallback(g.url, "form"), withoutCallback(spec.Body, spec.Format)
	}
	if spec.Answer.Pattern != "" {
		var err error
		if g.pattern, err = regexp.Compile(spec.Answer.Pattern); err != nil {
			return nil, err
		}
	}
	var errs [3]error
	g.code, errs[0] = parsePointers(spec.Answer.Code)
	g.id, errs[1] = parsePointer(spec.Answer.ID)
	g.parts, errs[2] = parsePointer(spec.Answer.Parts)
	return g, errors.Join(errs[:]...)
}

// codeOf is the code of an answer that could be read.
func (g *generic) codeOf(doc any) string {
	for _, p := range g.code {
		if code := p.text(doc); code != "" {
			return code
		}
	}
	return ""
}

func (g *generic) plain() bool { return !g.spec.Templates }

// values are what the placeholders stand for.
func (g *generic) values(m *care.Message, to, text string) map[string]string {
	if g.spec.Signature == "none" && g.plain() {
		text = Compose(WithNotice(string(m.Text), m.Class, StyleFor(m.Country)), "", StyleFor(m.Country))
	}
	v := g.account()
	v["to"], v["text"], v["id"], v["signature"], v["country"] = to, text, m.WireID(), channels.OneLine(m.Signature), m.Country
	v["callback"] = g.callbackURL(url.Values{"token": {g.provider.token()}, "carebell": {m.WireID()}}.Encode())
	wide := make([]byte, 0, 2*len(text))
	for _, unit := range utf16.Encode([]rune(text)) {
		wide = binary.BigEndian.AppendUint16(wide, unit)
	}
	v["hex"] = hex.EncodeToString(wide)
	if gsm, ok := gsmBytes(text); ok {
		v["coding"], v["unicode"], v["smpp_hex"] = "0", "0", hex.EncodeToString(gsm)
	} else {
		v["coding"], v["unicode"], v["smpp_hex"] = "8", "1", v["hex"]
	}
	if t := g.template(m); t.Template != "" {
		v["template"] = t.Template
		for name, value := range t.Params {
			v["param:"+name] = value
		}
		if params, err := json.Marshal(t.Params); err == nil {
			v["params"] = string(params)
		}
		list := []string{}
		for _, name := range t.Order {
			list = append(list, t.Params[name])
		}
		if params, err := json.Marshal(list); err == nil {
			v["params_list"] = string(params)
		}
	}
	return v
}

func (g *generic) send(ctx context.Context, m *care.Message, text string) (outcome, error) {
	to, err := g.number(m.To, m.Country)
	if err != nil {
		return outcome{}, err
	}
	r := *g.request
	if g.spec.Idempotency != "" {
		r.headers = maps.Clone(r.headers)
		if r.headers == nil {
			r.headers = map[string]string{}
		}
		r.headers[g.spec.Idempotency] = m.WireID()
	}
	a, err := g.call(ctx, &r, g.values(m, to, text))
	if err != nil {
		return outcome{}, err
	}
	return g.read(a)
}

// read classes an answer: by its code if the file says where that is, else by the HTTP status.
func (g *generic) read(a *httpclient.Answer) (outcome, error) {
	status := "http " + strconv.Itoa(a.Status)
	yes := slices.Contains(g.spec.Answer.Status, a.Status)
	doc, err := document(a.Body, g.spec.Answer.Format, g.pattern)
	code := ""
	if err == nil {
		code = g.codeOf(doc)
	}
	if kind, listed := g.meaning[status]; listed && code == "" {
		return outcome{}, g.refusal(kind, status, a)
	}
	_, silent := g.meaning[""] // an answer without a code is a yes
	switch {
	case g.code == nil && yes, silent && code == "" && yes && err == nil:
	case g.code == nil:
		return outcome{}, statusError(a, g.clock())
	case code == "" && a.Status >= 200 && a.Status < 300:
		return outcome{}, unclear(a)
	case code == "":
		return outcome{}, statusError(a, g.clock())
	default:
		kind, listed := g.meaning.find(code)
		if !listed && a.Status >= 300 {
			e := statusError(a, g.clock())
			e.Code = short(code)
			return outcome{}, e
		}
		if !listed {
			kind = care.KindRetry
		}
		if kind != "" {
			return outcome{}, g.refusal(kind, code, a)
		}
		if !yes {
			return outcome{}, unclear(a)
		}
	}
	return outcome{id: g.id.text(doc), parts: number(g.parts.text(doc)), tries: a.Tries}, nil
}

func (g *generic) refusal(kind care.Kind, code string, a *httpclient.Answer) *care.Error {
	e := fail(kind, code, a)
	e.RetryAfter = httpclient.RetryAfter(a.Header, g.clock())
	return e
}
