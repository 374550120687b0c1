package email

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// MaxReport is the longest report that is read, in bytes; what is behind is not looked at.
const MaxReport = 1 << 20

// ErrNoReport says that a mail is neither a delivery report nor a complaint.
var ErrNoReport = errors.New("this mail is no delivery report and no complaint")

// Complaint is the code of a receipt for a mail that its reader reported as spam.
const Complaint = "complaint"

// report is what is gathered from the parts of a mail.
type report struct {
	id         string
	to         string // whom the returned mail was for
	recipients []recipient
	feedback   string // ARF's Feedback-Type
}

// recipient is a group of per-recipient fields (RFC 3464 section 2.3).
type recipient struct{ action, status string }

// ParseReport reads a bounce (RFC 3464, and RFC 6533 for addresses in UTF-8) or a complaint (ARF, RFC 5965) as it lies in a
// mailbox, and says what it means for the message that it is about. The message is known by the headers that are quoted, else by
// the address that the report was sent to. The kind of a failure is care.KindRecipient only where the code says that the address
// is dead; a policy (5.7.x) or a full mailbox is not. A complaint is a receipt of care.KindOptedOut with the code Complaint.
// It fails with ErrNoReport for any other mail, an automatic answer for example.
func ParseReport(r io.Reader, now time.Time) ([]care.Receipt, error) {
	msg, err := netmail.ReadMessage(bufio.NewReader(io.LimitReader(r, MaxReport)))
	if err != nil {
		return nil, ErrNoReport
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["boundary"] == "" {
		return nil, ErrNoReport
	}
	var rep report
	rep.read(msg.Body, params["boundary"], 0)
	if rep.id == "" {
		for _, h := range []string{"X-Original-To", "Delivered-To", "Envelope-To", "To"} {
			rep.see(msg.Header[h]...)
		}
	}
	if rep.id == "" {
		rep.see(msg.Header.Get("In-Reply-To"), msg.Header.Get("References"))
	}
	return rep.receipts(now)
}

func (rep *report) receipts(now time.Time) ([]care.Receipt, error) {
	base := care.Receipt{ID: rep.id, Channel: care.Email, Gateway: "smtp", At: now, To: rep.to}
	if rep.id == "" {
		return nil, ErrNoReport // somebody else's mail, or one whose id was lost
	}
	if rep.feedback != "" {
		if rep.feedback == "not-spam" {
			return nil, ErrNoReport
		}
		base.State, base.Kind, base.Code = care.StateDelivered, care.KindOptedOut, Complaint
		return []care.Receipt{base}, nil
	}
	var out []care.Receipt
	for _, to := range rep.recipients {
		r := base
		r.Code = to.status
		switch to.action {
		case "failed":
			r.State, r.Kind = care.StateUndelivered, bounceKind(to.status)
		case "delayed":
			r.State = care.StateSent
		case "delivered", "relayed", "expanded":
			r.State = care.StateDelivered
		default:
			continue
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, ErrNoReport
	}
	return out, nil
}

// bounceKind classes a status of RFC 3463 that ended a mail's way: KindRetry is a soft bounce, of which some count as one hard one.
func bounceKind(status string) care.Kind {
	switch {
	case deadCodes[status]:
		return care.KindRecipient
	case status == "" || status[0] != '5' || status == "5.2.2":
		return care.KindRetry
	}
	return care.KindContent
}

// ours finds an id on the wire.
var ours = regexp.MustCompile(`(?:^|[^a-z2-7])([a-p][a-z2-7]{25})-email(?:[^A-Za-z0-9]|$)`)

// see notes the first of our ids in these values.
func (rep *report) see(values ...string) {
	for _, v := range values {
		if found := ours.FindStringSubmatch(strings.ToLower(v)); found != nil && rep.id == "" {
			rep.id = found[1]
		}
	}
}

// read goes through the parts. A returned mail may itself be of several parts: only its headers matter.
func (rep *report) read(body io.Reader, boundary string, depth int) {
	parts := multipart.NewReader(body, boundary)
	for range 32 {
		part, err := parts.NextRawPart()
		if err != nil {
			return
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			continue
		}
		content := decoded(part, part.Header.Get("Content-Transfer-Encoding"))
		switch kind {
		case "message/delivery-status", "message/global-delivery-status":
			rep.status(content)
		case "message/feedback-report":
			for _, group := range groups(content) {
				rep.feedback = strings.ToLower(strings.TrimSpace(group.Get("Feedback-Type")))
				if rep.feedback != "" {
					break
				}
			}
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
			if all := groups(content); len(all) > 0 {
				rep.see(all[0].Get("X-Carebell-Id"), all[0].Get("Message-Id"))
				if to, err := netmail.ParseAddress(all[0].Get("To")); err == nil {
					rep.to = to.Address
				}
			}
		default:
			if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < 3 {
				rep.read(content, params["boundary"], depth+1)
			}
		}
	}
}

func decoded(r io.Reader, encoding string) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	}
	return r
}

// groups reads blocks of fields, separated by blank lines; at most 64.
func groups(r io.Reader) []textproto.MIMEHeader {
	var out []textproto.MIMEHeader
	tp := textproto.NewReader(bufio.NewReader(r))
	for range 64 {
		h, err := tp.ReadMIMEHeader()
		if len(h) > 0 {
			out = append(out, h)
		}
		if err != nil {
			break
		}
	}
	return out
}

var (
	statusCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}`)
	anyCode    = regexp.MustCompile(`\b[45]\.\d{1,3}\.\d{1,3}\b`)
)

// status reads the fields of a delivery status. A general status gives way to a better one in the diagnostic.
func (rep *report) status(r io.Reader) {
	for _, group := range groups(r) {
		rep.see(group.Get("Original-Envelope-Id"))
		// The final recipient may be where the customer's own server forwards to; the original one is whom we wrote to.
		if _, to, ok := strings.Cut(group.Get("Original-Recipient"), ";"); ok && rep.to == "" {
			rep.to = strings.TrimSpace(to)
		}
		action := strings.ToLower(strings.TrimSpace(group.Get("Action")))
		if action == "" {
			continue
		}
		status := statusCode.FindString(strings.TrimSpace(group.Get("Status")))
		if status == "" || strings.HasSuffix(status, ".0.0") {
			if better := anyCode.FindString(group.Get("Diagnostic-Code")); better != "" {
				status = better
			}
		}
		rep.recipients = append(rep.recipients, recipient{action, status})
	}
}
