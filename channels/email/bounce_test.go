package email_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

const bounced = "abcdefghijklmnopqrstuvwxyz"

// dsn is a report as Postfix writes it.
func dsn(statusType, returned, to, fields string) string {
	return strings.ReplaceAll(fmt.Sprintf(`Return-Path: <>
X-Original-To: %[3]s
From: MAILER-DAEMON@mx.test (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: %[3]s
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="B1/x"

This is a MIME-encapsulated message.

--B1/x
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry. <wang@customer.example>: user unknown

--B1/x
Content-Description: Delivery report
Content-Type: %[1]s

Reporting-MTA: dns; mx.test
X-Postfix-Queue-ID: 12345
Arrival-Date: Sun, 22 Nov 2026 09:30:00 +0800

%[4]s

--B1/x
Content-Description: Undelivered Message
%[2]s
--B1/x--
`, statusType, returned, to, fields), "\n", "\r\n")
}

const (
	quoted = "Content-Type: message/rfc822\n\nFrom: care@pudong.example\nTo: wang@customer.example\nMessage-ID: <x@ses.example>\nX-Carebell-Id: " + bounced + "-email\n" +
		"Content-Type: multipart/alternative; boundary=in\n\n--in\nContent-Type: text/plain\n\nhello\n--in--\n"
	headersOnly = "Content-Type: text/rfc822-headers\n\nMessage-ID: <" + bounced + "-email@pudong.example>\n"
	failed      = "Final-Recipient: rfc822; wang@customer.example\nOriginal-Recipient: rfc822;wang@customer.example\nAction: failed\nStatus: 5.1.1\n" +
		"Diagnostic-Code: smtp; 550 5.1.1 <wang@customer.example> unknown"
)

func TestParseReport(t *testing.T) {
	t.Parallel()
	verp := "bounce+" + bounced + "-email@pudong.example"
	receipt := func(state care.State, kind care.Kind, code string) []care.Receipt {
		return []care.Receipt{{ID: bounced, Channel: care.Email, Gateway: "smtp", State: state, Kind: kind, Code: code, At: testClock()}}
	}
	status := func(s string) string { return strings.ReplaceAll(failed, "5.1.1", s) }
	tests := map[string]struct {
		mail string
		want []care.Receipt
	}{
		"hard":               {dsn("message/delivery-status", quoted, "care@pudong.example", failed), receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"headers only":       {dsn("message/delivery-status", headersOnly, "care@pudong.example", failed), receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"by the return path": {dsn("message/delivery-status", "Content-Type: text/plain\n\n", verp, failed), receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"utf-8":              {dsn("message/global-delivery-status", strings.Replace(quoted, "message/rfc822", "message/global", 1), "care@pudong.example", failed), receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"utf-8 headers":      {dsn("message/global-delivery-status; charset=utf-8", strings.Replace(headersOnly, "text/rfc822-headers", "message/global-headers", 1), "x", failed), receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"bad domain":         {dsn("message/delivery-status", quoted, "x", status("5.1.2")), receipt(care.StateUndelivered, care.KindRecipient, "5.1.2")},
		"policy":             {dsn("message/delivery-status", quoted, "x", status("5.7.1")), receipt(care.StateUndelivered, care.KindContent, "5.7.1")},
		"full":               {dsn("message/delivery-status", quoted, "x", status("5.2.2")), receipt(care.StateUndelivered, care.KindRetry, "5.2.2")},
		"gave up":            {dsn("message/delivery-status", quoted, "x", status("4.4.1")), receipt(care.StateUndelivered, care.KindRetry, "4.4.1")},
		"general status":     {dsn("message/delivery-status", quoted, "x", strings.Replace(failed, "Status: 5.1.1", "Status: 5.0.0", 1)), receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"delayed":            {dsn("message/delivery-status", quoted, "x", strings.NewReplacer("failed", "delayed", "5.1.1", "4.4.1").Replace(failed)), receipt(care.StateSent, "", "4.4.1")},
		"delivered":          {dsn("message/delivery-status", quoted, "x", strings.NewReplacer("failed", "Delivered", "5.1.1", "2.0.0").Replace(failed)), receipt(care.StateDelivered, "", "2.0.0")},
		"in base64": {"To: " + verp + "\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString([]byte("Reporting-MTA: dns; x\n\n"+failed+"\n")) + "\n--b--\n", receipt(care.StateUndelivered, care.KindRecipient, "5.1.1")},
		"somebody else's":            {dsn("message/delivery-status", "Content-Type: message/rfc822\n\nMessage-ID: <other@example>\n", "care@pudong.example", failed), nil},
		"an id that is none of ours": {dsn("message/delivery-status", strings.ReplaceAll(quoted, bounced, "zzz"), "care@pudong.example", failed), nil},
		"complaint": {strings.ReplaceAll("From: arf@isp.example\nTo: fbl@pudong.example\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: text/plain\n\nabuse\n"+
			"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\n\n--b\n"+quoted+"\n--b--\n", "\n", "\r\n"), receipt(care.StateDelivered, care.KindOptedOut, "complaint")},
		"not spam":      {"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: not-spam\n\n--b\n" + quoted + "\n--b--\n", nil},
		"out of office": {"From: wang@customer.example\nTo: " + verp + "\nAuto-Submitted: auto-replied\nContent-Type: text/plain\n\n休假中\n", nil},
		"empty":         {"", nil},
		"cut":           {dsn("message/delivery-status", quoted, "x", failed)[:420], nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := email.ParseReport(strings.NewReader(tt.mail), testClock())
			if tt.want == nil && !errors.Is(err, email.ErrNoReport) {
				t.Errorf("got %v, %v, want ErrNoReport", got, err)
			}
			for i := range got {
				if got[i].To != "" && got[i].To != "wang@customer.example" {
					t.Errorf("it is about %s", got[i].To)
				}
				got[i].To = ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("receipts (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

// TestWhomAReportIsAbout: the address that was written to, wherever the mail was forwarded to; it may not be the customer's any more.
func TestWhomAReportIsAbout(t *testing.T) {
	t.Parallel()
	const forwarded = "Final-Recipient: rfc822; other@elsewhere.example\nAction: failed\nStatus: 5.1.1"
	verp := "bounce+" + bounced + "-email@pudong.example"
	for name, tt := range map[string]struct{ mail, want string }{
		"by the returned mail":  {dsn("message/delivery-status", quoted, verp, forwarded), "wang@customer.example"},
		"with a name":           {dsn("message/delivery-status", strings.Replace(quoted, "wang@customer.example", "=?utf-8?q?=E7=8E=8B?= <wang@customer.example>", 1), verp, forwarded), "wang@customer.example"},
		"by the report":         {dsn("message/delivery-status", headersOnly, verp, failed), "wang@customer.example"},
		"by nothing":            {dsn("message/delivery-status", headersOnly, verp, forwarded), ""},
		"several, which is odd": {dsn("message/delivery-status", strings.Replace(quoted, "wang@customer.example", "a@b.example, c@d.example", 1), verp, forwarded), ""},
	} {
		got, err := email.ParseReport(strings.NewReader(tt.mail), testClock())
		if err != nil || len(got) != 1 || got[0].To != tt.want {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, tt.want)
		}
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add(dsn("message/delivery-status", quoted, "care@pudong.example", failed))
	f.Add("Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n")
	f.Fuzz(func(t *testing.T, mail string) {
		got, err := email.ParseReport(strings.NewReader(mail), testClock())
		if (err == nil) != (len(got) > 0) {
			t.Errorf("%v, %v", got, err)
		}
		for _, r := range got {
			if care.ShardOf(r.ID) < 0 || r.State == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}
