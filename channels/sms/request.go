package sms

import (
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // what a gateway's own scheme asks for
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what a gateway's own scheme asks for
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/channels/httpclient"
)

// Step is a placeholder that is computed: a text, its hash, or its HMAC under a key, in an encoding.
type Step struct {
	Name     string `yaml:"name"`
	Text     string `yaml:"text"`
	Hash     string `yaml:"hash"`
	HMAC     string `yaml:"hmac"`
	Key      string `yaml:"key"`
	Encoding string `yaml:"encoding"` // hex or base64; "" = the bytes, for a next step
}

var algorithms = map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New, "md5": md5.New}

func (s *Step) compute(value func(name string) string) string {
	out := []byte(fill(s.Text, value))
	var h hash.Hash
	switch {
	case s.Hash != "":
		h = algorithms[s.Hash]()
	case s.HMAC != "":
		h = hmac.New(algorithms[s.HMAC], []byte(fill(s.Key, value)))
	}
	if h != nil {
		h.Write(out)
		out = h.Sum(nil)
	}
	switch s.Encoding {
	case "hex":
		return hex.EncodeToString(out)
	case "base64":
		return base64.StdEncoding.EncodeToString(out)
	}
	return string(out)
}

// request is one request that a gateway file describes.
type request struct {
	method, url, body, format string
	headers                   map[string]string
	auth                      *Auth
}

// request is the one that sends a message.
func (s *Spec) request() *request { return s.question(s.Method, s.URL, s.Body, s.Headers) }

// question is a further request, with the log-in of the one that sends.
func (s *Spec) question(method, target, body string, headers map[string]string) *request {
	return &request{method: method, url: target, body: body, format: s.Format, headers: headers, auth: &s.Auth}
}

// fillBody fills the body, so that no value can leave its place. The parameters are JSON of their own: in quotes they are text.
func (r *request) fillBody(value func(name string) string) string {
	return fill(r.body, func(name string) string {
		if r.format == "json" && strings.HasPrefix(name, "params") && !strings.Contains(r.body, `"{`+name+`}"`) {
			return value(name)
		}
		return escapes[r.format](value(name))
	})
}

// account are the placeholders that every request has.
func (g *generic) account() map[string]string {
	now := g.clock().UTC()
	return map[string]string{
		"user": g.User, "password": g.Password, "from": g.From, "nonce": rand.Text(), "timestamp": strconv.FormatInt(now.Unix(), 10),
		"date": now.Format("20060102"), "datetime": now.Format("20060102T150405Z"), "utc": now.Format(time.RFC3339),
	}
}

// call makes a request, with a token if the gateway wants one. A token that is refused is asked for anew, once: nothing was taken with it.
func (g *generic) call(ctx context.Context, r *request, values map[string]string) (*httpclient.Answer, error) {
	if g.token == nil {
		return g.do(ctx, r, values)
	}
	for tries := 1; ; tries++ {
		token, err := g.token.get(ctx, g)
		if err != nil {
			return nil, err
		}
		values["token"] = token
		a, err := g.do(ctx, r, values)
		if err != nil || tries > 1 || !g.refused(a) {
			if err == nil && tries > 1 {
				a.Tries = max(a.Tries, 1) + 1
			}
			return a, err
		}
		g.token.forget(token)
	}
}

// do makes a request once.
func (g *generic) do(ctx context.Context, r *request, values map[string]string) (*httpclient.Answer, error) {
	value := func(name string) string { return values[name] }
	for _, step := range r.auth.Values {
		before := value
		value = func(name string) string {
			if name == step.Name {
				return step.compute(before)
			}
			return before(name)
		}
	}
	header := http.Header{"User-Agent": {"carebell"}}
	for name, text := range r.headers {
		header.Set(name, text)
	}
	target := fill(g.whole(r.url), func(name string) string { return escapeURL(value(name)) })
	var body []byte
	if r.body != "" {
		body = []byte(r.fillBody(value))
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", map[string]string{
				"json": "application/json", "form": "application/x-www-form-urlencoded", "xml": "text/xml; charset=utf-8", "text": "text/plain; charset=utf-8",
			}[r.format])
		}
	}
	values["method"], values["body"] = r.method, string(body)
	if u, err := url.Parse(target); err == nil {
		values["host"], values["path"] = u.Host, u.RequestURI()
	}
	r.auth.authorize(header, value)
	return g.client.Do(ctx, &httpclient.Request{Method: r.method, URL: target, Header: header, Body: body})
}

func (a *Auth) authorize(header http.Header, value func(name string) string) {
	switch a.Kind {
	case "bearer":
		header.Set("Authorization", "Bearer "+value("password"))
	case "token":
		if a.Header == "" {
			header.Set("Authorization", "Bearer "+value("token"))
		} else {
			header.Set(a.Header, a.Prefix+value("token"))
		}
	case "basic":
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value("user")+":"+value("password"))))
	case "header":
		header.Set(a.Header, a.Prefix+value("password"))
	case "hmac":
		sum := Step{Text: a.Text, HMAC: a.Algorithm, Key: "{password}", Encoding: a.Encoding}
		header.Set(a.Header, a.Prefix+sum.compute(value))
		if strings.Contains(a.Text, "{timestamp}") && header.Get("X-Timestamp") == "" {
			header.Set("X-Timestamp", value("timestamp"))
		}
	case "signed":
		for name, text := range a.Headers {
			header.Set(name, fill(text, value))
		}
	}
}

// origin is the scheme and the host of a URL; "" for a path.
func origin(target string) string {
	scheme, rest, found := strings.Cut(target, "://")
	if !found {
		return ""
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest = rest[:i]
	}
	return scheme + "://" + rest
}

// whole makes a URL of the file one that can be requested: a path is on the host of url, and the operator's host, e.g. that of a test
// system, takes the place of the file's.
func (g *generic) whole(target string) string {
	from, to := origin(g.spec.URL), origin(g.url)
	if strings.HasPrefix(target, "/") {
		return to + target
	}
	if target == g.spec.URL {
		return g.url
	}
	if rest, same := strings.CutPrefix(target, from); same {
		return to + rest
	}
	return target
}

// optional finds what goes with a {callback} that there is none of: the field of a JSON object, of a form or of a query.
var optional = map[string][]*regexp.Regexp{
	"json": {
		regexp.MustCompile(`,\s*"[^"]*"\s*:\s*("\{callback\}"|\{\s*\})`), regexp.MustCompile(`"[^"]*"\s*:\s*("\{callback\}"|\{\s*\})\s*,?`),
	},
	"form": {regexp.MustCompile(`&[^=&]*=\{callback\}`), regexp.MustCompile(`[^=&?]*=\{callback\}&?`)},
}

// withoutCallback leaves the fields out that hold nothing but {callback}, and the objects that are empty without them.
func withoutCallback(text, format string) string {
	if !strings.Contains(text, "{callback}") {
		return text
	}
	for before := ""; before != text; {
		before = text
		for _, field := range optional[format] {
			text = field.ReplaceAllString(text, "")
		}
	}
	return text
}
