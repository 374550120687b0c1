package email

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"mime"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// header cleans a text for a header field and cuts it to at most n runes.
func header(s string, n int) string {
	// What looks like an encoded word (RFC 2047) would be decoded by the reader, line ends and all.
	s = strings.ReplaceAll(channels.OneLine(s), "=?", "= ?")
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n])
	}
	return s
}

// label makes a token of a name of the book: letters, digits and hyphens, at most 64.
func label(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return '-'
	}, s), "-")
}

// content is a defect of the message itself: no repeat will help.
func content(code, cause string) *care.Error {
	return &care.Error{Kind: care.KindContent, Code: code, Local: true, Err: errors.New(cause)}
}

// mimeMessage is a message that was checked: its addresses are addresses, and its id may stand in a header.
type mimeMessage struct {
	*care.Message
	to, from       *netmail.Address
	reply          *netmail.Address // nil = none
	id             string           // on the wire, with its proof
	envelope       string           // the envelope's sender
	utf8           bool             // the envelope needs SMTPUTF8 (RFC 6531)
	subject        string
	unsubscribeURL string // "" = none
	secure         bool   // it is https
	// How the bodies are encoded; "" where there is none.
	textAs, htmlAs mail.Encoding

	data *[]byte // as it goes on the wire, with the final dot
	yes  string  // the server's answer
}

// check reads a message's addresses and what else may go wrong with it.
func (s *Sender) check(message *care.Message) (*mimeMessage, error) {
	m := &mimeMessage{Message: message, id: message.WireID()}
	if s.cfg.Proofs != nil {
		m.id += "-" + s.cfg.Proofs.Of(m.id)
	}
	var err error
	if m.to, err = mailbox(m.ToName, m.To); err != nil {
		return nil, &care.Error{Kind: care.KindRecipient, Code: "bad_address", Local: true, Err: errors.New("the customer's address is none")}
	}
	if m.from, err = mailbox(m.From.Name, m.From.Address); err != nil {
		return nil, content("bad_sender", "the dealer's From address is none: correct from.email in dealers.yaml")
	}
	if !wireToken(m.id) {
		return nil, content("bad_id", "the message has no id")
	}
	if len(m.Text) == 0 && len(m.HTML) == 0 {
		return nil, content("empty", "the message has no text")
	}
	m.envelope = m.from.Address
	if s.cfg.ReturnPath != "" {
		if m.envelope, err = address(strings.ReplaceAll(s.cfg.ReturnPath, "{id}", m.id)); err != nil {
			return nil, content("bad_return_path", "the return path is no address")
		}
	}
	if m.ReplyTo.Address != "" {
		if m.reply, err = mailbox(m.ReplyTo.Name, m.ReplyTo.Address); err != nil {
			return nil, content("bad_reply_to", "the advisor's address is none: correct advisors in dealers.yaml")
		}
	}
	m.utf8 = !ascii(m.to.Address) || !ascii(m.envelope)
	m.subject = header(m.Subject, 500)
	m.unsubscribeURL, m.secure = unsubscribe(m.Unsubscribe)
	if len(m.Text) > 0 {
		m.textAs = encodingFor(m.Text)
	}
	if len(m.HTML) > 0 {
		m.htmlAs = encodingFor(m.HTML)
	}
	return m, nil
}

// plain lets go-mail write a message whole.
func (s *Sender) plain(b []byte, m *mimeMessage) ([]byte, error) {
	encoding := mail.EncodingQP
	if wide(m.subject) {
		encoding = mail.EncodingB64
	}
	msg := mail.NewMsg(mail.WithEncoding(encoding), mail.WithNoDefaultUserAgent())
	s.setHeaders(msg, m)
	setBody(msg, m.Text, m.HTML, m.textAs, m.htmlAs)
	if err := attach(msg, m.Attachments); err != nil {
		return b, err
	}
	out := bytes.NewBuffer(b)
	if _, err := msg.WriteTo(out); err != nil {
		return b, content("unsendable", "the message cannot be written")
	}
	return out.Bytes(), nil
}

// spaces are buffers for messages on their way, of *[]byte.
var spaces sync.Pool

