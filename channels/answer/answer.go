package answer

import (
	_ "embed"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
)

// Stage is where in its dialogue a server said something.
type Stage uint8

// The stages. Report is a server's answer that another one tells of, in a returned mail or a webhook.
const (
	Connect Stage = iota // the greeting, EHLO and TLS
	Auth
	MailFrom
	Rcpt
	Data // the command
	Dot  // the answer to the whole message
	Report
)

// Answer is what a server said.
type Answer struct {
	Stage    Stage
	Code     int    // of three digits; 0 = not known
	Enhanced string // RFC 3463; "" = the text's own, if it has one
	Text     string
	// Theirs says that a recipient's server said it, not the one that we hand our mail to.
	Theirs bool
}

// How long what lifts by itself is waited for.
const (
	fullMailbox  = time.Hour // it takes its owner, not seconds
	accountQuota = time.Hour // of a day's or an hour's ceiling
)

// Read says what an answer means for the message, the address and the gateway. Its error has a kind, a code and the time to wait; the
// caller adds the words.
func Read(a Answer) *care.Error {
	a = a.complete()
	e := &care.Error{Kind: care.KindRetry, Code: a.code()}
	switch a.topic() {
	case "account":
		e.Kind, e.RetryAfter, e.Gateway = care.KindDefer, accountQuota, true
	case "full":
		if a.Stage != Report {
			e.Kind, e.RetryAfter = care.KindDefer, fullMailbox
		}
	case "rate":
		if a.Stage == Report {
			e.Kind = care.KindDefer // not the address's fault: it does not count against it
		}
	case "us", "suspended":
		e.Kind = care.KindOperator
	case "message":
		e.Kind = care.KindContent
	case "suspect":
		if a.Stage != Report {
			e.Kind = care.KindContent
		}
	case "dead":
		e.Kind = care.KindRecipient
	}
	return e
}

