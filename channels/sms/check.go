package sms

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// defect is something in a gateway file that could not work.
type defect struct {
	field string // as a path: auth.kind
	what  string
}

// defects gathers what could not work, all of it.
type defects []defect

func (d *defects) add(field, format string, args ...any) {
	*d = append(*d, defect{field, fmt.Sprintf(format, args...)})
}

func (d *defects) oneOf(field, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		d.add(field, "%q is none of %s", value, strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
	}
}

// pointers checks JSON pointers, by their fields.
func (d *defects) pointers(where string, all map[string]string) {
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if _, err := parsePointer(all[field]); err != nil {
			d.add(where+"."+field, "%v", err)
		}
	}
}

// err joins the defects of a file.
func (d defects) err() error {
	all := make([]error, len(d))
	for i, one := range d {
		all[i] = errors.New(one.field + ": " + one.what)
	}
	return errors.Join(all...)
}

// check fills in the defaults and finds what could not work.
func (s *Spec) check() defects {
	var d defects
	s.defaults()
	u, err := url.Parse(placeholder.ReplaceAllString(s.URL, "x"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		d.add("url", "write a whole http(s) URL")
	} else if strings.Contains(origin(s.URL), "{") {
		d.add("url", "no placeholder may stand in the host")
	}
	d.oneOf("number", s.Number, "e164", "digits", "national")
	d.oneOf("signature", s.Signature, "add", "none")
	s.checkAuth(&d, "auth", &s.Auth)
	s.checkRequest(&d, "", s.request(), slices.Concat(ofAccount, ofMessage))
	s.checkMessage(&d)
	if s.Idempotency != "" {
		d.header("idempotency_header", s.Idempotency)
	}
	s.checkAnswer(&d)
	if s.Receipts != nil {
		s.Receipts.check(&d, "receipts", "json", "form", "query", "xml")
	}
	if s.Replies != nil {
		s.Replies.check(&d)
	}
	s.checkQuestions(&d)
	return d
}

func (s *Spec) defaults() {
	set := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	method := func(p *string, body string) {
		if *p = strings.ToUpper(*p); body == "" {
			set(p, http.MethodGet)
		}
		set(p, http.MethodPost)
	}
	method(&s.Method, s.Body)
	set(&s.Format, "json")
	set(&s.Number, "e164")
	set(&s.Signature, "add")
	set(&s.Answer.Format, "json")
	auths := []*Auth{&s.Auth}
	if s.Status != nil {
		method(&s.Status.Method, s.Status.Body)
		if s.Status.Report == nil {
			s.Status.Report = s.Receipts
		}
	}
	if s.Balance != nil {
		method(&s.Balance.Method, s.Balance.Body)
	}
	if s.Token != nil {
		method(&s.Token.Method, s.Token.Body)
		set(&s.Token.Format, s.Format)
		auths = append(auths, &s.Token.Auth)
	}
	for _, auth := range auths {
		set(&auth.Algorithm, "sha256")
		set(&auth.Encoding, "hex")
	}
	if len(s.Answer.Status) == 0 {
		s.Answer.Status = []int{200, 201, 202}
	}
}

// checkQuestions checks the requests that send nothing.
func (s *Spec) checkQuestions(d *defects) {
	if q := s.Status; q != nil {
		s.checkRequest(d, "status.", s.question(q.Method, q.URL, q.Body, q.Headers), slices.Concat(ofAccount, ofQuestion))
		switch {
		case !strings.Contains(q.URL+q.Body, "{id}") && !strings.Contains(q.URL+q.Body, "{provider_id}"):
			d.add("status.url", "say what is asked about: {id}, or the gateway's own {provider_id}")
		case q.Report == nil:
			d.add("status.report", "say how the answer is read, as in receipts")
		case q.Report != s.Receipts:
			q.Report.check(d, "status.report", "", "json", "form", "xml", "text")
		}
	}
	if q := s.Balance; q != nil {
		s.checkRequest(d, "balance.", s.question(q.Method, q.URL, q.Body, q.Headers), ofAccount)
		d.needs("balance.value", q.Value)
	}
	q := s.Token
	if q == nil {
		if s.Auth.Kind == "token" {
			d.add("token", "say where the token comes from")
		}
		return
	}
	s.checkAuth(d, "token.auth", &q.Auth)
	s.checkRequest(d, "token.", &request{method: q.Method, url: q.URL, body: q.Body, format: q.Format, auth: &q.Auth}, ofAccount)
	d.needs("token.value", q.Value)
	d.pointers("token", map[string]string{"expires_in": q.ExpiresIn})
	if q.Auth.Kind == "token" {
		d.add("token.auth.kind", "a token cannot be asked for with itself")
	}
}

// needs checks a pointer that must be there.
func (d *defects) needs(field, value string) {
	if p, err := parsePointer(value); err != nil || p == nil {
		d.add(field, "say where it is: a JSON pointer such as /data/value")
	}
}

// checkRequest knows every placeholder of a request, and tries its body with hostile values.
func (s *Spec) checkRequest(d *defects, where string, r *request, allowed []string) {
	d.oneOf(where+"method", r.method, http.MethodGet, http.MethodPost, http.MethodPut)
	d.oneOf(where+"format", r.format, "json", "form", "xml", "text")
	if where != "" && !strings.HasPrefix(r.url, "/") && !strings.HasPrefix(r.url, "https://") && !strings.HasPrefix(r.url, "http://") || strings.Contains(origin(r.url), "{") {
		d.add(where+"url", "write a whole http(s) URL, or a path of the host of url")
	}
	if s.Token != nil && where != "token." {
		allowed = append(slices.Clone(allowed), "token")
	}
	for _, step := range r.auth.Values {
		if !mentions(r.auth, step.Name, ofRequest) {
			allowed = append(allowed, step.Name)
		}
	}
	for field, text := range map[string]string{where + "url": r.url, where + "body": r.body} {
		s.checkText(d, field, text, allowed)
	}
	if r.body != "" && r.method == http.MethodGet {
		d.add(where+"method", "a GET has no body; put the placeholders into the url")
	}
	if r.body != "" {
		checkBody(d, where, r)
	}
	for _, name := range slices.Sorted(maps.Keys(r.headers)) {
		d.header(where+"headers", name)
		if strings.ContainsAny(r.headers[name], "\r\n\x00") {
			d.add(where+"headers."+name, "the value has a line end")
		}
	}
}

// checkText knows every placeholder of a text.
func (s *Spec) checkText(d *defects, field, text string, allowed []string) {
	for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
		name, _, param := strings.Cut(found[1], ":")
		template := name == "template" || strings.HasPrefix(name, "params") || param
		switch {
		case !slices.Contains(allowed, name) && (!param || name != "param"):
			d.add(field, "unknown placeholder {%s}", found[1])
		case template && !s.Templates:
			d.add(field, "{%s} is empty in a gateway that takes plain text: write templates: true, or leave it out", found[1])
		}
	}
}

