package email_test

import (
	"crypto"
	"crypto/ed25519"
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

// TestSigningAtOnce is for the race detector: go-mail's signer remembers its algorithm at the first signature.
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
