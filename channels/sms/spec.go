package sms

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

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

// ReadGateway reads gateways/<name>.yaml of a care book. An error names the field, and for YAML the line.
func ReadGateway(files fs.FS, name string) (*Spec, error) {
	if !gatewayName.MatchString(name) || BuiltIn(name) {
		return nil, errors.New("a gateway file is named with small letters, digits and hyphens, and not like a gateway that is built in")
	}
	raw, err := fs.ReadFile(files, "gateways/"+name+".yaml")
	if err != nil {
		return nil, fmt.Errorf("gateways/%s.yaml cannot be read; there are kannel, twilio, vonage, aliyun, tencent and the files of the book's gateways folder", name)
	}
	var s Spec
	if err := yaml.UnmarshalWithOptions(raw, &s, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("gateways/%s.yaml: %s", name, yaml.FormatError(err, false, true))
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("gateways/%s.yaml: %w", name, err)
	}
	return &s, nil
}

var placeholder = regexp.MustCompile(`\{([a-z_]+(?::[^{}]{1,64})?)\}`)

var placeholders = []string{
	"to", "text", "id", "from", "signature", "country", "user", "password", "timestamp", "template", "params", "body", "method", "path",
}

func oneOf(field, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of %s", field, value, strings.Join(allowed, ", "))
}