// mentions reports whether a computed placeholder depends on one of some others.
func mentions(auth *Auth, name string, others []string) bool {
	for _, step := range auth.Values {
		if step.Name != name {
			continue
		}
		for _, found := range placeholder.FindAllStringSubmatch(step.Text+step.Key, -1) {
			if slices.Contains(others, found[1]) || found[1] != name && mentions(auth, found[1], others) {
				return true
			}
		}
	}
	return false
}

// checkMessage holds that a message is sent with all that it needs.
func (s *Spec) checkMessage(d *defects) {
	whole := s.URL + s.Body
	if !strings.Contains(whole, "{to}") {
		d.add("body", "the recipient {to} is missing")
	}
	if !s.Templates && !strings.Contains(whole, "{text}") && !strings.Contains(whole, "hex}") {
		d.add("body", "the text {text} is missing; a gateway of approved templates says templates: true")
	}
	if s.Templates && !strings.Contains(whole, "{template}") {
		d.add("body", "the code of the approved template, {template}, is missing")
	}
}

// checkBody tries a body with hostile values.
func checkBody(d *defects, where string, r *request) {
	filled := func(value string) string {
		return r.fillBody(func(name string) string {
			if strings.HasPrefix(name, "params") {
				return `{"a":"b"}`
			}
			return value
		})
	}
	looksXML := strings.HasPrefix(strings.TrimSpace(r.body), "<")
	for name, value := range r.headers {
		looksXML = looksXML || strings.EqualFold(name, "Content-Type") && strings.Contains(strings.ToLower(value), "xml")
	}
	switch {
	case r.format == "json" && !json.Valid([]byte(filled("\"}\n\\"))):
		d.add(where+"body", "this is no JSON with the placeholders inside of quotes ({params} without)")
	case r.format == "text" && looksXML:
		d.add(where+"format", "write xml: in a text nothing is escaped, and a name with < could add a recipient")
	case r.format == "xml" && (strings.Contains(r.body, "<![CDATA[") || strings.Contains(r.body, "<!--") || elements(filled(`</x>"'&`)) == 0 || elements(filled(`</x>"'&`)) != elements(filled("x"))):
		d.add(where+"body", "this is no XML with the placeholders in elements or quoted attributes (without CDATA and comments)")
	}
}

// elements counts the elements of a document, 0 if it is none.
func elements(doc string) (n int) {
	in := newXML([]byte(doc))
	for {
		switch token, err := in.Token(); {
		case errors.Is(err, io.EOF):
			return n
		case err != nil:
			return 0
		default:
			if _, ok := token.(xml.StartElement); ok {
				n++
			}
		}
	}
}

// header checks the name of a header.
func (d *defects) header(field, name string) {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || name == "" {
		d.add(field, "%q is no header name", name)
	}
}

