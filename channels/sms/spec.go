package sms

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
)

// Spec is a gateway file of the care book. The package comment describes its fields.
type Spec struct {
	Method      string            `yaml:"method"`
	URL         string            `yaml:"url"`
	Format      string            `yaml:"format"`
	Body        string            `yaml:"body"`
	Headers     map[string]string `yaml:"headers"`
	Number      string            `yaml:"number"`
	Signature   string            `yaml:"signature"`
	Templates   bool              `yaml:"templates"`
	Auth        Auth              `yaml:"auth"`
	Idempotency string            `yaml:"idempotency_header"`
	Answer      AnswerSpec        `yaml:"answer"`
	Codes       CodeSets          `yaml:"codes"`
	Receipts    *ReceiptSpec      `yaml:"receipts"`
	Replies     *ReplySpec        `yaml:"replies"`
}

// Auth is how a gateway wants to know us.
type Auth struct {
	Kind      string `yaml:"kind"`
	Header    string `yaml:"header"`
	Text      string `yaml:"text"`
	Algorithm string `yaml:"algorithm"`
	Encoding  string `yaml:"encoding"`
	Prefix    string `yaml:"prefix"`
}

// AnswerSpec says where things are in a gateway's answer.
type AnswerSpec struct {
	Status []int  `yaml:"status"`
	Code   string `yaml:"code"`
	ID     string `yaml:"id"`
	Parts  string `yaml:"parts"`
}

// CodeSets lists codes by what they mean.
type CodeSets struct {
	Success   []string `yaml:"success"`
	Retry     []string `yaml:"retry"`
	Recipient []string `yaml:"recipient"`
	Content   []string `yaml:"content"`
	Operator  []string `yaml:"operator"`
	OptedOut  []string `yaml:"opted_out"`
	Defer     []string `yaml:"defer"`
}

// ReceiptSpec says how a gateway reports what became of messages.
type ReceiptSpec struct {
	Format     string   `yaml:"format"`
	List       string   `yaml:"list"`
	ID         string   `yaml:"id"`
	ProviderID string   `yaml:"provider_id"`
	Status     string   `yaml:"status"`
	Code       string   `yaml:"code"`
	Parts      string   `yaml:"parts"`
	Delivered  []string `yaml:"delivered"`
	Failed     []string `yaml:"failed"`
	Pending    []string `yaml:"pending"`
	Answer     string   `yaml:"answer"`
}

// ReplySpec says how a gateway passes on what customers write.
type ReplySpec struct {
	Format string `yaml:"format"`
	List   string `yaml:"list"`
	From   string `yaml:"from"`
	To     string `yaml:"to"`
	Text   string `yaml:"text"`
	ID     string `yaml:"id"`
	Answer string `yaml:"answer"`
}

var gatewayName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// BuiltIn reports whether a gateway is part of this package. A file must not take its name.
func BuiltIn(name string) bool { return drivers[name] != nil }

// ReadGateway reads gateways/<name>.yaml of a care book. An error names the field, and for YAML the line and column.
func ReadGateway(files fs.FS, decode care.FileDecoder, name string) (*Spec, error) {
	if !gatewayName.MatchString(name) || BuiltIn(name) {
		return nil, errors.New("a gateway file is named with small letters, digits and hyphens, and not like a gateway that is built in")
	}
	file := gatewaysFolder + "/" + name + ".yaml"
	raw, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read; there are kannel, twilio, vonage, aliyun, tencent and the files of the book's gateways folder", file)
	}
	var s Spec
	if _, problems := decode(file, raw, &s); len(problems) > 0 {
		all := make([]error, len(problems))
		for i, p := range problems {
			all[i] = p
		}
		return nil, errors.Join(all...)
	}
	if err := s.check().err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &s, nil
}

var placeholder = regexp.MustCompile(`\{([a-z_]+(?::[^{}]{1,64})?)\}`)

