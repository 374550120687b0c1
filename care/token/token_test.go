package token_test

import (
	"encoding/base64"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"pgregory.net/rapid"
)

var (
	oldKey = []byte("an old key of thirty-two bytes..")
	newKey = []byte("a new key of thirty-two bytes...")
	sample = token.Token{Purpose: token.Unsubscribe, Customer: "C100001", Occurrence: "abcdefghijklmnopqrstuvwxyz", Channel: care.Email}
)

func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	s := token.NewSigner(newKey, oldKey)
	for name, signer := range map[string]*token.Signer{"the first key": s, "a key on its way out": token.NewSigner(oldKey)} {
		trial := sample
		trial.Trial = true
		for _, want := range []token.Token{sample, trial} {
			if got, err := s.Verify(token.Unsubscribe, signer.Sign(want)); err != nil || got != want {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
	}
}

func TestTokenOfAnotherPurposeOrKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := token.NewSigner(newKey)
	if _, err := s.Verify(token.Survey, s.Sign(sample)); err == nil {
		t.Error("a token for /u was taken at /s")
	}
	if _, err := s.Verify(token.Unsubscribe, token.NewSigner(oldKey).Sign(sample)); err == nil {
		t.Error("a token of a key we do not know was taken")
	}
	var none *token.Signer
	if _, err := none.Verify(token.Unsubscribe, s.Sign(sample)); err == nil {
		t.Error("a token was taken without any key")
	}
}

func TestAlteredTokenIsRefused(t *testing.T) {
	t.Parallel()
	s := token.NewSigner(newKey)
	good := s.Sign(sample)
	rapid.Check(t, func(t *rapid.T) {
		raw, _ := base64.RawURLEncoding.DecodeString(good)
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		raw = raw[:rapid.IntRange(0, len(raw)).Draw(t, "length")]
		if _, err := s.Verify(token.Unsubscribe, base64.RawURLEncoding.EncodeToString(raw)); err == nil {
			t.Fatal("an altered token was taken")
		}
	})
	for i := range len(good) { // a last character with stray bits must not be a second spelling
		for _, c := range "Aa0_" {
			alt := good[:i] + string(c) + good[i+1:]
			if _, err := s.Verify(token.Unsubscribe, alt); err == nil && alt != good {
				t.Fatalf("a second spelling was taken at %d", i)
			}
		}
	}
}

// A vector that was made with another program (Python's hmac): links in old mails must go on to work.
func TestTokenIsStable(t *testing.T) {
	t.Parallel()
	const want = "dUMxMDAwMDEAYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoAZW1haWyZxMj8RHYa1xSaou2mwSfW"
	if got := token.NewSigner(newKey).Sign(sample); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkSign(b *testing.B) {
	s := token.NewSigner(newKey)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Sign(sample)
	}
}