var stepName = regexp.MustCompile(`^[a-z_]{1,32}$`)

// checkAuth checks a log-in, and that each computed placeholder stands on those before it.
func (s *Spec) checkAuth(d *defects, where string, a *Auth) {
	d.oneOf(where+".kind", a.Kind, "", "bearer", "basic", "header", "hmac", "signed", "token")
	d.oneOf(where+".algorithm", a.Algorithm, "sha256", "sha1", "sha512", "md5")
	d.oneOf(where+".encoding", a.Encoding, "hex", "base64")
	if a.Header != "" {
		d.header(where+".header", a.Header)
	}
	if (a.Kind == "header" || a.Kind == "hmac") && a.Header == "" {
		d.add(where+".header", "name the header")
	}
	if a.Kind == "hmac" && a.Text == "" {
		d.add(where+".text", "say what is signed, e.g. \"{timestamp}.{body}\"")
	}
	if a.Kind == "signed" && len(a.Headers) == 0 {
		d.add(where+".headers", "say which headers carry the signature")
	}
	allowed := slices.Concat(ofAccount, ofMessage, ofRequest)
	s.checkText(d, where+".text", a.Text, allowed)
	for i, step := range a.Values {
		field := fmt.Sprintf("%s.values[%d]", where, i)
		if !stepName.MatchString(step.Name) || slices.Contains(allowed, step.Name) {
			d.add(field+".name", "%q is taken, or has other signs than small letters and _", step.Name)
		}
		d.oneOf(field+".hash", step.Hash, "", "sha256", "sha1", "sha512", "md5")
		d.oneOf(field+".hmac", step.HMAC, "", "sha256", "sha1", "sha512", "md5")
		d.oneOf(field+".encoding", step.Encoding, "", "hex", "base64")
		if step.HMAC != "" && (step.Key == "" || step.Hash != "") {
			d.add(field+".key", "an hmac has a key, and no hash")
		}
		s.checkText(d, field+".text", step.Text, allowed)
		s.checkText(d, field+".key", step.Key, allowed)
		allowed = append(allowed, step.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		d.header(where+".headers", name)
		s.checkText(d, where+".headers."+name, a.Headers[name], allowed)
	}
}

func (s *Spec) checkAnswer(d *defects) {
	for _, status := range s.Answer.Status {
		if status < 200 || status > 299 {
			d.add("answer.status", "%d is no success; codes has room for \"http %d\"", status, status)
		}
	}
	d.oneOf("answer.format", s.Answer.Format, "json", "xml", "form", "text")
	if _, err := regexp.Compile(s.Answer.Pattern); err != nil || (s.Answer.Format == "text" && s.Answer.Pattern == "" && s.Answer.Code+s.Answer.ID != "") {
		d.add("answer.pattern", "write a regular expression (RE2) with named groups, e.g. ^(?P<code>OK) (?P<id>.+)")
	}
	d.pointers("answer", map[string]string{"id": s.Answer.ID, "parts": s.Answer.Parts})
	if _, err := parsePointers(s.Answer.Code); err != nil {
		d.add("answer.code", "%v", err)
	}
	if s.Answer.Code != "" && len(s.Codes.Success) == 0 {
		d.add("codes.success", "name the codes that mean yes")
	}
	if s.Answer.Code == "" && len(s.Codes.Success) > 0 {
		d.add("answer.code", "say where the code is")
	}
	seen := map[string]bool{}
	for _, set := range s.Codes.sets() {
		for _, code := range set.codes {
			if seen[code] {
				d.add("codes."+set.name, "%q is there twice", code)
			}
			seen[code] = true
		}
	}
}

func (r *ReceiptSpec) check(d *defects, where string, formats ...string) {
	if r.Format == "" && where == "receipts" {
		r.Format = "json"
	}
	d.oneOf(where+".format", r.Format, formats...)
	if r.ID == "" && r.ProviderID == "" && where == "receipts" {
		d.add(where+".id", "say where the message's id is, or the gateway's as provider_id")
	}
	if r.Status == "" || len(r.Delivered) == 0 || len(r.Failed) == 0 {
		d.add(where+".status", "say where the status is, and which ones mean delivered and failed")
	}
	d.pointers(where, map[string]string{"list": r.List, "id": r.ID, "provider_id": r.ProviderID, "status": r.Status, "code": r.Code, "parts": r.Parts})
}

func (r *ReplySpec) check(d *defects) {
	if r.Format == "" {
		r.Format = "json"
	}
	d.oneOf("replies.format", r.Format, "json", "form", "query", "xml")
	if r.From == "" || r.Text == "" {
		d.add("replies.from", "say where the number and the text are")
	}
	d.pointers("replies", map[string]string{"list": r.List, "from": r.From, "to": r.To, "text": r.Text, "id": r.ID})
}
