package demo

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"

	"golang.org/x/net/html/charset"
)

// mailMessage is what the demo shows of a mail. Attachments are left out.
type mailMessage struct {
	ID, From, Subject string
	HTML, Text        string
}

// maxMail and maxLevels bound a mail and the parts within parts of it: the demo's own mails have some 60 KB and two levels.
const (
	maxMail   = 10 << 20
	maxLevels = 8
)

// readMail reads a mail, in any character set that browsers know.
func readMail(r io.Reader) (m mailMessage, err error) {
	msg, err := mail.ReadMessage(io.LimitReader(r, maxMail))
	if err != nil {
		return m, fmt.Errorf("this is no mail: %w", err)
	}
	m.ID, _, _ = strings.Cut(strings.Trim(msg.Header.Get("Message-ID"), "<> "), "@") // <id>-<channel>-<proof>
	if id, more, ok := strings.Cut(m.ID, "-"); ok {
		channel, _, _ := strings.Cut(more, "-")
		m.ID = id + "-" + channel
	}
	words := mime.WordDecoder{CharsetReader: charset.NewReaderLabel}
	for name, to := range map[string]*string{"From": &m.From, "Subject": &m.Subject} {
		if *to, err = words.DecodeHeader(msg.Header.Get(name)); err != nil {
			*to = msg.Header.Get(name) // as it came: better than nothing
		}
	}
	return m, m.part(textproto.MIMEHeader(msg.Header), msg.Body, 1)
}

// part reads one part: the first plain text and the first page count.
func (m *mailMessage) part(header textproto.MIMEHeader, body io.Reader, level int) error {
	if level > maxLevels {
		return errors.New("the mail has parts within parts without end")
	}
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind, params = "text/plain", nil // RFC 2045 section 5.2
	}
	if strings.HasPrefix(kind, "multipart/") {
		return m.parts(multipart.NewReader(body, params["boundary"]), level)
	}
	to := map[string]*string{"text/plain": &m.Text, "text/html": &m.HTML}[kind]
	if disposition, _, _ := mime.ParseMediaType(header.Get("Content-Disposition")); to == nil || *to != "" || disposition == "attachment" {
		return nil
	}
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	if label := params["charset"]; label != "" {
		if body, err = charset.NewReaderLabel(label, body); err != nil {
			return fmt.Errorf("a part of the mail: %w", err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("a part of the mail: %w", err)
	}
	*to = strings.ReplaceAll(string(text), "\r\n", "\n")
	return nil
}

func (m *mailMessage) parts(r *multipart.Reader, level int) error {
	for {
		// A raw part keeps its encoding in its header, as the mail's own body does.
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the parts of the mail: %w", err)
		}
		if err := m.part(p.Header, p, level+1); err != nil {
			return err
		}
	}
}