var (
	anyCode   = regexp.MustCompile(`(?:^|[^0-9.])([45]\.\d{1,3}\.\d{1,3})(?:[^0-9.]|\.?$|\. )`)
	basicCode = regexp.MustCompile(`(?:^|[\s;:"'(>\[])([45]\d\d)(?:[\s\-#]|$)`)
	enhanced  = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`)
)

// complete takes codes from the text. Where a report quotes the receiving server, the server's own code counts before the report's: some
// write 5.1.1 for every no to RCPT.
func (a Answer) complete() Answer {
	if m := anyCode.FindStringSubmatch(a.Text); m != nil && (a.Enhanced == "" || a.Theirs || strings.HasSuffix(a.Enhanced, ".0.0")) {
		if a.Enhanced == "" || !strings.HasSuffix(m[1], ".0.0") {
			a.Enhanced = m[1]
		}
	}
	if m := basicCode.FindStringSubmatch(a.Text); m != nil && a.Code == 0 {
		for _, digit := range m[1] {
			a.Code = 10*a.Code + int(digit-'0')
		}
	}
	if !enhanced.MatchString(a.Enhanced) {
		a.Enhanced = ""
	}
	return a
}

func (a *Answer) code() string {
	code := ""
	if a.Code > 0 {
		code = string([]byte{'0' + byte(a.Code/100%10), '0' + byte(a.Code/10%10), '0' + byte(a.Code%10)})
	}
	return strings.TrimSpace(code + " " + a.Enhanced)
}

// passing reports whether the codes say "not now": the server's own three digits count most.
func (a *Answer) passing() bool {
	if a.Code > 0 && a.Stage != Report {
		return a.Code < 500
	}
	return a.Code >= 400 && a.Code < 500 || strings.HasPrefix(a.Enhanced, "4")
}

// topic says what an answer is about: account, suspended, full, rate, us, message, suspect, dead; "" = it is not known, or a repeat may
// help.
func (a *Answer) topic() string {
	words := about(a.Text)
	byCode, known := codes[a.Enhanced]
	switch {
	case a.passing():
		if a.Stage == Report {
			if words == "rate" || words == "us" || words == "account" || words == "message" {
				return "rate"
			}
			return "full" // soft: some of these count as one hard one
		}
		if lasting(a.Text) {
			return "us"
		}
		return ""
	case !a.Theirs && ofLogin(a.Code) || a.Enhanced == "5.7.8" || a.Enhanced == "5.7.9":
		return "us"
	case a.Stage <= MailFrom:
		return a.ofSender(words)
	case a.Code == 503 && !a.Theirs && words == "":
		return "" // our dialogue and the server's have come apart: nothing is known of the message
	case words == "dead" && strings.HasPrefix(a.Enhanced, "5.7.") && !certain(a.Text):
		return "message" // a policy; only words that can mean nothing else make it a dead address
	case words == "network":
		if a.Stage == Report {
			return "full"
		}
		return ""
	case words == "size", words == "reader", words == "policy":
		return "message"
	case words == "dead" && a.Stage == Data:
		return "message"
	case words != "":
		return words
	case known:
		return byCode
	case a.Code == 556 || a.Code == 525 && a.Theirs:
		return "dead"
	case a.Code == 552 && a.Enhanced == "":
		return "message"
	case a.Code == 521 && !a.Theirs:
		return "us"
	}
	return "message"
}

// ofSender is the topic of a no before the server has heard of a recipient: it is about us, unless it is a matter of time or size.
func (a *Answer) ofSender(words string) string {
	if a.Stage == Auth && words == "network" { // a password that has expired
		return "us"
	}
	switch words {
	case "rate", "account", "suspended":
		return words
	case "network":
		return ""
	case "full":
		return "account"
	case "size":
		if a.Stage == MailFrom {
			return "message"
		}
	}
	switch {
	case a.Code == 503:
		return ""
	case a.Enhanced == "5.3.4" || a.Enhanced == "5.2.3":
		return "message"
	}
	return "us"
}

// ofLogin lists the codes of a refused log-in (RFC 4954), and Alibaba's own.
func ofLogin(code int) bool {
	switch code {
	case 523, 524, 526, 530, 534, 535, 538:
		return true
	}
	return false
}

// codes is what enhanced codes mean whose answer has no words that say more (RFC 3463, RFC 7372, RFC 7504, RFC 7505, Microsoft's NDR
// codes).
var codes = map[string]string{
	"5.1.1": "dead", "5.1.2": "dead", "5.1.3": "dead", "5.1.6": "dead", "5.1.10": "dead", "5.4.4": "dead", "5.4.310": "dead",
	"5.1.7": "us", "5.1.8": "us", "5.2.2": "full", "5.3.1": "full", "5.4.5": "account", "5.5.3": "rate",
	"5.7.20": "us", "5.7.21": "us", "5.7.22": "us", "5.7.23": "us", "5.7.24": "us", "5.7.25": "us", "5.7.26": "us", "5.7.27": "us",
	"5.7.60": "us", "5.7.64": "us", "5.7.57": "us", "5.4.7": "full", "5.4.1": "full", "5.4.2": "full", "5.4.3": "full",
	"5.7.501": "us", "5.7.502": "us", "5.7.503": "us", "5.7.509": "us", "5.7.511": "us", "5.7.703": "us", "5.7.705": "us", "5.7.708": "us",
	"5.7.750": "us",
}

//go:embed words.txt
var wordList string

// section is what the words of an answer are about.
type section struct {
	topic   string
	phrases [][]string // the parts of each, in their order
}

var sections = readSections(wordList)

func readSections(list string) (out []section) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			name, _, _ := strings.Cut(line[1:], "]")
			out = append(out, section{topic: name})
		default:
			last := &out[len(out)-1]
			last.phrases = append(last.phrases, strings.Split(line, " * "))
		}
	}
	return out
}

// about returns the topic of a text's words, "" if it has none that are known.
func about(text string) string {
	text = flat(text)
	for _, s := range sections {
		for _, p := range s.phrases {
			if has(text, p) {
				return s.topic
			}
		}
	}
	return ""
}

// lasting reports whether words say that a 4xx will not pass without a person: Postfix defers what it will not relay, by default.
func lasting(text string) bool {
	text = flat(text)
	for _, p := range [][]string{{"relay access denied"}, {"relaying denied"}, {"relay not permitted"}, {"credits exceeded"}} {
		if has(text, p) {
			return true
		}
	}
	return false
}

// certain reports whether words can mean nothing but a dead address.
func certain(text string) bool {
	text = flat(text)
	for _, p := range [][]string{
		{"user unknown"},
		{"unknown user"},
		{"no such user"},
		{"user", "does not exist"},
		{"user not found"},
		{"recipient unknown"},
		{"unknown recipient"},
		{"mailbox not found"},
		{"mailbox", "does not exist"},
		{"recipient", "does not exist"},
		{"no such recipient"},
		{"no such mailbox"},
		{"no mailbox here by that name"},
		{"recipient doesn't exist"},
		{"mailbox doesn't exist"},
		{"user doesn't exist"},
		{"address", "does not exist"},
		{"invalid recipient"},
		{"address invalid"},
		{"validrcptto"},
	} {
		if has(text, p) {
			return true
		}
	}
	return false
}

// gap is how far apart the parts of a phrase may stand, in bytes.
const gap = 60

func has(text string, parts []string) bool {
	for from := 0; ; {
		at := wordAt(text[from:], parts[0])
		if at < 0 {
			return false
		}
		from += at + len(parts[0])
		if follows(text[from:], parts[1:]) {
			return true
		}
	}
}

func follows(text string, parts []string) bool {
	for _, part := range parts {
		at := strings.Index(text[:min(len(text), gap+len(part))], part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// wordAt finds a phrase where a word begins; in scripts without blanks that is anywhere.
func wordAt(text, phrase string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], phrase)
		if at < 0 {
			return -1
		}
		at += from
		if at == 0 || !letter(text[at-1]) || phrase[0] >= utf8.RuneSelf {
			return at
		}
		from = at + 1
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

var (
	addresses = regexp.MustCompile(`[^\s<>"'()\[\],;:]+@[^\s<>"'()\[\],;]+`)
	urls      = regexp.MustCompile(`\b(?:https?://|www\.)\S+`)
	// hosts are names of machines; the names in it that mean something stay (see telling).
	hosts   = regexp.MustCompile(`\b[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.(?:[a-z]{2}|com|net|org|edu|gov|mil|info|biz|example|invalid|test|local|localdomain|cloud|email|online|mobile)\b`)
	telling = regexp.MustCompile(`spamhaus|spamcop|sorbs|barracuda|dnsbl|rbl|abuseat|uceprotect|senderscore|senderbase|cloudmark|mailspike|surbl|uribl|ipcheck|trustedsource`)
	again   = regexp.MustCompile(`(?m)^\s*[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3})?`)
)

// flat writes a text in lower case on one line, without addresses, hosts and the codes that each line repeats.
func flat(text string) string {
	text = strings.ToLower(strings.ReplaceAll(text, "’", "'"))
	text = again.ReplaceAllString(text, " ")
	named := func(s string) string {
		if telling.MatchString(s) {
			return " blacklist "
		}
		return " "
	}
	text = urls.ReplaceAllStringFunc(text, named)
	text = addresses.ReplaceAllString(text, " ")
	text = hosts.ReplaceAllStringFunc(text, named)
	return strings.Join(strings.Fields(text), " ")
}