// check fills in the defaults and refuses what could not work.
func (s *Spec) check() error {
	s.defaults()
	u, err := url.Parse(placeholder.ReplaceAllString(s.URL, "x"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("url: write a whole http(s) URL")
	}
	if i := strings.IndexByte(s.URL, '{'); i >= 0 && !strings.Contains(s.URL[strings.Index(s.URL, "://")+3:max(i, strings.Index(s.URL, "://")+3)], "/") {
		return errors.New("url: no placeholder may stand in the host")
	}
	checks := []error{
		oneOf("method", s.Method, http.MethodGet, http.MethodPost, http.MethodPut),
		oneOf("format", s.Format, "json", "form", "text"),
		oneOf("number", s.Number, "e164", "digits", "national"),
		oneOf("signature", s.Signature, "add", "none"),
		oneOf("auth.kind", s.Auth.Kind, "", "bearer", "basic", "header", "hmac"),
		oneOf("auth.algorithm", s.Auth.Algorithm, "sha256", "sha1", "sha512", "md5"),
		oneOf("auth.encoding", s.Auth.Encoding, "hex", "base64"),
		s.checkTexts(), s.checkHeaders(), s.checkAnswer(),
	}
	if s.Receipts != nil {
		checks = append(checks, s.Receipts.check())
	}
	if s.Replies != nil {
		checks = append(checks, s.Replies.check())
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
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
func (s *Spec) checkTexts() error {
	for field, text := range map[string]string{"url": s.URL, "body": s.Body, "auth.text": s.Auth.Text} {
		for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
			name, _, param := strings.Cut(found[1], ":")
			signing := name == "body" || name == "method" || name == "path"
			if (!slices.Contains(placeholders, name) && (!param || name != "param")) || (signing && field != "auth.text") {
				return fmt.Errorf("%s: unknown placeholder {%s}", field, found[1])
			}
		}
	}
	if !strings.Contains(s.URL+s.Body, "{to}") {
		return errors.New("body: the recipient {to} is missing")
	}
	if !s.Templates && !strings.Contains(s.URL+s.Body, "{text}") {
		return errors.New("body: the text {text} is missing; a gateway of approved templates says templates: true")
	}
	if s.Body != "" && s.Method == http.MethodGet {
		return errors.New("method: a GET has no body; put the placeholders into the url")
	}
	if s.Body != "" && s.Format == "json" {
		hostile := fill(s.Body, func(name string) string {
			if name == "params" {
				return `{"a":"b"}`
			}
			return escapeJSON("\"}\n\\")
		})
		if !json.Valid([]byte(hostile)) {
			return errors.New("body: this is no JSON with the placeholders inside of quotes ({params} without)")
		}
	}
	return nil
}

func (s *Spec) checkHeaders() error {
	names := []string{}
	for name, value := range s.Headers {
		names = append(names, name)
		if strings.ContainsAny(value, "\r\n\x00") {
			return fmt.Errorf("headers.%s: the value has a line end", name)
		}
	}
	for _, n := range []string{s.Idempotency, s.Auth.Header} {
		if n != "" {
			names = append(names, n)
		}
	}
	for _, name := range names {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || name == "" {
			return fmt.Errorf("headers: %q is no header name", name)
		}
	}
	if (s.Auth.Kind == "header" || s.Auth.Kind == "hmac") && s.Auth.Header == "" {
		return errors.New("auth.header: name the header")
	}
	if s.Auth.Kind == "hmac" && s.Auth.Text == "" {
		return errors.New("auth.text: say what is signed, e.g. \"{timestamp}.{body}\"")
	}
	return nil
}

func (s *Spec) checkAnswer() error {
	for _, status := range s.Answer.Status {
		if status < 200 || status > 299 {
			return fmt.Errorf("answer.status: %d is no success; codes has room for \"http %d\"", status, status)
		}
	}
	for field, p := range map[string]string{"code": s.Answer.Code, "id": s.Answer.ID, "parts": s.Answer.Parts} {
		if _, err := parsePointer(p); err != nil {
			return fmt.Errorf("answer.%s: %w", field, err)
		}
	}
	if s.Answer.Code != "" && len(s.Codes.Success) == 0 {
		return errors.New("codes.success: name the codes that mean yes")
	}
	if s.Answer.Code == "" && len(s.Codes.Success) > 0 {
		return errors.New("answer.code: say where the code is")
	}
	seen := map[string]bool{}
	for _, set := range s.Codes.sets() {
		for _, code := range set.codes {
			if seen[code] {
				return fmt.Errorf("codes: %q is there twice", code)
			}
			seen[code] = true
		}
	}
	return nil
}

type codeSet struct {
	kind  care.Kind // "" = success
	codes []string
}

func (c *CodeSets) sets() []codeSet {
	return []codeSet{
		{"", c.Success},
		{care.KindRetry, c.Retry},
		{care.KindRecipient, c.Recipient},
		{care.KindContent, c.Content},
		{care.KindOperator, c.Operator},
		{care.KindOptedOut, c.OptedOut},
		{care.KindDefer, c.Defer},
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

func (r *ReceiptSpec) check() error {
	if r.Format == "" {
		r.Format = "json"
	}
	if err := oneOf("receipts.format", r.Format, "json", "form", "query"); err != nil {
		return err
	}
	if r.ID == "" && r.ProviderID == "" {
		return errors.New("receipts.id: say where the message's id is, or the gateway's as provider_id")
	}
	if r.Status == "" || len(r.Delivered) == 0 || len(r.Failed) == 0 {
		return errors.New("receipts.status: say where the status is, and which ones mean delivered and failed")
	}
	return pointers("receipts", map[string]string{"list": r.List, "id": r.ID, "provider_id": r.ProviderID, "status": r.Status, "code": r.Code, "parts": r.Parts})
}

func (r *ReplySpec) check() error {
	if r.Format == "" {
		r.Format = "json"
	}
	if err := oneOf("replies.format", r.Format, "json", "form", "query"); err != nil {
		return err
	}
	if r.From == "" || r.Text == "" {
		return errors.New("replies.from: say where the number and the text are")
	}
	return pointers("replies", map[string]string{"list": r.List, "from": r.From, "to": r.To, "text": r.Text, "id": r.ID})
}

func pointers(where string, all map[string]string) error {
	for field, p := range all {
		if _, err := parsePointer(p); err != nil {
			return fmt.Errorf("%s.%s: %w", where, field, err)
		}
	}
	return nil
}

// fill replaces the placeholders of a text.
func fill(text string, value func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string { return value(found[1 : len(found)-1]) })
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
