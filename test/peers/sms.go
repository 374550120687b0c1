package peers

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// SMS is a message as it arrived at the fake SMSC.
type SMS struct {
	From, To string
	// Coding is Kannel's: 0 GSM-7, 1 eight bits, 2 UCS-2.
	Coding int
	// Text is the whole message in UTF-8, parts joined in their order. With eight bits it is the bytes as they came.
	Text string
	// Parts are the texts of the parts that have come, in their order; a message in one piece has one.
	Parts []string
	// Total is how many parts the message has. Fewer Parts than that: the rest is still under way, or lost.
	Total int
}

// Complete says whether all parts have come.
func (s SMS) Complete() bool { return len(s.Parts) == s.Total }

var (
	gotLine = regexp.MustCompile(`DEBUG: Got message \d+: <(.*)>$`)
	// A sender may hold spaces, a receiver may not.
	smsLine = regexp.MustCompile(`(?s)^(.*?) (\S+) (text|ucs-2|data|udh) (.*)$`)
	udhLine = regexp.MustCompile(`^(\S+) data (\S*)$`)
)

const (
	codingGSM  = 0
	coding8Bit = 1
	codingUCS2 = 2
)

// pending is a message whose parts are being collected.
type pending struct {
	sms   SMS
	ref   string
	parts map[int][]byte
}

// parseFakeSMSC reads what fakesmsc prints. It writes one line per message as it comes over the wire, "from to kind text", where kind
// is text (as it is; a line feed in it makes a line of its own, because that protocol is one of lines), ucs-2 and data (bytes,
// percent-escaped) or udh (user data header and bytes). The last line may be half-written and is left for the next time.
func parseFakeSMSC(log string) ([]SMS, error) {
	var lines []string
	for line := range strings.Lines(log) {
		m := gotLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || !strings.HasSuffix(line, "\n") {
			continue
		}
		if smsLine.MatchString(m[1]) || len(lines) == 0 {
			lines = append(lines, m[1])
		} else {
			lines[len(lines)-1] += "\n" + m[1]
		}
	}
	var got []*pending
	for _, line := range lines {
		m := smsLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("unknown line of fakesmsc: %q", line)
		}
		if err := collect(&got, SMS{From: m[1], To: m[2]}, m[3], m[4]); err != nil {
			return nil, fmt.Errorf("line of fakesmsc %q: %w", line, err)
		}
	}
	out := make([]SMS, len(got))
	for i, p := range got {
		out[i] = p.finish()
	}
	return out, nil
}

// collect adds one line to the message it belongs to, or begins a new one.
func collect(got *[]*pending, sms SMS, kind, rest string) error {
	header := ""
	if kind == "udh" {
		m := udhLine.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("no data after the header")
		}
		header, rest = m[1], m[2]
	}
	body := []byte(rest)
	if kind != "text" {
		s, err := url.QueryUnescape(rest)
		if err != nil {
			return err
		}
		body = []byte(s)
	}
	sms.Total, sms.Coding = 1, map[string]int{"text": codingGSM, "data": coding8Bit, "ucs-2": codingUCS2}[kind]
	if kind != "udh" {
		*got = append(*got, &pending{sms: sms, parts: map[int][]byte{1: body}})
		return nil
	}
	s, err := url.QueryUnescape(header)
	if err != nil {
		return err
	}
	ref, total, number, err := concatenation([]byte(s))
	if err != nil {
		return err
	}
	sms.Total, sms.Coding = total, -1
	for _, p := range *got {
		if p.ref == ref && p.sms.From == sms.From && p.sms.To == sms.To && p.sms.Total == total && p.parts[number] == nil {
			p.parts[number] = body
			return nil
		}
	}
	*got = append(*got, &pending{sms: sms, ref: ref, parts: map[int][]byte{number: body}})
	return nil
}

// concatenation reads the element for parts in a user data header (3GPP TS 23.040, 9.2.3.24.1 and .8). The reference comes round after
// 256 messages, which is why collect begins a new message at a part that it has already.
func concatenation(udh []byte) (ref string, total, number int, err error) {
	if len(udh) == 0 || int(udh[0]) != len(udh)-1 {
		return "", 0, 0, fmt.Errorf("header of wrong length")
	}
	for e := udh[1:]; len(e) >= 2 && len(e) >= 2+int(e[1]); e = e[2+int(e[1]):] {
		v := e[2 : 2+int(e[1])]
		switch {
		case e[0] == 0 && len(v) == 3, e[0] == 8 && len(v) == 4:
			n := len(v)
			return string(v[:n-2]), int(v[n-2]), int(v[n-1]), nil
		}
	}
	return "", 0, 0, fmt.Errorf("header without parts")
}

// finish orders and decodes the parts. fakesmsc doesn't say in which coding a part with a header is; bytes that are no printable UTF-8
// are UCS-2. In UCS-2 each ASCII character has a zero byte, each full-width sign a 0xFF and 。、《 a control byte, so that no message
// long enough to need parts is taken for the other.
func (p *pending) finish() SMS {
	numbers := make([]int, 0, len(p.parts))
	var all []byte
	for n := range p.parts {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		all = append(all, p.parts[n]...)
	}
	sms := p.sms
	if sms.Coding < 0 {
		sms.Coding = codingGSM
		if !printable(all) {
			sms.Coding = codingUCS2
		}
	}
	for _, n := range numbers {
		part := string(p.parts[n])
		if sms.Coding == codingUCS2 {
			part = decodeUCS2(p.parts[n])
		}
		sms.Parts = append(sms.Parts, part)
	}
	sms.Text = string(all)
	if sms.Coding == codingUCS2 {
		// Decoded as a whole, so that a pair of surrogates torn between two parts shows in Parts and not in Text.
		sms.Text = decodeUCS2(all)
	}
	return sms
}

func printable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\f' {
			return false
		}
	}
	return true
}

func encodeUCS2(text string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return out
}

func decodeUCS2(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, binary.BigEndian.Uint16(b))
	}
	return string(utf16.Decode(units))
}
