package email_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// proofs are those of the tests.
var proofs = email.NewProofs([]byte("a key"), []byte("an older key"))

// wire is the id of the mail that is returned, with its proof.
func wire() string { return bounced + "-email-" + proofs.Of(bounced+"-email") }

// ourHeaders are the headers of the mail that is returned.
func ourHeaders() string {
	return "From: Pudong Motors <care@dealer.example>\nTo: wang@customer.example\nMessage-ID: <" + wire() + "@dealer.example>\nX-Carebell-Id: " + wire() + "\nSubject: A note"
}

func fill(mail string) string {
	return strings.NewReplacer("{ID}", wire(), "{HEADERS}", ourHeaders(), "{TO}", "wang@customer.example").Replace(mail)
}

// kindOf reads a mail: a kind, "sent" for a delay, "nothing" for no report.
func kindOf(t *testing.T, mail string) string {
	t.Helper()
	got, err := email.Reports{Proven: proofs.Proven}.Parse(strings.NewReader(mail), testClock())
	switch {
	case errors.Is(err, email.ErrNotUnderstood):
		return "not understood"
	case errors.Is(err, email.ErrUnproven):
		return "unproven"
	case err != nil:
		return "nothing"
	case got[0].ID != bounced:
		t.Errorf("it is about %q", got[0].ID)
	case got[0].State == care.StateSent:
		return "sent"
	}
	return string(got[0].Kind)
}

