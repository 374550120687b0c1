package email_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// verify checks a mail with another implementation than the one that signed it.
func verify(t *testing.T, mail string, keys map[string]crypto.Signer) []*dkim.Verification {
	t.Helper()
	lookup := func(name string) ([]string, error) {
		key, ok := keys[name]
		if !ok {
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		switch pub := key.Public().(type) {
		case ed25519.PublicKey:
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)}, nil
		case *rsa.PublicKey:
			der, err := x509.MarshalPKIXPublicKey(pub)
			if err != nil {
				return nil, err
			}
			return []string{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)}, nil
		}
		return nil, errors.New("unknown key")
	}
	crlf := strings.ReplaceAll(mail, "\n", "\r\n")
	out, err := dkim.VerifyWithOptions(strings.NewReader(crlf), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{"r1._domainkey.group.example": rsaKey, "e1._domainkey.pudong.example": edKey}
	srv := newServer(t)
	s := newSender(t, email.Config{DKIM: []email.DKIM{
		{Domain: "group.example", Selector: "r1", Key: rsaKey},
		{Domain: "Pudong.Example", Selector: "e1", Key: edKey},
	}}, srv.url())
	for from, want := range map[string]string{
		"care@pudong.example": "pudong.example", "care@mail.pudong.example": "pudong.example", "care@other.example": "group.example",
	} {
		m := testMessage()
		m.From.Address = from
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		mails := srv.accepted()
		mail := mails[len(mails)-1]
		got := verify(t, mail, keys)
		if len(got) != 1 || got[0].Err != nil || got[0].Domain != want {
			t.Fatalf("from %s: %+v\n%s", from, got[0], mail)
		}
		for _, h := range []string{"From", "To", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID", "Date"} {
			if !slices.ContainsFunc(got[0].HeaderKeys, func(k string) bool { return strings.EqualFold(k, h) }) {
				t.Errorf("%s is not under the signature", h)
			}
		}
		for change, forged := range map[string]string{
			"link":          strings.Replace(mail, "<https://care.pudong.example/u/", "<https://evil.example/u/", 1),
			"second From":   strings.Replace(mail, "\nFrom:", "\nFrom: Evil <evil@evil.example>\nFrom:", 1),
			"second link":   strings.Replace(mail, "\nList-Unsubscribe:", "\nList-Unsubscribe: <https://evil.example>\nList-Unsubscribe:", 1),
			"body":          strings.Replace(mail, "--\n", "--\nx", 1),
			"no post":       strings.Replace(mail, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n", "", 1),
			"other subject": strings.Replace(mail, "\nSubject:", "\nSubject: x", 1),
		} {
			if forged == mail {
				t.Fatalf("%s: nothing was changed", change)
			}
			if got := verify(t, forged, keys); len(got) != 1 || got[0].Err == nil {
				t.Errorf("%s: the forged mail verifies", change)
			}
		}
	}
}

// TestEverySignatureVerifies signs mails on skeletons and such that go-mail writes whole, to servers that take the envelope at once and one by
// one, and looks at what is under the signature: every header field that is there.
func TestEverySignatureVerifies(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{"e1._domainkey.pudong.example": key}
	cfg := email.Config{DKIM: []email.DKIM{{Domain: "pudong.example", Selector: "e1", Key: key}}}
	files := []care.Attachment{{Name: "车主交流会.ics", Type: "text/calendar", Data: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")}}
	for way, srv := range bothWays(t) {
		s := newSender(t, cfg, srv.url())
		for name, change := range map[string]func(*care.Message){
			"as it is":     func(*care.Message) {},
			"again":        func(*care.Message) {},
			"text only":    func(m *care.Message) { m.HTML = nil },
			"HTML only":    func(m *care.Message) { m.Text = nil },
			"attachment":   func(m *care.Message) { m.Attachments = files },
			"dots":         func(m *care.Message) { m.Text, m.Attachments = []byte(".\n..\n. \n--\n.end"), files },
			"blanks":       func(m *care.Message) { m.Text = []byte("a  b \t\n \n\n\n") },
			"long subject": func(m *care.Message) { m.Subject = strings.Repeat("您的爱车该保养了 now ", 20) },
			"no link":      func(m *care.Message) { m.Unsubscribe, m.ReplyTo = "", care.Mailbox{} },
		} {
			m := testMessage()
			change(m)
			if _, err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			mails := srv.accepted()
			mail := mails[len(mails)-1]
			got := verify(t, mail, keys)
			if len(got) != 1 || got[0].Err != nil {
				t.Errorf("%s, %s: %+v\n%s", way, name, got, mail)
				continue
			}
			head, _, _ := strings.Cut(mail, "\n\n")
			for _, line := range strings.Split(head, "\n") {
				field, _, ok := strings.Cut(line, ":")
				if !ok || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") || field == "DKIM-Signature" {
					continue
				}
				if !slices.ContainsFunc(got[0].HeaderKeys, func(k string) bool { return strings.EqualFold(k, field) }) {
					t.Errorf("%s, %s: %s is not under the signature", way, name, field)
				}
			}
			if !strings.Contains(strings.ReplaceAll(head, "\n ", " "), "c=relaxed/relaxed;") {
				t.Errorf("%s, %s: the signature is not relaxed/relaxed", way, name)
			}
		}
	}
}

// TestAnySkeletonVerifies signs whatever bodies come.
func TestAnySkeletonVerifies(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(t)
	s := newSender(t, email.Config{DKIM: []email.DKIM{{Domain: "pudong.example", Selector: "e1", Key: key}}}, srv.url())
	words := rapid.StringOfN(rapid.SampledFrom([]rune("ab 车。é.-=\n\r\t<>")), 0, 300, -1)
	rapid.Check(t, func(rt *rapid.T) {
		m := testMessage()
		m.Subject, m.ToName = words.Draw(rt, "subject"), words.Draw(rt, "name")
		m.Text, m.HTML = []byte(words.Draw(rt, "text")+"."), []byte(words.Draw(rt, "html")+"<p>")
		if _, err := s.Send(t.Context(), m); err != nil {
			rt.Fatal(err)
		}
		mails := srv.accepted()
		if got := verify(t, mails[len(mails)-1], map[string]crypto.Signer{"e1._domainkey.pudong.example": key}); len(got) != 1 || got[0].Err != nil {
			rt.Fatalf("%+v", got)
		}
	})
}

func TestKeysThatCannotSign(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]email.DKIM{
		"no domain": {Selector: "a", Key: key}, "no selector": {Domain: "a.example", Key: key}, "no key": {Domain: "a.example", Selector: "a"},
		"a curve that no receiver knows": {Domain: "a.example", Selector: "a", Key: curve},
	} {
		servers, err := email.ParseServers("smtp://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := email.New(email.Config{Servers: servers, Clock: testClock, DKIM: []email.DKIM{k}}); err == nil || !strings.Contains(err.Error(), "DKIM key 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSigningAtOnce is for the race detector: all connections sign with one key.
func TestSigningAtOnce(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(t)
	s := newSender(t, email.Config{DKIM: []email.DKIM{{Domain: "pudong.example", Selector: "e1", Key: key}}}, srv.url())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Send(t.Context(), testMessage()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, mail := range srv.accepted() {
		if got := verify(t, mail, map[string]crypto.Signer{"e1._domainkey.pudong.example": key}); len(got) != 1 || got[0].Err != nil {
			t.Errorf("%+v", got)
		}
	}
}
