// Package token makes and checks the signed tokens in customers' links. A token names a customer by id, a message and what the
// link is for; it holds no name and no address, and only who has the secret key can make one. It does not expire: a customer
// must be able to opt out with an old mail (16 CFR 316.5 asks for 30 days, people keep mails for years).
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strings"
	"sync"

	"github.com/carebell/carebell/care"
)

// Purpose is what a link is for; a token for one purpose is refused for another.
type Purpose byte

// The purposes, named after the public paths /u, /s, /e, /o and /calendar.
const (
	Unsubscribe Purpose = 'u'
	Survey      Purpose = 's'
	RSVP        Purpose = 'e'
	Odometer    Purpose = 'o'
	Calendar    Purpose = 'c'
)

// Token is what a link says.
type Token struct {
	Purpose    Purpose
	Customer   string
	Occurrence string // "" if the link belongs to no message
	Channel    care.Channel
	Trial      bool // the link came with a test, a preview or a trial: it shows its page and changes nothing
}

// ErrInvalid is returned for a token that was not made with one of the keys, or is for another purpose.
var ErrInvalid = errors.New("the link is not valid")

const macSize = 16 // 128 bits: more than anyone can guess on-line, and the link stays short in an SMS

// Signer makes tokens with the first of its keys and accepts those of all of them, so that a key can be rotated.
type Signer struct{ keys []*key }

// key is a key with its MACs: one that was used before costs half as much, because what it made of the key is kept in it.
type key struct{ macs sync.Pool } // of *mac

type mac struct {
	hash.Hash
	space []byte // for what is signed
}

// NewSigner takes the keys of CARE_SECRET_KEY. Without one it returns nil, and no links are made.
func NewSigner(keys ...[]byte) *Signer {
	if len(keys) == 0 {
		return nil
	}
	s := &Signer{}
	for _, secret := range keys {
		s.keys = append(s.keys, &key{macs: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}})
	}
	return s
}

// Sign returns the token as unpadded base64url (RFC 4648 section 5).
func (s *Signer) Sign(t Token) string { return string(s.AppendSign(nil, t)) }

// AppendSign appends the token to b.
func (s *Signer) AppendSign(b []byte, t Token) []byte {
	m := s.keys[0].mac()
	defer s.keys[0].macs.Put(m)
	m.space = m.appendSum(appendToken(m.space[:0], t))
	return base64.RawURLEncoding.AppendEncode(b, m.space)
}

// Verify reads a token made for the purpose, in constant time for each key.
func (s *Signer) Verify(purpose Purpose, text string) (Token, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if s == nil || err != nil || len(text) > 300 || len(raw) <= macSize {
		return Token{}, ErrInvalid
	}
	body, sum := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	for _, key := range s.keys {
		if key.signed(body, sum) {
			t, ok := decode(body)
			if !ok || t.Purpose != purpose {
				return Token{}, ErrInvalid
			}
			return t, nil
		}
	}
	return Token{}, ErrInvalid
}

var context = []byte("carebell token 1\x00")

func (k *key) mac() *mac { return k.macs.Get().(*mac) }

// appendSum appends the first bytes of the body's MAC to the body.
func (m *mac) appendSum(body []byte) []byte {
	m.Reset()
	m.Write(context)
	m.Write(body)
	n := len(body)
	return m.Sum(body)[:n+macSize]
}

// signed reports, in constant time, whether sum is what the key makes of the body.
func (k *key) signed(body, sum []byte) bool {
	m := k.mac()
	defer k.macs.Put(m)
	m.space = m.appendSum(append(m.space[:0], body...))
	return hmac.Equal(sum, m.space[len(body):])
}

func appendToken(b []byte, t Token) []byte {
	b = append(append(b, byte(t.Purpose)), t.Customer...)
	b = append(append(b, 0), t.Occurrence...)
	b = append(append(b, 0), t.Channel...)
	if t.Trial {
		b = append(b, 0, trial)
	}
	return b
}

// trial is the fourth part of a token that came with a trial.
const trial = 't'

func decode(b []byte) (Token, bool) {
	parts := strings.Split(string(b[1:]), "\x00")
	if len(parts) < 3 || len(parts) > 4 || len(parts) == 4 && parts[3] != string(trial) || !care.ValidID(parts[0]) {
		return Token{}, false
	}
	return Token{
		Purpose: Purpose(b[0]), Customer: parts[0], Occurrence: parts[1], Channel: care.Channel(parts[2]), Trial: len(parts) == 4,
	}, true
}