var placeholders = []string{
	"to", "text", "id", "from", "signature", "country", "user", "password", "timestamp", "template", "params", "body", "method", "path",
	"hex", "coding", "unicode",
}

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
	} else if i := strings.IndexByte(s.URL, '{'); i >= 0 && !strings.Contains(s.URL[strings.Index(s.URL, "://")+3:max(i, strings.Index(s.URL, "://")+3)], "/") {
		d.add("url", "no placeholder may stand in the host")
	}
	d.oneOf("method", s.Method, http.MethodGet, http.MethodPost, http.MethodPut)
	d.oneOf("format", s.Format, "json", "form", "xml", "text")
	d.oneOf("number", s.Number, "e164", "digits", "national")
	d.oneOf("signature", s.Signature, "add", "none")
	d.oneOf("auth.kind", s.Auth.Kind, "", "bearer", "basic", "header", "hmac")
	d.oneOf("auth.algorithm", s.Auth.Algorithm, "sha256", "sha1", "sha512", "md5")
	d.oneOf("auth.encoding", s.Auth.Encoding, "hex", "base64")
	s.checkTexts(&d)
	s.checkHeaders(&d)
	s.checkAnswer(&d)
	if s.Receipts != nil {
		s.Receipts.check(&d)
	}
	if s.Replies != nil {
		s.Replies.check(&d)
	}
	return d
}

func (s *Spec) defaults() {
	set := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	s.Method = strings.ToUpper(s.Method)
	if s.Body == "" {
		set(&s.Method, http.MethodGet)
	}
	set(&s.Method, http.MethodPost)
	set(&s.Format, "json")
	set(&s.Number, "e164")
	set(&s.Signature, "add")
	set(&s.Auth.Algorithm, "sha256")
	set(&s.Auth.Encoding, "hex")
	if len(s.Answer.Status) == 0 {
		s.Answer.Status = []int{200, 201, 202}
	}
}

// checkTexts knows every placeholder, and tries the body with hostile values.
func (s *Spec) checkTexts(d *defects) {
	for _, one := range []struct{ field, text string }{{"url", s.URL}, {"body", s.Body}, {"auth.text", s.Auth.Text}} {
		for _, found := range placeholder.FindAllStringSubmatch(one.text, -1) {
			name, _, param := strings.Cut(found[1], ":")
			signing := name == "body" || name == "method" || name == "path"
			template := name == "template" || name == "params" || param
			switch {
			case (!slices.Contains(placeholders, name) && (!param || name != "param")) || (signing && one.field != "auth.text"):
				d.add(one.field, "unknown placeholder {%s}", found[1])
			case template && !s.Templates:
				d.add(one.field, "{%s} is empty in a gateway that takes plain text: write templates: true, or leave it out", found[1])
			}
		}
	}
	whole := s.URL + s.Body
	if !strings.Contains(whole, "{to}") {
		d.add("body", "the recipient {to} is missing")
	}
	if !s.Templates && !strings.Contains(whole, "{text}") && !strings.Contains(whole, "{hex}") {
		d.add("body", "the text {text} is missing; a gateway of approved templates says templates: true")
	}
	if s.Templates && !strings.Contains(whole, "{template}") {
		d.add("body", "the code of the approved template, {template}, is missing")
	}
	if s.Body != "" && s.Method == http.MethodGet {
		d.add("method", "a GET has no body; put the placeholders into the url")
	}
	if s.Body != "" {
		s.checkBody(d)
	}
}

// checkBody tries a body with hostile values.
func (s *Spec) checkBody(d *defects) {
	filled := func(value string) string {
		return fill(s.Body, func(name string) string {
			if name == "params" && s.Format == "json" {
				return `{"a":"b"}`
			}
			return escapes[s.Format](value)
		})
	}
	looksXML := strings.HasPrefix(strings.TrimSpace(s.Body), "<")
	for name, value := range s.Headers {
		looksXML = looksXML || strings.EqualFold(name, "Content-Type") && strings.Contains(strings.ToLower(value), "xml")
	}
	switch {
	case s.Format == "json" && !json.Valid([]byte(filled("\"}\n\\"))):
		d.add("body", "this is no JSON with the placeholders inside of quotes ({params} without)")
	case s.Format == "text" && looksXML:
		d.add("format", "write xml: in a text nothing is escaped, and a name with < could add a recipient")
	case s.Format == "xml" && (strings.Contains(s.Body, "<![CDATA[") || strings.Contains(s.Body, "<!--") || elements(filled(`</x>"'&`)) == 0 || elements(filled(`</x>"'&`)) != elements(filled("x"))):
		d.add("body", "this is no XML with the placeholders in elements or quoted attributes (without CDATA and comments)")
	}
}