// mostKept is the largest buffer that is kept for the next message, in bytes.
const mostKept = 256 << 10

// write writes a message as it goes on the wire: signed if there is a key, with dots doubled and the final dot (RFC 5321 section 4.5.2).
func (s *Sender) write(m *mimeMessage) error {
	space, _ := spaces.Get().(*[]byte)
	if space == nil {
		space = new([]byte)
	}
	b, done := (*space)[:0], false
	if fits(m) {
		b, done = s.fill(b, m)
	}
	if !done {
		var err error
		if b, err = s.plain(b, m); err != nil {
			return err
		}
	}
	if key := s.key(m.from.Address); key != nil {
		signature, err := key.sign(b)
		if err != nil {
			return content("unsendable", "the message cannot be signed")
		}
		b = slices.Insert(b, 0, []byte(signature)...)
	}
	if !done {
		b = dotted(b)
	}
	*space = append(b, ".\r\n"...)
	m.data = space
	return nil
}

// release gives a message's buffer back.
func (m *mimeMessage) release() {
	if m.data != nil && cap(*m.data) <= mostKept {
		spaces.Put(m.data)
	}
	m.data = nil
}

// dotted doubles the dots at the beginning of lines, and ends the last line.
func dotted(b []byte) []byte {
	if !bytes.HasSuffix(b, crlf) {
		b = append(b, crlf...)
	}
	b = bytes.ReplaceAll(b, []byte("\r\n."), []byte("\r\n.."))
	if b[0] == '.' {
		b = slices.Insert(b, 0, '.')
	}
	return b
}

// wireToken reports whether an id may stand in a Message-ID and in a local part.
func wireToken(id string) bool {
	return len(id) > 1 && id[0] != '-' && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func (s *Sender) setHeaders(msg *mail.Msg, m *mimeMessage) {
	domain := m.from.Address[strings.LastIndexByte(m.from.Address, '@')+1:]
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(m.to)
	if m.reply != nil {
		msg.ReplyToMailAddress(m.reply)
	}
	msg.Subject(m.subject)
	msg.SetDateWithValue(s.moment(m.Message))
	msg.SetMessageIDWithValue(m.id + "@" + domain)
	msg.SetGenHeader("X-Carebell-Id", m.id)
	// RFC 3834: holiday notices and robots must not answer.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if lang := label(m.Locale); lang != "" {
		msg.SetGenHeader("Content-Language", lang)
	}
	topic, dealer := label(m.Topic), label(m.Dealer)
	if topic != "" && dealer != "" { // RFC 2919
		msg.SetGenHeaderPreformatted("List-Id", "<"+topic+"."+dealer+"."+domain+">")
	}
	if program := label(m.Program); program != "" && dealer != "" {
		msg.SetGenHeaderPreformatted("Feedback-ID", program+":"+dealer+":"+label(string(m.Class))+":carebell")
	}
	if m.unsubscribeURL == "" {
		return
	}
	// Preformatted: go-mail would fold the line, and some receivers then see no URL. RFC 8058 wants https and one URI.
	msg.SetGenHeaderPreformatted(mail.HeaderListUnsubscribe, "<"+m.unsubscribeURL+">")
	if m.secure {
		msg.SetGenHeaderPreformatted(mail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	}
}

func (s *Sender) moment(m *care.Message) time.Time {
	if m.At.IsZero() {
		return s.cfg.Clock()
	}
	return m.At
}

// unsubscribe returns the URL if it can stand in a header, and whether it is https.
func unsubscribe(raw string) (target string, secure bool) {
	if plainURL(raw) {
		return raw, true
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", false
	}
	target = u.String()
	if len(target) > 900 { // a header line ends at 998
		return "", false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == ',' {
			return "", false
		}
	}
	return target, u.Scheme == "https"
}

// plainURL reports whether a URL is one of our own making: https, a host, and a path in which nothing needs an escape.
func plainURL(raw string) bool {
	rest, secure := strings.CutPrefix(raw, "https://")
	if !secure || len(raw) > 900 {
		return false
	}
	host := strings.IndexByte(rest, '/')
	if host < 1 {
		return false
	}
	for i := range len(rest) {
		c := rest[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && (i < host || c != '/' && c != '_' && c != '~') {
			return false
		}
	}
	return true
}

// setBody adds the parts, the plainest first (RFC 2046 section 5.1.4). Each is quoted-printable or base64: a body sent as it is
// could carry a bare CR through Go's DotWriter and end the data early at a server that takes it for a line end.
func setBody(msg *mail.Msg, text, html []byte, textAs, htmlAs mail.Encoding) {
	add := msg.SetBodyWriter
	if len(text) > 0 {
		add(mail.TypeTextPlain, writes(text, textAs), mail.WithPartEncoding(textAs))
		add = msg.AddAlternativeWriter
	}
	if len(html) > 0 {
		add(mail.TypeTextHTML, writes(html, htmlAs), mail.WithPartEncoding(htmlAs))
	}
}

func writes(b []byte, as mail.Encoding) func(io.Writer) (int64, error) {
	b = withoutNUL(b)
	if as == mail.EncodingQP && bytes.IndexByte(b, '\r') >= 0 {
		// The library's writer takes a line feed somewhere after a lone CR for the other half of it, and loses it.
		b = lineEnds(b)
	}
	return func(w io.Writer) (int64, error) {
		n, err := w.Write(b)
		return int64(n), err
	}
}

func withoutNUL(b []byte) []byte {
	if bytes.IndexByte(b, 0) >= 0 {
		return bytes.ReplaceAll(b, []byte{0}, nil)
	}
	return b
}

// lineEnds makes every line end, of whatever kind, a line feed.
func lineEnds(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, crlf, []byte{'\n'}), []byte{'\r'}, []byte{'\n'})
}

