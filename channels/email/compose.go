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
	"strings"
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
	return &care.Error{Kind: care.KindContent, Code: code, Err: errors.New(cause)}
}

// letter is a message that was checked: its addresses are addresses, and its id may stand in a header.
type letter struct {
	*care.Message
	to, from *netmail.Address
	reply    *netmail.Address // nil = none
	id       string
	envelope string // the envelope's sender
	utf8     bool   // the envelope needs SMTPUTF8 (RFC 6531)
	subject  string
	link     string // to unsubscribe, "" = none
	secure   bool   // the link is https
	// How the bodies are encoded; "" where there is none.
	textAs, htmlAs mail.Encoding

	msg  *mail.Msg // as go-mail writes it; nil until it is needed
	data *[]byte   // as a form writes it; nil where no form may be used
	yes  string    // the server's answer
}

// check reads a message's addresses and what else may go wrong with it.
func (s *Sender) check(m *care.Message) (*letter, error) {
	l := &letter{Message: m, id: m.WireID()}
	var err error
	if l.to, err = mailbox(m.ToName, m.To); err != nil {
		return nil, &care.Error{Kind: care.KindRecipient, Code: "bad_address", Err: errors.New("the customer's address is none")}
	}
	if l.from, err = mailbox(m.From.Name, m.From.Address); err != nil {
		return nil, content("bad_sender", "the dealer's From address is none: correct from.email in dealers.yaml")
	}
	if !wireToken(l.id) {
		return nil, content("bad_id", "the message has no id")
	}
	if len(m.Text) == 0 && len(m.HTML) == 0 {
		return nil, content("empty", "the message has no text")
	}
	l.envelope = l.from.Address
	if s.cfg.ReturnPath != "" {
		if l.envelope, err = address(strings.ReplaceAll(s.cfg.ReturnPath, "{id}", l.id)); err != nil {
			return nil, content("bad_return_path", "the return path is no address")
		}
	}
	if m.ReplyTo.Address != "" {
		if l.reply, err = mailbox(m.ReplyTo.Name, m.ReplyTo.Address); err != nil {
			return nil, content("bad_reply_to", "the advisor's address is none: correct advisors in dealers.yaml")
		}
	}
	l.utf8 = !ascii(l.to.Address) || !ascii(l.envelope)
	l.subject = header(m.Subject, 500)
	l.link, l.secure = unsubscribe(m.Unsubscribe)
	if len(m.Text) > 0 {
		l.textAs = encodingFor(m.Text)
	}
	if len(m.HTML) > 0 {
		l.htmlAs = encodingFor(m.HTML)
	}
	return l, nil
}

// compose lets go-mail write the message.
func (s *Sender) compose(l *letter) error {
	if l.msg != nil {
		return nil
	}
	encoding := mail.EncodingQP
	if wide(l.subject) {
		encoding = mail.EncodingB64
	}
	msg := mail.NewMsg(mail.WithEncoding(encoding), mail.WithNoDefaultUserAgent())
	s.setHeaders(msg, l)
	if err := msg.EnvelopeFrom(l.envelope); err != nil {
		return content("bad_return_path", "the return path is no address")
	}
	setBody(msg, l.Text, l.HTML, l.textAs, l.htmlAs)
	if err := attach(msg, l.Attachments); err != nil {
		return err
	}
	if signer := s.signer(l.from.Address); signer != nil {
		msg.SetDKIM(signer)
	}
	l.msg = msg
	return nil
}

// wireToken reports whether an id may stand in a Message-ID and in a local part.
func wireToken(id string) bool {
	return len(id) > 1 && id[0] != '-' && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func (s *Sender) setHeaders(msg *mail.Msg, l *letter) {
	domain := l.from.Address[strings.LastIndexByte(l.from.Address, '@')+1:]
	msg.FromMailAddress(l.from)
	msg.ToMailAddress(l.to)
	if l.reply != nil {
		msg.ReplyToMailAddress(l.reply)
	}
	msg.Subject(l.subject)
	msg.SetDateWithValue(s.moment(l.Message))
	msg.SetMessageIDWithValue(l.id + "@" + domain)
	msg.SetGenHeader("X-Carebell-Id", l.id)
	// RFC 3834: holiday notices and robots must not answer.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if lang := label(l.Locale); lang != "" {
		msg.SetGenHeader("Content-Language", lang)
	}
	topic, dealer := label(l.Topic), label(l.Dealer)
	if topic != "" && dealer != "" { // RFC 2919
		msg.SetGenHeaderPreformatted("List-Id", "<"+topic+"."+dealer+"."+domain+">")
	}
	if program := label(l.Program); program != "" && dealer != "" {
		msg.SetGenHeaderPreformatted("Feedback-ID", program+":"+dealer+":"+label(string(l.Class))+":carebell")
	}
	if l.link == "" {
		return
	}
	// Preformatted: go-mail would fold the line, and some receivers then see no link. RFC 8058 wants https and one URI.
	msg.SetGenHeaderPreformatted(mail.HeaderListUnsubscribe, "<"+l.link+">")
	if l.secure {
		msg.SetGenHeaderPreformatted(mail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	}
}

func (s *Sender) moment(m *care.Message) time.Time {
	if m.At.IsZero() {
		return s.cfg.Clock()
	}
	return m.At
}

// unsubscribe returns the link if it can stand in a header, and whether it is https.
func unsubscribe(raw string) (link string, secure bool) {
	if plainLink(raw) {
		return raw, true
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", false
	}
	link = u.String()
	if len(link) > 900 { // a header line ends at 998
		return "", false
	}
	for i := range len(link) {
		if c := link[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == ',' {
			return "", false
		}
	}
	return link, u.Scheme == "https"
}

// plainLink reports whether a link is one of our own making: https, a host, and a path in which nothing needs an escape.
func plainLink(raw string) bool {
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