// elements counts the elements of a document, 0 if it is none.
func elements(doc string) (n int) {
	in := xml.NewDecoder(strings.NewReader(doc))
	in.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
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

// params are the parameters that the file asks of every approved template by name.
func (s *Spec) params() []string {
	var all []string
	for _, found := range placeholder.FindAllStringSubmatch(s.URL+s.Body+s.Auth.Text, -1) {
		if name, param, ok := strings.Cut(found[1], ":"); ok && name == "param" && !slices.Contains(all, param) {
			all = append(all, param)
		}
	}
	return all
}

func (s *Spec) checkHeaders(d *defects) {
	check := func(field, name string) {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || name == "" {
			d.add(field, "%q is no header name", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		check("headers", name)
		if strings.ContainsAny(s.Headers[name], "\r\n\x00") {
			d.add("headers."+name, "the value has a line end")
		}
	}
	if s.Idempotency != "" {
		check("idempotency_header", s.Idempotency)
	}
	if s.Auth.Header != "" {
		check("auth.header", s.Auth.Header)
	}
	if (s.Auth.Kind == "header" || s.Auth.Kind == "hmac") && s.Auth.Header == "" {
		d.add("auth.header", "name the header")
	}
	if s.Auth.Kind == "hmac" && s.Auth.Text == "" {
		d.add("auth.text", "say what is signed, e.g. \"{timestamp}.{body}\"")
	}
}

func (s *Spec) checkAnswer(d *defects) {
	for _, status := range s.Answer.Status {
		if status < 200 || status > 299 {
			d.add("answer.status", "%d is no success; codes has room for \"http %d\"", status, status)
		}
	}
	d.pointers("answer", map[string]string{"code": s.Answer.Code, "id": s.Answer.ID, "parts": s.Answer.Parts})
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

type codeSet struct {
	name  string
	kind  care.Kind // "" = success
	codes []string
}

func (c *CodeSets) sets() []codeSet {
	return []codeSet{
		{"success", "", c.Success},
		{"retry", care.KindRetry, c.Retry},
		{"recipient", care.KindRecipient, c.Recipient},
		{"content", care.KindContent, c.Content},
		{"operator", care.KindOperator, c.Operator},
		{"opted_out", care.KindOptedOut, c.OptedOut},
		{"defer", care.KindDefer, c.Defer},
	}
}

// meanings returns the sets as a table.
func (c *CodeSets) meanings() codes {
	out := codes{}
	for _, set := range c.sets() {
		for _, code := range set.codes {
			out[code] = set.kind
		}
	}
	return out
}

func (r *ReceiptSpec) check(d *defects) {
	if r.Format == "" {
		r.Format = "json"
	}
	d.oneOf("receipts.format", r.Format, "json", "form", "query")
	if r.ID == "" && r.ProviderID == "" {
		d.add("receipts.id", "say where the message's id is, or the gateway's as provider_id")
	}
	if r.Status == "" || len(r.Delivered) == 0 || len(r.Failed) == 0 {
		d.add("receipts.status", "say where the status is, and which ones mean delivered and failed")
	}
	d.pointers("receipts", map[string]string{"list": r.List, "id": r.ID, "provider_id": r.ProviderID, "status": r.Status, "code": r.Code, "parts": r.Parts})
}

func (r *ReplySpec) check(d *defects) {
	if r.Format == "" {
		r.Format = "json"
	}
	d.oneOf("replies.format", r.Format, "json", "form", "query")
	if r.From == "" || r.Text == "" {
		d.add("replies.from", "say where the number and the text are")
	}
	d.pointers("replies", map[string]string{"list": r.List, "from": r.From, "to": r.To, "text": r.Text, "id": r.ID})
}

// fill replaces the placeholders of a text.
func fill(text string, value func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string { return value(found[1 : len(found)-1]) })
}

// escapes are how placeholders are written into a body, by its format.
var escapes = map[string]func(string) string{
	"json": escapeJSON, "form": url.QueryEscape, "xml": escapeXML, "text": func(s string) string { return s },
}

// escapeXML escapes a text for an element or a quoted attribute; what XML cannot say becomes U+FFFD.
func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// escapeJSON escapes a text for the inside of a JSON string.
func escapeJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return ""
	}
	return string(b[1 : len(b)-1])
}

// escapeURL percent-encodes for a path and a query alike: a space is %20 in both.
func escapeURL(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// number reads a count of parts; 0 if it is none.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1000 {
		return 0
	}
	return n
}
