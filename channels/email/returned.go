package email

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/textproto"
	"regexp"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// Not every server writes its reports for programs: qmail, older Exim, Exchange, Gmail and Yahoo write a text for people. What a server
// said is found in it by its code, else by its words.

func decoded(body []byte, encoding string) []byte {
	var r io.Reader
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body))
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(body))
	default:
		return body
	}
	out, _ := io.ReadAll(r) // as far as it goes
	return out
}

// words reads a text in its character set.
func words(content []byte, charset string) string {
	if enc, err := htmlindex.Get(charset); err == nil {
		if out, err := enc.NewDecoder().Bytes(content); err == nil {
			content = out
		}
	}
	return strings.ToValidUTF8(strings.ReplaceAll(string(content), "\r\n", "\n"), "")
}

var (
	dropped = regexp.MustCompile(`(?is)<(?:style|script|head)\b.*?</(?:style|script|head)>`)
	lineEnd = regexp.MustCompile(`(?i)<(?:br|/?p|/?div|/?tr|/?td|/?li|/?h[1-6])\b[^>]*>`)
	tags    = regexp.MustCompile(`<[/!a-zA-Z][^>]*>`)
)

// untagged is what is left of a page to read.
func untagged(page string) string {
	page = dropped.ReplaceAllString(page, " ")
	page = lineEnd.ReplaceAllString(page, "\n")
	return html.UnescapeString(tags.ReplaceAllString(page, " "))
}

var (
	daemons  = regexp.MustCompile(`(?i)mailer[-_. ]?daemon|postmaster|mail[- ]delivery|mail ?system|maildelivery|bounce|no-?reply@.*(?:bounce|mta)|mdaemon|系统退信|退信|邮件系统|mailadmin|mail administrator|microsoft exchange|system administrator`)
	subjects = regexp.MustCompile(`(?i)undeliver|not deliver|delivery (?:status|fail|notification|problem|error|report|has failed)|deliver(?:y|ing)? .*(?:fail|error|delay)|returned mail|return(?:ed)? to sender|returning message|failure notice|mail failure|failed mail|failure delivery|message (?:delivery|status|you sent)|mail delivery|mail system error|could not (?:be delivered|send)|non[- ]?deliver|non remis|unzustellbar|no se (?:puede|pudo) entregar|mancato recapito|mensagem não|permanent error|delayed mail|配信不能|退信|投递失败|无法投递|发送失败|退回|未送达|未能送达`)
	// autoReplies are the subjects of notes that people leave.
	autoReplies = regexp.MustCompile(`(?i)^(?:re: ?)?(?:auto(?:matic|matische)?[- ]?(?:reply|response|antwort)|auto:|out of (?:the )?office|abwesen|away|vacation|自动回复|自動回覆|自动答复|réponse automatique|respuesta automática|risposta automatica)`)
)

// returned reports whether a mail tells of one that came back, by its form, its sender or its subject.
func (rep *report) returned(head textproto.MIMEHeader) bool {
	subject := unfolded(head.Get("Subject"))
	if autoReplies.MatchString(strings.TrimSpace(subject)) {
		return false
	}
	if kind, params, _ := mime.ParseMediaType(head.Get("Content-Type")); kind == "multipart/report" && params["report-type"] != "feedback-report" &&
		params["report-type"] != "disposition-notification" {
		return rep.feedback == ""
	}
	if rep.feedback != "" {
		return false
	}
	if rep.formal || head.Get("X-Failed-Recipients") != "" || daemons.MatchString(unfolded(head.Get("From"))) {
		return true
	}
	return subjects.MatchString(subject)
}

func unfolded(field string) string {
	field = strings.ReplaceAll(field, "\n", " ")
	if out, err := new(mime.WordDecoder).DecodeHeader(field); err == nil {
		return out
	}
	return field
}

var waits = regexp.MustCompile(`(?i)warning message only|not need to re-?send|delivery attempts will continue|will (?:continue|keep) (?:to )?try|still (?:being retried|trying)|has(?: been| not yet been)? delay|not yet been delivered|will be retried|delivery.{0,20}delayed|could not send message for past \d+ hour|暂时无法|继续尝试|延迟`)

// delayed reports whether a text says that a mail is still on its way.
func delayed(text string) bool { return waits.MatchString(text) && !strings.Contains(text, "gave up") }

var (
	// copies are the lines behind which the returned mail is quoted.
	copies = regexp.MustCompile(`(?im)^[ \t>*]*(?:-+ *)?(?:below this line is|this is a copy of|the body of the message|original message|original email|the header(?:s)? of the original|message header|returned message|unsent message below|undelivered message follows|----- *message|forwarded message|message from yahoo|(?:x-)?received: |return-path: |message-id: |dkim-signature: |x-carebell-id: |the attached file|原邮件|原始邮件|以下是原)`)
	coded  = regexp.MustCompile(`(?:^|[\s;:"'(<>\[#_-])(?:[45]\d\d[ -][^0-9]|[45]\d\d$|[45]\.\d{1,3}\.\d{1,3}\b)`)
	// asked are lines that quote what was asked, not what was answered.
	asked = regexp.MustCompile(`(?i)^\s*(?:>>>|-->|c:|rcpt to|mail from|helo|ehlo)`)
)

// diagnosis finds in a text for people what the server said: the lines with a code and what goes on behind them, else all before the
// copy of the mail.
func diagnosis(text string) string {
	if at := copies.FindStringIndex(text); at != nil && at[0] > 0 {
		text = text[:at[0]]
	}
	var out []string
	follow := 0
	lines := strings.Split(text, "\n")
	for _, line := range lines {
		switch {
		case asked.MatchString(line):
			follow = 0
		case coded.MatchString(strings.TrimSpace(line)):
			out = append(out, strings.TrimSpace(line))
			follow = 2
		case strings.TrimSpace(line) == "":
			follow = 0
		case follow > 0:
			out = append(out, strings.TrimSpace(line))
			follow--
		}
	}
	if len(out) == 0 || !telling(strings.Join(out, "\n")) {
		out = lines
	}
	said := strings.TrimSpace(strings.Join(out, "\n"))
	if len(said) > 4<<10 {
		said = strings.ToValidUTF8(said[:4<<10], "")
	}
	return said
}

var letters = regexp.MustCompile(`\pL{3,}.*\pL{3,}`)

// telling reports whether lines with codes have words as well.
func telling(said string) bool { return letters.MatchString(said) }
