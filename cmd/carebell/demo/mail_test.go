package demo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadMail(t *testing.T) {
	t.Parallel()
	const head = "Message-ID: <abc-email-0123456789ab@dealer.example>\r\nFrom: =?UTF-8?b?5rWm5Lic5Yir5YWL?= <care@dealer.example>\r\nSubject: =?UTF-8?q?Hello_=E2=82=AC?=\r\n =?GB18030?b?xOO6ww==?=\r\nMIME-Version: 1.0\r\n"
	whole := func(m mailMessage) mailMessage {
		m.ID, m.From, m.Subject = "abc-email", "浦东别克 <care@dealer.example>", "Hello €你好"
		return m
	}
	for name, tt := range map[string]struct {
		mail string
		want mailMessage
	}{
		"plain, without a type": {"\r\nHello\r\nyou\r\n", mailMessage{Text: "Hello\nyou\n"}},
		"quoted-printable": {
			"Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4=BD=A0=E5=\r\n=A5=BD\r\n", mailMessage{Text: "你好\n"},
		},
		"base64 in lines": {
			"Content-Type: text/html; charset=\"utf-8\"\r\nContent-Transfer-Encoding: BASE64\r\n\r\nPHA+5L2g\r\n5aW9PC9wPg==\r\n", mailMessage{HTML: "<p>你好</p>"},
		},
		"another character set": {
			"Content-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n", mailMessage{Text: "你好"},
		},
		"text and page": {
			"Content-Type: multipart/alternative; boundary=x\r\n\r\nnothing\r\n--x\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n" +
				"--x\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n<p>b</p>\r\n--x--\r\n", mailMessage{Text: "a=b", HTML: "<p>b</p>"},
		},
		"with an attachment": {
			"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\nContent-Type: text/plain\r\n\r\na\r\n--y--\r\n" +
				"--x\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n<p>no</p>\r\n--x\r\nContent-Type: text/calendar\r\n\r\nBEGIN\r\n--x--\r\n", mailMessage{Text: "a"},
		},
	} {
		got, err := readMail(strings.NewReader(head + tt.mail))
		if diff := cmp.Diff(whole(tt.want), got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for name, text := range map[string]string{
		"no header":                 "hello",
		"an unknown character set":  head + "Content-Type: text/plain; charset=klingon\r\n\r\nx",
		"no base64":                 head + "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n***",
		"no end of the parts":       head + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nx",
		"parts within parts so on":  head + nested(20),
		"parts without a separator": head + "Content-Type: multipart/mixed\r\n\r\nx",
	} {
		if m, err := readMail(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
}

func nested(levels int) string {
	text := "Content-Type: text/plain\r\n\r\nx\r\n"
	for i := range levels {
		boundary := "b" + string(rune('a'+i))
		text = "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n" + text + "--" + boundary + "--\r\n"
	}
	return text
}