// encodingFor picks the shorter encoding: quoted-printable triples each byte of a Chinese text, base64 adds a third.
func encodingFor(b []byte) mail.Encoding {
	high, n := 0, len(b)
	for ; len(b) >= 8; b = b[8:] {
		high += bits.OnesCount64(binary.LittleEndian.Uint64(b) & 0x8080808080808080)
	}
	for _, c := range b {
		if c >= 0x80 {
			high++
		}
	}
	if high*6 > n {
		return mail.EncodingB64
	}
	return mail.EncodingQP
}

func wide(s string) bool { return encodingFor([]byte(s)) == mail.EncodingB64 }

// attach adds files. The library's own headers for names are RFC 2047 words inside of quotes, which many readers show as they
// are; these follow RFC 2231.
func attach(msg *mail.Msg, files []care.Attachment) error {
	for _, f := range files {
		name := strings.Map(func(r rune) rune {
			if strings.ContainsRune(`/\:"<>|?*;`, r) {
				return '_'
			}
			return r
		}, header(f.Name, 80))
		if name == "" {
			name = "attachment"
		}
		kind, params, err := mime.ParseMediaType(f.Type)
		if err != nil || strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/") {
			kind, params = "application/octet-stream", nil
		}
		kind = mime.FormatMediaType(kind, withName(params, name))
		if kind == "" {
			return content("bad_attachment", "an attachment's type cannot be written")
		}
		disposition, cid := "attachment", ""
		if f.ContentID != "" {
			disposition = "inline"
			if cid = strings.Trim(f.ContentID, "<>"); !contentID(cid) {
				return content("bad_attachment", "an attachment's Content-ID is not made of letters, digits and . - _ @")
			}
		}
		set := func(file *mail.File) {
			file.Header.Set("Content-Type", kind)
			file.Header.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": name}))
			if cid != "" {
				file.Header.Set("Content-Id", "<"+cid+">")
			}
		}
		if f.ContentID != "" {
			msg.EmbedReadSeeker(name, bytes.NewReader(f.Data), set)
		} else {
			msg.AttachReadSeeker(name, bytes.NewReader(f.Data), set)
		}
	}
	return nil
}

func withName(params map[string]string, name string) map[string]string {
	out := map[string]string{"name": name}
	for _, k := range []string{"charset", "method"} { // RFC 5545 needs the method
		if v := label(params[k]); v != "" {
			out[k] = v
		}
	}
	return out
}

func contentID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_@", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= 200
}
