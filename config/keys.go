package config

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Derive makes a key for one use out of a secret (RFC 5869), so that what leaks of one use says nothing of another.
func (s Secret) Derive(use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(s.Reveal()), nil, "carebell "+use, 32)
	if err != nil {
		panic(err) // 32 bytes of SHA-256 can always be had
	}
	return key
}

// Trial names the trial that the settings ask for: nothing is sent, or everything to one address. It is recorded apart (package store), and
// its links change nothing. "" = what is sent is meant.
func (s *Settings) Trial() string {
	switch {
	case s.DryRun:
		return "dry run"
	case s.RedirectEmail != "" && s.RedirectPhone != "":
		return "e-mail and SMS redirected"
	case s.RedirectEmail != "":
		return "e-mail redirected"
	case s.RedirectPhone != "":
		return "SMS redirected"
	}
	return ""
}

// LinkKeys are the keys that sign personal links, the newest first. There are none without CARE_SECRET_KEY.
func (s *Settings) LinkKeys() [][]byte {
	keys := make([][]byte, 0, len(s.SecretKey))
	for _, k := range s.SecretKey {
		keys = append(keys, k.Derive("links"))
	}
	return keys
}

// ReportKeys are the keys that make and check what a returned mail must show, the newest first. There are none without CARE_SECRET_KEY.
func (s *Settings) ReportKeys() [][]byte {
	keys := make([][]byte, 0, len(s.SecretKey))
	for _, k := range s.SecretKey {
		keys = append(keys, k.Derive("reports"))
	}
	return keys
}

// keyless makes fingerprints where no key was set when the state began: they still hide an address from a casual reader.
var keyless = []byte("carebell without CARE_SECRET_KEY")

// HashKey is the key of addresses' fingerprints, which never rotates: CARE_ADDRESS_KEY, else the oldest secret key, so that a rotation,
// which adds a key in front, does not forget whom not to write to. UseHashKey chooses among them.
func (s *Settings) HashKey() []byte {
	if s.hashKey != nil {
		return s.hashKey
	}
	return s.hashKeys()[0]
}

// hashKeys are those that the fingerprints may have been made with, the likeliest first.
func (s *Settings) hashKeys() [][]byte {
	if !s.AddressKey.IsZero() {
		return [][]byte{s.AddressKey.Derive("addresses")}
	}
	var keys [][]byte
	for _, k := range slices.Backward(s.SecretKey) {
		keys = append(keys, k.Derive("addresses"))
	}
	return append(keys, keyless)
}

// Fingerprint names the key that HashKey returns, and says nothing of it.
func (s *Settings) Fingerprint() string { return fingerprint(s.HashKey()) }

func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("carebell address key\x00"), key...))
	return hex.EncodeToString(sum[:8])
}

// UseHashKey chooses the key with this fingerprint: the one with which the addresses in Redis were hashed. With another one, who opted
// out, who is dead and who was erased would be forgotten. The error says which key is missing.
func (s *Settings) UseHashKey(want string) error {
	for _, key := range s.hashKeys() {
		if fingerprint(key) == want {
			s.hashKey = key
			return nil
		}
	}
	what := "CARE_SECRET_KEY is not set here"
	switch {
	case !s.AddressKey.IsZero():
		what = "CARE_ADDRESS_KEY is another key"
	case len(s.SecretKey) > 0:
		what = "CARE_SECRET_KEY has it not any more"
	case want == fingerprint(keyless):
		what = "the state began without a key"
	}
	return fmt.Errorf("the key that the addresses in Redis were hashed with (fingerprint %s) is missing: %s. Put that key, which was the last of CARE_SECRET_KEY "+
		"before it was changed, into CARE_ADDRESS_KEY (or give this shell the daemon's settings); without it carebell would not know who opted out", want, what)
}

// CallbackKeys are the keys of the tokens under which SMS gateways call back: the first makes them, all are taken.
func (s *Settings) CallbackKeys() [][]byte {
	keys := make([][]byte, 0, len(s.SecretKey))
	for _, k := range s.SecretKey {
		keys = append(keys, k.Derive("callbacks"))
	}
	return keys
}

// BounceSecrets are the passwords under which a mail server posts returned mail, the newest first: derived from the secret keys, so that
// there is none that could be forgotten.
func (s *Settings) BounceSecrets() []string {
	secrets := make([]string, 0, len(s.SecretKey))
	for _, k := range s.SecretKey {
		secrets = append(secrets, hex.EncodeToString(k.Derive("bounces")[:16]))
	}
	return secrets
}

// NewKey makes a key for CARE_SECRET_KEY or CARE_ADDRESS_KEY.
func NewKey() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails
	return base64.StdEncoding.EncodeToString(key[:])
}

// weakWords stand in examples and in what people type when they are asked for a secret.
var weakWords = []string{
	"changeme", "change-me", "change_me", "password", "passw0rd", "secret", "example", "replace", "insert", "letmein", "qwerty", "carebell",
	"123456789", "abcdefgh", "admin", "default", "yourkey", "your-key", "your_key",
}

// guessable reports whether a secret is one of those that are tried first: too short, a well-known word, or few characters in turn.
func guessable(secret string, least int) bool {
	lower := strings.ToLower(secret)
	different := map[rune]bool{}
	for _, r := range lower {
		different[r] = true
	}
	return utf8.RuneCountInString(secret) < least || len(different) < least/4 ||
		slices.ContainsFunc(weakWords, func(w string) bool { return strings.Contains(lower, w) })
}