// TestReturnedMails reads mails as they came back, each under the name of what it is to be taken for.
func TestReturnedMails(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/returned/*.eml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, _, _ := strings.Cut(filepath.Base(file), "-")
		got := kindOf(t, fill(string(raw)))
		if got != want && (want != "live" || got == string(care.KindRecipient) || got == "nothing") {
			t.Errorf("%s is taken for %s", file, got)
		}
	}
}

// daemon begins a text of a server, to our return path.
const daemon = "Return-Path: <>\nFrom: Mail Delivery Subsystem <mailer-daemon@mx.example>\nTo: bounce+{ID}@dealer.example\nSubject: Delivery Status Notification (Failure)\n"

// TestReturnedTexts reads the forms in which servers write to people.
func TestReturnedTexts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ want, mail string }{
		"gmail, old":        {"recipient", daemon + "Content-Type: text/plain; charset=ISO-8859-1\n\nDelivery to the following recipient failed permanently:\n\n     {TO}\n\nTechnical details of permanent failure:\nGoogle tried to deliver your message, but it was rejected by the server for the recipient domain customer.example by mx.customer.example. [192.0.2.1].\n\nThe error that the other server returned was:\n550 5.1.1 <{TO}>: Recipient address rejected: User unknown\n\n\n----- Original message -----\n\n{HEADERS}\n"},
		"gmail, no domain":  {"recipient", daemon + "\nDelivery to the following recipient failed permanently:\n\n     {TO}\n\nTechnical details of permanent failure:\nDNS Error: Domain name not found\n\n----- Original message -----\n\n{HEADERS}\n"},
		"yahoo, old":        {"recipient", "From: MAILER-DAEMON@yahoo.com\nTo: bounce+{ID}@dealer.example\nSubject: Failure Notice\n\nSorry, we were unable to deliver your message to the following address.\n\n<{TO}>:\nRemote host said: 554 delivery error: dd This user doesn't have a yahoo.com account ({TO}) [0] [BODY]\n\n--- Below this line is a copy of the message.\n\n{HEADERS}\n"},
		"exchange 2003":     {"recipient", "From: System Administrator <postmaster@corp.example>\nTo: bounce+{ID}@dealer.example\nSubject: Undeliverable: A note\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nYour message\n\n  To:      {TO}\n  Subject: A note\n\ndid not reach the following recipient(s):\n\n{TO} on Mon, 30 Nov 2026\n    The e-mail account does not exist at the organization this message\nwas sent to.  Check the e-mail address, or contact the recipient directly\nto find out the correct address.\n    <mail.corp.example #5.1.1>\n\n--b\nContent-Type: message/rfc822\n\n{HEADERS}\n\n--b--\n"},
		"exchange, in html": {"recipient", "From: Microsoft Outlook <postmaster@corp.example>\nTo: bounce+{ID}@dealer.example\nSubject: Undeliverable: A note\nContent-Type: text/html; charset=utf-8\n\n<html><style>p{color:red}</style><body><p>Your message to {TO} couldn't be delivered.</p><p>wang wasn't found at customer.example.</p><p>Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'</p></body></html>\n"},
		"sendmail":          {"recipient", daemon + "\nThe original message was received at Mon, 30 Nov 2026 10:00:00 GMT\nfrom localhost [127.0.0.1]\n\n   ----- The following addresses had permanent fatal errors -----\n<{TO}>\n    (reason: 550 5.1.1 <{TO}>... User unknown)\n\n   ----- Transcript of session follows -----\n... while talking to mx.customer.example.:\n>>> RCPT To:<{TO}>\n<<< 550 5.1.1 <{TO}>... User unknown\n550 5.1.1 <{TO}>... User unknown\n\n   ----- Original message follows -----\n{HEADERS}\n"},
		"domino":            {"recipient", daemon + "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nYour message was not delivered because:\n\nUser wang ({TO}) not listed in Domino Directory\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;mx.example\n\nFinal-Recipient: rfc822;{TO}\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: X-Notes; User wang ({TO}) not listed in Domino Directory\n\n--b\nContent-Type: text/rfc822-headers\n\n{HEADERS}\n--b--\n"},
		"mdaemon":           {"recipient", "From: MDaemon at mx.example <MDaemon@mx.example>\nTo: bounce+{ID}@dealer.example\nSubject: Permanent Delivery Failure\n\nThe attached message had PERMANENT fatal delivery errors!\n\nFailed address: {TO}\n\n--- Session Transcript ---\n Mon 2026-11-30 10:00:01: --> MAIL From:<bounce+{ID}@dealer.example> SIZE=1\n Mon 2026-11-30 10:00:01: <-- 250 OK\n Mon 2026-11-30 10:00:01: --> RCPT To:<{TO}>\n Mon 2026-11-30 10:00:02: <-- 550 <{TO}>, Recipient unknown\n--- End Transcript ---\n"},
		"qq":                {"recipient", "From: PostMaster@qq.com\nTo: bounce+{ID}@dealer.example\nSubject: =?utf-8?B?57O757uf6YCA5L+h?=\nContent-Type: text/html; charset=gb18030\nContent-Transfer-Encoding: base64\n\nPGh0bWw+PHA+xPq1xNPKvP6xu83Lu9g8L3A+PHA+uMPTw7unsru05tTaPC9wPjwvaHRtbD4=\n"},
		"163, chinese":      {"recipient", "From: Postmaster@163.com\nTo: bounce+{ID}@dealer.example\nSubject: 系统退信\nContent-Type: text/plain; charset=utf-8\n\n抱歉，您的邮件被退回来了……\n\n收件人： {TO}\n退信原因： 收件人不存在\n英文说明：550 User not found: {TO}\n\n{HEADERS}\n"},
		"qmail, no code":    {"recipient", "From: MAILER-DAEMON@mx.example\nTo: bounce+{ID}@dealer.example\nSubject: failure notice\n\nHi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<{TO}>:\nThis address no longer accepts mail.\n\n--- Below this line is a copy of the message.\n\n{HEADERS}\n"},
		"qmail, block":      {"operator", "From: MAILER-DAEMON@mx.example\nTo: bounce+{ID}@dealer.example\nSubject: failure notice\n\nHi. This is the qmail-send program at mx.example.\n\n<{TO}>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.7.1 Client host blocked using zen.spamhaus.org\nGiving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\n{HEADERS}\n"},
		"qmail, full":       {"retry", "From: MAILER-DAEMON@mx.example\nTo: bounce+{ID}@dealer.example\nSubject: failure notice\n\n<{TO}>:\nuser is over quota\n\n--- Below this line is a copy of the message.\n\n{HEADERS}\n"},
		"exim, time":        {"retry", "X-Failed-Recipients: {TO}\nFrom: Mail Delivery System <Mailer-Daemon@mx.example>\nTo: bounce+{ID}@dealer.example\nSubject: Mail delivery failed: returning message to sender\n\nThe following address(es) failed:\n\n  {TO}\n    retry timeout exceeded\n\n------ This is a copy of the message. ------\n\n{HEADERS}\n"},
		"exim, warning":     {"sent", "From: Mail Delivery System <Mailer-Daemon@mx.example>\nTo: bounce+{ID}@dealer.example\nSubject: Warning: message 1abc delayed 24 hours\n\nThis message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue.\n\nNo action is required on your part. Delivery attempts will continue.\n"},
		"sendmail, warning": {"sent", daemon + "\n    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n    **********************************************\n\n451 4.4.1 reply: read error\nWarning: message still undelivered after 4 hours\n"},
		"no boundary":       {"recipient", daemon + "Content-Type: multipart/report; report-type=delivery-status; boundary=wrong\n\n--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822;{TO}\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n\n--b--\n"},
		"no action":         {"recipient", daemon + "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;mx.example\n\nFinal-Recipient: rfc822;{TO}\nStatus: 5.1.1\n\n--b--\n"},
		"out of office":     {"nothing", "From: wang@customer.example\nTo: bounce+{ID}@dealer.example\nReturn-Path: <>\nSubject: Automatic reply: A note\nAuto-Submitted: auto-replied\n\nI am away; my mailbox is full of 550 mails.\n"},
		"out of office, zh": {"nothing", "From: wang@customer.example\nTo: bounce+{ID}@dealer.example\nSubject: 自动回复：你好\n\n我在休假，用户不存在。\n"},
		"an answer":         {"nothing", "From: wang@customer.example\nTo: bounce+{ID}@dealer.example\nSubject: Re: A note\n\nThanks, 550 5.1.1 user unknown is what I read once.\n"},
		"read receipt":      {"nothing", "From: wang@customer.example\nTo: bounce+{ID}@dealer.example\nSubject: Read: A note\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\nContent-Type: text/plain\n\nread\n\n--b--\n"},
		"dmarc summary":     {"nothing", "From: noreply-dmarc-support@google.com\nTo: bounce+{ID}@dealer.example\nSubject: Report domain: dealer.example\nContent-Type: application/zip\n\nPK\n"},
		"nothing in it":     {"not understood", daemon + "\n"},
		"opt-out":           {"opted_out", "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: opt-out\n\n--b\nContent-Type: message/rfc822\n\n{HEADERS}\n--b--\n"},
		"unknown feedback":  {"nothing", "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: dmarc\n\n--b\nContent-Type: message/rfc822\n\n{HEADERS}\n--b--\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, ending := range []string{"\n", "\r\n"} {
				if got := kindOf(t, strings.ReplaceAll(fill(tt.mail), "\n", ending)); got != tt.want {
					t.Errorf("taken for %s, want %s", got, tt.want)
				}
			}
		})
	}
}

// TestAReportProvesWhatItAnswers: whoever computes an id, or copies a proof of another mail, changes nothing.
func TestAReportProvesWhatItAnswers(t *testing.T) {
	t.Parallel()
	forged := dsn("message/delivery-status", quoted, "bounce+"+bounced+"-email@dealer.example", failed)
	old := email.NewProofs([]byte("an older key"))
	for name, tt := range map[string]struct{ want, mail string }{
		"no proof":         {"unproven", forged},
		"another's":        {"unproven", strings.ReplaceAll(forged, bounced+"-email", bounced+"-email-"+proofs.Of("bbbbbbbbbbbbbbbbbbbbbbbbbb-email"))},
		"its own":          {"recipient", strings.ReplaceAll(forged, bounced+"-email", wire())},
		"upper case":       {"recipient", strings.ReplaceAll(forged, bounced+"-email", strings.ToUpper(wire()))},
		"of the older key": {"recipient", strings.ReplaceAll(forged, bounced+"-email", bounced+"-email-"+old.Of(bounced+"-email"))},
	} {
		if got := kindOf(t, tt.mail); got != tt.want {
			t.Errorf("%s: taken for %s, want %s", name, got, tt.want)
		}
	}
}
