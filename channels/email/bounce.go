package email

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/answer"
)

// MaxReport is the longest report that is read, in bytes; what is behind is not looked at.
const MaxReport = 1 << 20

// The errors of a mail that teaches nothing.
var (
	// ErrNoReport says that a mail is neither a delivery report nor a complaint: an answer, an out-of-office note.
	ErrNoReport = errors.New("this mail is no delivery report and no complaint")
	// ErrNotUnderstood says that a mail came back, and that nothing could be read from it.
	ErrNotUnderstood = errors.New("this mail came back, and what it says was not understood")
	// ErrUnproven says that a report names a message of ours and does not show that it answers us: anybody can compute an id.
	ErrUnproven = errors.New("this report names a message of ours without the proof that came with it")
)

// Complaint is the code of a receipt for a mail that its reader reported as spam.
const Complaint = "complaint"

// Reports reads what comes back.
type Reports struct {
	// Proven tells whether a proof belongs to an id on the wire. nil = no proof is asked for: there is no secret to make one with.
	Proven func(wireID, proof string) bool
}

// ParseReport reads a report without asking for a proof.
func ParseReport(r io.Reader, now time.Time) ([]care.Receipt, error) { return Reports{}.Parse(r, now) }

// report is what is gathered from the parts of a mail.
type report struct {
	to         string // whom the returned mail was for
	recipients []recipient
	feedback   string // ARF's Feedback-Type
	formal     bool   // there was a part for programs
	text       strings.Builder
	quoted     []string // where our id may stand, the best first
}

// recipient is a group of per-recipient fields (RFC 3464 section 2.3).
type recipient struct{ action, status, diagnostic string }

// Parse reads a bounce in any form (RFC 3464, RFC 6533, or words alone) or a complaint (ARF, RFC 5965) as it lies in a mailbox, and says
// what it means for the message that it is about. The message is known by the return path and by the headers that are quoted. The kind
// of a failure is what answer.Read says of the server's words. A complaint is a receipt of care.KindOptedOut with the code Complaint.
// Without receipts it fails with ErrNoReport, ErrNotUnderstood or ErrUnproven.
func (reports Reports) Parse(r io.Reader, now time.Time) ([]care.Receipt, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxReport))
	if err != nil {
		return nil, ErrNoReport
	}
	in := bufio.NewReader(bytes.NewReader(raw))
	head := group(in)
	body, _ := io.ReadAll(in)
	rep := report{}
	rep.part(head, body, 0)
	if rep.to == "" {
		rep.to = bare(head.Get("X-Failed-Recipients"))
	}
	id, proven := reports.about(&rep, head, raw)
	receipts := rep.receipts(care.Receipt{ID: id, Channel: care.Email, Gateway: "smtp", At: now, To: rep.to}, head)
	switch {
	case len(receipts) == 0 && rep.returned(head):
		return nil, ErrNotUnderstood
	case len(receipts) == 0, id == "" && rep.feedback != "":
		return nil, ErrNoReport
	case id == "":
		return nil, ErrNoReport // somebody else's mail, or one whose id was lost
	case !proven:
		return nil, ErrUnproven
	}
	return receipts, nil
}

// ours finds an id on the wire, and its proof.
var ours = regexp.MustCompile(`(?:^|[^a-z2-7])([a-p][a-z2-7]{25})-email(?:-([a-z2-7]{12}))?(?:[^A-Za-z0-9]|$)`)

// about finds the message of ours that a report is about, and whether it is proven. What is proven goes before what stands first.
func (reports Reports) about(rep *report, head textproto.MIMEHeader, raw []byte) (id string, proven bool) {
	places := rep.quoted
	for _, h := range []string{"X-Original-To", "Delivered-To", "Envelope-To", "To", "In-Reply-To", "References"} {
		places = append(places, head[textproto.CanonicalMIMEHeaderKey(h)]...)
	}
	return reports.Find(append(places, rep.text.String(), string(raw))...)
}

// Find finds the message of ours that texts name, and whether one of them carries its proof.
func (reports Reports) Find(texts ...string) (id string, proven bool) {
	for _, text := range texts {
		for _, found := range ours.FindAllStringSubmatch(strings.ToLower(text), 16) {
			ok := reports.Proven == nil || found[2] != "" && reports.Proven(found[1]+"-email", found[2])
			if ok {
				return found[1], true
			}
			if id == "" {
				id = found[1]
			}
		}
	}
	return id, false
}

// opposed are the feedback types (RFC 5965, RFC 6430) that are a reader's no. The others speak of the mail's signatures, of a virus, or
// say that all is well.
var opposed = map[string]bool{"abuse": true, "fraud": true, "complaint": true, "opt-out": true, "opt-out-list": true}

func (rep *report) receipts(base care.Receipt, head textproto.MIMEHeader) (out []care.Receipt) {
	if rep.feedback != "" {
		if opposed[rep.feedback] {
			base.State, base.Kind, base.Code = care.StateDelivered, care.KindOptedOut, Complaint
			out = append(out, base)
		}
		return out
	}
	for _, to := range rep.recipients {
		r := base
		switch to.action {
		case "failed":
			said := to.diagnostic
			if said == "" {
				said = diagnosis(rep.text.String())
			}
			r.State = care.StateUndelivered
			r.Kind, r.Code = Class(to.status, said)
		case "delayed":
			r.State, r.Code = care.StateSent, to.status
		case "delivered", "relayed", "expanded":
			r.State, r.Code = care.StateDelivered, to.status
		default:
			continue
		}
		out = append(out, r)
	}
	if len(out) > 0 || !rep.returned(head) {
		return out
	}
	said := diagnosis(rep.text.String())
	switch {
	case delayed(head.Get("Subject") + "\n" + rep.text.String()):
		base.State = care.StateSent
	case said == "":
		return nil
	default:
		base.State = care.StateUndelivered
		base.Kind, base.Code = Class("", said)
	}
	return []care.Receipt{base}
}

