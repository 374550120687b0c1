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

// A form is what the messages of one template, dealer and advisor have in common, as go-mail wrote it once: the text between the
// slots, into which the fields of a message are put. So go-mail says how our mail looks, and a message costs no more than its own
// fields.
type form struct {
	texts []string // one more than slots
	slots []slot
}

type slot uint8

const (
	slotTo slot = iota
	slotSubject
	slotDate
	slotID // the id on the wire
	slotLink
	slotText
	slotHTML
)

// formKey is all that the text between the slots depends on.
type formKey struct {
	from, reply                           care.Mailbox
	topic, dealer, program, class, locale string
	text, html                            mail.Encoding // "" = there is none
	link, secure                          bool
}

// forms are kept by what they depend on, at most mostForms: then all are forgotten and made again as they are needed.
type forms struct {
	mu     sync.RWMutex
	known  map[formKey]*form
	spaces sync.Pool // of *[]byte
}

const (
	mostForms = 1024
	// mostKept is the largest buffer that is kept for the next message, in bytes.
	mostKept = 256 << 10
)

// fits reports whether a message may go on a form. What is signed or carries files, and addresses outside of ASCII, go-mail writes whole.
func (s *Sender) fits(l *letter) bool {
	return len(l.Attachments) == 0 && !l.utf8 && len(s.dkim) == 0
}

// fill writes a message on its form, the final dot included; nil if there is no form for it.
func (s *Sender) fill(l *letter) *[]byte {
	f := s.form(l)
	if f == nil {
		return nil
	}
	space, _ := s.forms.spaces.Get().(*[]byte)
	if space == nil {
		space = new([]byte)
	}
	b := (*space)[:0]
	for i, text := range f.texts {
		b = append(b, text...)
		if i == len(f.slots) {
			break
		}
		switch f.slots[i] {
		case slotTo:
			b = appendFolded(b, len("To: "), l.to.String())
		case slotSubject:
			b = appendFolded(b, len("Subject: "), subjectWords(l.subject))
		case slotDate:
			b = s.moment(l.Message).AppendFormat(b, time.RFC1123Z)
		case slotID:
			b = append(b, l.id...)
		case slotLink:
			b = append(b, l.link...)
		case slotText:
			b = appendBody(b, l.Text, l.textAs)
		case slotHTML:
			b = appendBody(b, l.HTML, l.htmlAs)
		}
	}
	if !bytes.HasSuffix(b, crlf) {
		b = append(b, crlf...)
	}
	*space = append(b, ".\r\n"...)
	return space
}

func (s *Sender) giveBack(l *letter) {
	if l.data != nil && cap(*l.data) <= mostKept {
		s.forms.spaces.Put(l.data)
	}
	l.data = nil
}

func (s *Sender) form(l *letter) *form {
	key := formKey{
		from: care.Mailbox{Name: l.from.Name, Address: l.from.Address}, topic: l.Topic, dealer: l.Dealer, program: l.Program, class: string(l.Class),
		locale: l.Locale, link: l.link != "", secure: l.secure, text: l.textAs, html: l.htmlAs,
	}
	if l.reply != nil {
		key.reply = care.Mailbox{Name: l.reply.Name, Address: l.reply.Address}
	}
	s.forms.mu.RLock()
	f := s.forms.known[key]
	s.forms.mu.RUnlock()
	if f != nil {
		return f
	}
	f = s.newForm(l, key)
	if f == nil {
		return nil
	}
	s.forms.mu.Lock()
	defer s.forms.mu.Unlock()
	if s.forms.known == nil || len(s.forms.known) >= mostForms {
		s.forms.known = make(map[formKey]*form)
	}
	s.forms.known[key] = f
	return f
}

// newForm lets go-mail write a message with marks in the places of the fields, and cuts it at the marks. nil if a mark is not found
// once where it must be: then go-mail writes every message itself.
func (s *Sender) newForm(l *letter, key formKey) *form {
	marks := make([]string, slotHTML+1)
	for i := range marks {
		marks[i] = rand.Text() // 26 letters and digits, as long as an id
	}
	specimen := *l
	specimen.to = &netmail.Address{Address: marks[slotTo] + "@mark.invalid"}
	specimen.subject, specimen.id = marks[slotSubject], marks[slotID]
	if key.link {
		specimen.link = marks[slotLink]
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
		slotTo: 1, slotSubject: 1, slotDate: 1, slotID: 2, slotLink: count(key.link), slotText: count(key.text != ""), slotHTML: count(key.html != ""),
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
func cut(text []byte, marks []string, want map[slot]int) *form {
	f := &form{}
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
