package sms

import (
	"embed" // the shipped files
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
)

// Spec is a gateway file. docs/gateways.md describes its fields.
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
	Status      *StatusSpec       `yaml:"status"`
	Balance     *BalanceSpec      `yaml:"balance"`
	Token       *TokenSpec        `yaml:"token"`
}

// Auth is how a gateway wants to know us.
type Auth struct {
	Kind      string `yaml:"kind"`
	Header    string `yaml:"header"`
	Text      string `yaml:"text"`
	Algorithm string `yaml:"algorithm"`
	Encoding  string `yaml:"encoding"`
	Prefix    string `yaml:"prefix"`

	Values  []Step            `yaml:"values"`  // placeholders that are computed, each from those before it
	Headers map[string]string `yaml:"headers"` // of kind signed: texts with placeholders
}

// AnswerSpec says where things are in a gateway's answer.
type AnswerSpec struct {
	Status  []int  `yaml:"status"`
	Format  string `yaml:"format"`  // json, xml, form or text
	Pattern string `yaml:"pattern"` // of a text: its named groups are its fields
	Code    string `yaml:"code"`
	ID      string `yaml:"id"`
	Parts   string `yaml:"parts"`
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

// shipped are gateway files that need no book. A file of the book with the same name takes its place.
//
//go:embed gateways/*.yaml
var shipped embed.FS

// gatewayFile reads the file that describes a gateway: the book's, else the one that is shipped.
func gatewayFile(files fs.FS, file string) (raw []byte, err error) {
	err = fs.ErrNotExist
	if files != nil {
		raw, err = fs.ReadFile(files, file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = shipped.ReadFile(file)
	}
	return raw, err
}

// known names the gateways that need no file of the book.
func known() string {
	names := slices.Sorted(maps.Keys(drivers))
	for _, file := range gatewayFiles(shipped) {
		names = append(names, strings.TrimSuffix(path.Base(file), ".yaml"))
	}
	return strings.Join(names, ", ") + " and the files of the book's gateways folder"
}

// ReadGateway reads gateways/<name>.yaml of a care book, or the one that is shipped. An error names the field, and for YAML the line and
// column.
func ReadGateway(files fs.FS, decode care.FileDecoder, name string) (*Spec, error) {
	if !gatewayName.MatchString(name) || BuiltIn(name) {
		return nil, errors.New("a gateway file is named with small letters, digits and hyphens, and not like a gateway that is built in")
	}
	file := gatewaysFolder + "/" + name + ".yaml"
	raw, err := gatewayFile(files, file)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read; there are %s", file, known())
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

// Placeholders by where they may stand: those of the account and the moment everywhere, those of a message in the request that sends it,
// and those of a written request where it is signed.
var (
	ofAccount = []string{"user", "password", "from", "timestamp", "date", "datetime", "utc", "nonce"}
	ofMessage = []string{
		"to", "text", "id", "signature", "country", "template", "params", "params_list", "hex", "smpp_hex", "coding", "unicode", "callback",
	}
	ofQuestion = []string{"to", "id", "provider_id", "country"}
	ofRequest  = []string{"body", "method", "path", "host"}
)

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
