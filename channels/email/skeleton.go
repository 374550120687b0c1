package email

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"mime"
	netmail "net/mail"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/care"
)

// A skeleton is what the mails of one template, dealer and advisor have in common, as go-mail wrote it once: the bytes between the slots,
// into which the fields of a message are put. go-mail decides how our mail looks, and a message costs only its own fields: half of what
// writing the whole mail would cost, which is most of the work of sending one.
//
//   - newSkeleton lets go-mail write a mail whose fields are random marks, and cuts its bytes at the marks.
//   - fill writes the bytes and, in the slots, the message's recipient, subject, date, id, URL and bodies, each encoded as go-mail does.
//   - What differs otherwise (attachments, addresses outside of ASCII) go-mail writes whole: see Sender.write.
//   - skeletonKey has everything that the bytes between the slots depend on. A field that is forgotten there would go to the wrong
//     customers, so the tests compare both ways, part by part, for messages of every kind.
//   - DKIM signs the finished bytes, of both ways alike.
type skeleton struct {
	texts []string // one more than slots
	slots []slot
}

type slot uint8

const (
	slotTo slot = iota
	slotSubject
	slotDate
	slotID // the id on the wire
	slotUnsubscribe
	slotText
	slotHTML
)

// skeletonKey is all that the text between the slots depends on.
type skeletonKey struct {
	from, reply                           care.Mailbox
	topic, dealer, program, class, locale string
	text, html                            mail.Encoding // "" = there is none
	unsubscribe, secure                   bool
}

// skeletons are kept by what they depend on, at most mostSkeletons: then all are forgotten and made again as they are needed.
type skeletons struct {
	mu    sync.RWMutex
	known map[skeletonKey]*skeleton
}

const mostSkeletons = 1024

// fits reports whether a message may go on a skeleton.
func fits(m *mimeMessage) bool { return len(m.Attachments) == 0 && !m.utf8 }

// fill appends a message on its skeleton to b; false if there is no skeleton for it. No line of it begins with a dot.
func (s *Sender) fill(b []byte, m *mimeMessage) ([]byte, bool) {
	f := s.skeleton(m)
	if f == nil {
		return b, false
	}
	for i, text := range f.texts {
		b = append(b, text...)
		if i == len(f.slots) {
			break
		}
		switch f.slots[i] {
		case slotTo:
			b = appendFolded(b, len("To: "), m.to.String())
		case slotSubject:
			b = appendFolded(b, len("Subject: "), subjectWords(m.subject))
		case slotDate:
			b = s.moment(m.Message).AppendFormat(b, time.RFC1123Z)
		case slotID:
			b = append(b, m.id...)
		case slotUnsubscribe:
			b = append(b, m.unsubscribeURL...)
		case slotText:
			b = appendBody(b, m.Text, m.textAs)
		case slotHTML:
			b = appendBody(b, m.HTML, m.htmlAs)
		}
	}
	if !bytes.HasSuffix(b, crlf) {
		b = append(b, crlf...)
	}
	return b, true
}

func (s *Sender) skeleton(m *mimeMessage) *skeleton {
	key := skeletonKey{
		from: care.Mailbox{Name: m.from.Name, Address: m.from.Address}, topic: m.Topic, dealer: m.Dealer, program: m.Program, class: string(m.Class),
		locale: m.Locale, unsubscribe: m.unsubscribeURL != "", secure: m.secure, text: m.textAs, html: m.htmlAs,
	}
	if m.reply != nil {
		key.reply = care.Mailbox{Name: m.reply.Name, Address: m.reply.Address}
	}
	s.skeletons.mu.RLock()
	f := s.skeletons.known[key]
	s.skeletons.mu.RUnlock()
	if f != nil {
		return f
	}
	f = s.newSkeleton(m, key)
	if f == nil {
		return nil
	}
	s.skeletons.mu.Lock()
	defer s.skeletons.mu.Unlock()
	if s.skeletons.known == nil || len(s.skeletons.known) >= mostSkeletons {
		s.skeletons.known = make(map[skeletonKey]*skeleton)
	}
	s.skeletons.known[key] = f
	return f
}

// newSkeleton lets go-mail write a message with marks in the places of the fields, and cuts it at the marks. nil if a mark is not found
// once where it must be: then go-mail writes every message itself.
func (s *Sender) newSkeleton(m *mimeMessage, key skeletonKey) *skeleton {
	marks := make([]string, slotHTML+1)
	for i := range marks {
		marks[i] = rand.Text() // 26 letters and digits, as long as an id
	}
	specimen := *m
	specimen.to = &netmail.Address{Address: marks[slotTo] + "@mark.invalid"}
	specimen.subject, specimen.id = marks[slotSubject], marks[slotID]
	if key.unsubscribe {
		specimen.unsubscribeURL = marks[slotUnsubscribe]
	}
	msg := mail.NewMsg(mail.WithEncoding(mail.EncodingQP), mail.WithNoDefaultUserAgent(), mail.WithBoundary(rand.Text()+rand.Text()))
	s.setHeaders(msg, &specimen)
	msg.SetGenHeader(mail.HeaderDate, marks[slotDate])
	var text, html []byte
	if key.text != "" {
		text = []byte(marks[slotText])
	}
	if key.html != "" {
		html = []byte(marks[slotHTML])
	}
	setBody(msg, text, html, key.text, key.html)
	var out bytes.Buffer
	if _, err := msg.WriteTo(&out); err != nil {
		return nil
	}
	// How a mark stands in the text: a body's in its encoding, the recipient's as an address.
	marks[slotTo] = specimen.to.String()
	marks[slotText], marks[slotHTML] = encoded(marks[slotText], key.text), encoded(marks[slotHTML], key.html)
	return cut(out.Bytes(), marks, map[slot]int{
		slotTo: 1, slotSubject: 1, slotDate: 1, slotID: 2, slotUnsubscribe: count(key.unsubscribe), slotText: count(key.text != ""), slotHTML: count(key.html != ""),
	})
}