// Class says what a server's words mean that a report or an event quotes. The code is the better one of the two.
func Class(status, said string) (care.Kind, string) {
	e := answer.Read(answer.Answer{Stage: answer.Report, Enhanced: status, Text: said, Theirs: true})
	if basic, better, ok := strings.Cut(e.Code, " "); ok && basic != "" {
		e.Code = better
	}
	return e.Kind, e.Code
}

// part reads a part of a mail with its fields. A returned mail may itself be of several parts: only its headers matter.
func (rep *report) part(head textproto.MIMEHeader, body []byte, depth int) {
	kind, params, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil && kind == "" {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < 4 {
		parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		read := 0
		for range 32 {
			part, err := parts.NextRawPart()
			if err != nil {
				break
			}
			content, _ := io.ReadAll(part) // what was cut off is read as far as it goes
			rep.part(part.Header, content, depth+1)
			read++
		}
		if read > 0 {
			return
		}
		kind = "text/plain"
	}
	content := decoded(body, head.Get("Content-Transfer-Encoding"))
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		rep.status(content)
	case "message/feedback-report", "text/feedback-report":
		for _, fields := range groups(content) {
			if of := strings.ToLower(strings.TrimSpace(fields.Get("Feedback-Type"))); of != "" {
				rep.feedback, rep.formal = of, true
				return
			}
		}
		rep.feedback = "none"
	case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "message/partial", "text/rfc822":
		rep.original(content)
	case "text/html":
		rep.text.WriteString(untagged(words(content, params["charset"])) + "\n")
	default:
		if statusFields.Match(content) && depth > 0 {
			rep.status(content) // a status under another name
			return
		}
		rep.text.WriteString(words(content, params["charset"]) + "\n")
	}
}

var statusFields = regexp.MustCompile(`(?im)^(?:final|original)-recipient:.*(?:\r?\n.*){0,8}\r?\n(?:action|status):`)

// original reads the headers of the returned mail.
func (rep *report) original(content []byte) {
	fields := group(bufio.NewReader(bytes.NewReader(content)))
	rep.quoted = append(rep.quoted, fields.Get("X-Carebell-Id"), fields.Get("Return-Path"), fields.Get("Message-Id"))
	if to := bare(fields.Get("To")); to != "" {
		rep.to = to
	}
}

// bare returns the one address of a field, "" if there are several or none.
func bare(field string) string {
	if to, err := netmail.ParseAddress(field); err == nil {
		return to.Address
	}
	return ""
}

var statusCode = regexp.MustCompile(`[245]\.\d{1,3}\.\d{1,3}`)

// status reads the fields of a delivery status.
func (rep *report) status(content []byte) {
	rep.formal = true
	for _, fields := range groups(content) {
		rep.quoted = append(rep.quoted, fields.Get("Original-Envelope-Id"))
		// The final recipient may be where the customer's own server forwards to; the original one is whom we wrote to.
		if _, to, ok := strings.Cut(fields.Get("Original-Recipient"), ";"); ok && rep.to == "" {
			rep.to = strings.TrimSpace(to)
		}
		action, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(fields.Get("Action"))), " ")
		status := statusCode.FindString(fields.Get("Status"))
		if action == "expired" || action == "" && status != "" && status[0] == '5' && fields.Get("Final-Recipient") != "" {
			action = "failed"
		}
		if action == "" {
			continue
		}
		said := fields.Get("Diagnostic-Code")
		if kind, rest, ok := strings.Cut(said, ";"); ok && len(kind) < 16 {
			said = rest
		}
		rep.recipients = append(rep.recipients, recipient{strings.Trim(action, "();,."), status, strings.TrimSpace(said)})
	}
}

// groups reads blocks of fields, separated by blank lines; at most 64.
func groups(content []byte) (out []textproto.MIMEHeader) {
	in := bufio.NewReader(bytes.NewReader(content))
	for range 64 {
		if fields := group(in); len(fields) > 0 {
			out = append(out, fields)
		} else if _, err := in.Peek(1); err != nil {
			break
		}
	}
	return out
}

var fieldName = regexp.MustCompile(`^>?([A-Za-z][A-Za-z0-9-]{0,60}):[ \t]*(.*)$`)

// group reads fields up to a blank line or the end. A line that is no field goes on with the field before it, as one that begins with a
// blank does: some servers forget the blank.
func group(in *bufio.Reader) textproto.MIMEHeader {
	out := textproto.MIMEHeader{}
	last := ""
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		field := fieldName.FindStringSubmatch(line)
		switch {
		case line == "":
			return out
		case field != nil:
			last = textproto.CanonicalMIMEHeaderKey(field[1])
			out[last] = append(out[last], field[2])
		case last != "":
			values := out[last]
			values[len(values)-1] += "\n" + strings.TrimSpace(line)
		}
		if err != nil {
			return out
		}
	}
}
