package sms

import (
	"context"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what a gateway's own scheme asks for
	"crypto/sha1" //nolint:gosec // what a gateway's own scheme asks for
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
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
	spec            *Spec
	url             string
	code, id, parts pointer
	meaning         codes
}

func newGeneric(p provider, spec *Spec) (gateway, error) {
	g := &generic{provider: p, spec: spec, url: spec.URL, meaning: spec.Codes.meanings()}
	if p.URL != "" && !strings.Contains(spec.URL, "{to}") && !strings.Contains(spec.URL, "{text}") {
		g.url = p.URL // the operator's address of the same gateway, e.g. a test system
	}
	for to, from := range map[*pointer]string{&g.code: spec.Answer.Code, &g.id: spec.Answer.ID, &g.parts: spec.Answer.Parts} {
		parsed, err := parsePointer(from)
		if err != nil {
			return nil, err
		}
		*to = parsed
	}
	return g, nil
}

func (g *generic) plain() bool { return !g.spec.Templates }

// values are what the placeholders stand for.
func (g *generic) values(m *care.Message, to, text string) map[string]string {
	if g.spec.Signature == "none" && g.plain() {
		text = Compose(WithNotice(string(m.Text), m.Class, StyleFor(m.Country)), "", StyleFor(m.Country))
	}
	v := map[string]string{
		"to": to, "text": text, "id": m.WireID(), "from": g.From, "signature": channels.OneLine(m.Signature), "country": m.Country,
		"user": g.User, "password": g.Password, "timestamp": strconv.FormatInt(g.clock().Unix(), 10),
	}
	v["coding"], v["unicode"] = "0", "0"
	if _, gsm := gsmLength(text); !gsm {
		v["coding"], v["unicode"] = "8", "1"
	}
	wide := make([]byte, 0, 2*len(text))
	for _, unit := range utf16.Encode([]rune(text)) {
		wide = binary.BigEndian.AppendUint16(wide, unit)
	}
	v["hex"] = hex.EncodeToString(wide)
	if t := g.template(m); t.Template != "" {
		v["template"] = t.Template
		for name, value := range t.Params {
			v["param:"+name] = value
		}
		if params, err := json.Marshal(t.Params); err == nil {
			v["params"] = string(params)
		}
	}
	return v
}

func (g *generic) send(ctx context.Context, m *care.Message, text string) (outcome, error) {
	to, err := g.number(m.To, m.Country)
	if err != nil {
		return outcome{}, err
	}
	values := g.values(m, to, text)
	header := http.Header{"User-Agent": {"carebell"}}
	for name, value := range g.spec.Headers {
		header.Set(name, value)
	}
	escape := escapes[g.spec.Format]
	var body []byte
	if g.spec.Body != "" {
		body = []byte(fill(g.spec.Body, func(name string) string {
			if name == "params" && g.spec.Format == "json" {
				return values[name]
			}
			return escape(values[name])
		}))
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", map[string]string{
				"json": "application/json", "form": "application/x-www-form-urlencoded", "xml": "text/xml; charset=utf-8", "text": "text/plain; charset=utf-8",
			}[g.spec.Format])
		}
	}
	if g.spec.Idempotency != "" {
		header.Set(g.spec.Idempotency, m.WireID())
	}
	target := fill(g.url, func(name string) string { return escapeURL(values[name]) })
	g.authorize(header, target, body, values)
	a, err := g.client.Do(ctx, &httpclient.Request{Method: g.spec.Method, URL: target, Header: header, Body: body})
	if err != nil {
		return outcome{}, err
	}
	return g.read(a)
}

var algorithms = map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New, "md5": md5.New}

func (g *generic) authorize(header http.Header, target string, body []byte, values map[string]string) {
	auth := g.spec.Auth
	switch auth.Kind {
	case "bearer":
		header.Set("Authorization", "Bearer "+g.Password)
	case "basic":
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(g.User+":"+g.Password)))
	case "header":
		header.Set(auth.Header, auth.Prefix+g.Password)
	case "hmac":
		text := fill(auth.Text, func(name string) string {
			switch name {
			case "body":
				return string(body)
			case "method":
				return g.spec.Method
			case "path":
				if u, err := url.Parse(target); err == nil {
					return u.RequestURI()
				}
			}
			return values[name]
		})
		mac := hmac.New(algorithms[auth.Algorithm], []byte(g.Password))
		mac.Write([]byte(text))
		sum := mac.Sum(nil)
		signed := hex.EncodeToString(sum)
		if auth.Encoding == "base64" {
			signed = base64.StdEncoding.EncodeToString(sum)
		}
		header.Set(auth.Header, auth.Prefix+signed)
		if strings.Contains(auth.Text, "{timestamp}") && header.Get("X-Timestamp") == "" {
			header.Set("X-Timestamp", values["timestamp"])
		}
	}
}

// read classes an answer: by its code if the file says where that is, else by the HTTP status.
func (g *generic) read(a *httpclient.Answer) (outcome, error) {
	status := "http " + strconv.Itoa(a.Status)
	yes := slices.Contains(g.spec.Answer.Status, a.Status)
	doc, err := decode(a.Body)
	code := ""
	if err == nil && g.code != nil {
		code = g.code.text(doc)
	}
	if kind, listed := g.meaning[status]; listed && code == "" {
		return outcome{}, g.refusal(kind, status, a)
	}
	switch {
	case g.code == nil && yes:
	case g.code == nil:
		return outcome{}, statusError(a, g.clock())
	case code == "" && a.Status >= 200 && a.Status < 300:
		return outcome{}, unclear(a)
	case code == "":
		return outcome{}, statusError(a, g.clock())
	default:
		kind, listed := g.meaning[code]
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