func count(there bool) int {
	if there {
		return 1
	}
	return 0
}

func encoded(mark string, as mail.Encoding) string {
	if as == mail.EncodingB64 {
		return base64.StdEncoding.EncodeToString([]byte(mark))
	}
	return mark
}

// cut divides a text at its marks, each of which must be there as often as want says.
func cut(text []byte, marks []string, want map[slot]int) *skeleton {
	f := &skeleton{}
	for {
		at, which := -1, slot(0)
		for i, mark := range marks {
			if n := bytes.Index(text, []byte(mark)); n >= 0 && (at < 0 || n < at) {
				at, which = n, slot(i)
			}
		}
		if at < 0 {
			break
		}
		f.texts, f.slots = append(f.texts, string(text[:at])), append(f.slots, which)
		want[which]--
		text = text[at+len(marks[which]):]
	}
	f.texts = append(f.texts, string(text))
	for _, left := range want {
		if left != 0 {
			return nil
		}
	}
	return f
}

// subjectWords encodes a subject as go-mail does, in the shorter of the two encodings of RFC 2047.
func subjectWords(subject string) string {
	if wide(subject) {
		return base64Words(subject)
	}
	return mime.QEncoding.Encode("UTF-8", subject)
}

// wordBytes is how many bytes fit into one encoded word: 75 characters with its frame (RFC 2047 section 2).
const wordBytes = 45

// base64Words writes what mime.BEncoding does, without its buffers. No character is divided between two words.
func base64Words(s string) string {
	b := make([]byte, 0, 2*len(s)+16)
	for len(s) > 0 {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > wordBytes {
				break
			}
			n += size
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, "=?UTF-8?b?"...)
		b = base64.StdEncoding.AppendEncode(b, []byte(s[:n]))
		b = append(b, "?="...)
		s = s[n:]
	}
	return string(b)
}

// foldAt is the longest header line (RFC 2047 section 2; RFC 5322 section 2.1.1 asks for 78).
const foldAt = 76

// appendFolded writes a header's value behind its name of width characters, folded at blanks.
func appendFolded(b []byte, width int, value string) []byte {
	at := width
	for first := true; ; first = false {
		word, rest := value, ""
		more := false
		for i := range len(value) {
			if value[i] == ' ' {
				word, rest, more = value[:i], value[i+1:], true
				break
			}
		}
		switch {
		case first:
		case at+1+len(word) > foldAt && word != "":
			b = append(b, "\r\n "...)
			at = 1
		default:
			b = append(b, ' ')
			at++
		}
		b = append(b, word...)
		at += len(word)
		if !more {
			return b
		}
		value = rest
	}
}

var crlf = []byte("\r\n")

// appendBody writes a body in an encoding of RFC 2045. No line of it begins with a dot, which SMTP would double, or with a hyphen, which
// could be taken for a boundary.
func appendBody(b, body []byte, as mail.Encoding) []byte {
	body = withoutNUL(body)
	if as == mail.EncodingB64 {
		return appendBase64(b, body)
	}
	return appendQuoted(b, body)
}

const (
	lineBytes = 57 // that make 76 characters of base64
	lineMost  = 76
)

func appendBase64(b, body []byte) []byte {
	for len(body) > lineBytes {
		b = base64.StdEncoding.AppendEncode(b, body[:lineBytes])
		b = append(b, crlf...)
		body = body[lineBytes:]
	}
	return base64.StdEncoding.AppendEncode(b, body)
}

const upperHex = "0123456789ABCDEF"

// appendQuoted writes quoted-printable (RFC 2045 section 6.7). Every line end, of whatever kind, becomes CRLF.
func appendQuoted(b, body []byte) []byte {
	at := 0 // characters on this line
	quote := func(c byte) {
		if at+3 > lineMost-1 { // the last place is for the = of a soft line break
			b = append(b, "=\r\n"...)
			at = 0
		}
		b = append(b, '=', upperHex[c>>4], upperHex[c&15])
		at += 3
	}
	// A blank at the end of a line would be lost on the way.
	endLine := func() {
		if n := len(b); at > 0 && (b[n-1] == ' ' || b[n-1] == '\t') {
			c := b[n-1]
			b = b[:n-1]
			at--
			quote(c)
		}
	}
	for i := 0; i < len(body); {
		c := body[i]
		switch {
		case c == '\n' || c == '\r':
			endLine()
			b = append(b, crlf...)
			at = 0
			if i++; c == '\r' && i < len(body) && body[i] == '\n' {
				i++
			}
		case !asIs[c] || at == 0 && (c == '.' || c == '-'):
			quote(c)
			i++
		case at >= lineMost-1:
			b = append(b, "=\r\n"...)
			at = 0
		default:
			end := min(len(body), i+lineMost-1-at)
			from := i
			for i++; i < end && asIs[body[i]]; i++ {
			}
			b = append(b, body[from:i]...)
			at += i - from
		}
	}
	endLine()
	return b
}

// asIs are the characters that quoted-printable leaves as they are.
var asIs = func() (table [256]bool) {
	for c := byte(' '); c <= '~'; c++ {
		table[c] = c != '='
	}
	table['\t'] = true
	return table
}()
