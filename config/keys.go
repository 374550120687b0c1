package config

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
)

// Derive makes a key for one use out of a secret (RFC 5869), so that what leaks of one use says nothing of another.
func (s Secret) Derive(use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(s.Reveal()), nil, "carebell "+use, 32)
	if err != nil {
		panic(err) // 32 bytes of SHA-256 can always be had
	}
	return key
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

// AddressKey is the key of addresses' fingerprints. It is derived from the oldest secret key, so that a rotation, which adds a key in
// front, does not forget whom not to write to. Without a key the fingerprint still hides the address from a casual reader.
func (s *Settings) AddressKey() []byte {
	if n := len(s.SecretKey); n > 0 {
		return s.SecretKey[n-1].Derive("addresses")
	}
	return []byte("carebell without CARE_SECRET_KEY")
}

// CallbackKey is the key of the tokens under which SMS gateways call back; nil without CARE_SECRET_KEY.
func (s *Settings) CallbackKey() []byte {
	if len(s.SecretKey) == 0 {
		return nil
	}
	return s.SecretKey[0].Derive("callbacks")
}

// BounceSecret is the password under which a mail server posts returned mail: derived from the secret key, so that there is none that
// could be forgotten. It is "" without CARE_SECRET_KEY.
func (s *Settings) BounceSecret() string {
	if len(s.SecretKey) == 0 {
		return ""
	}
	return hex.EncodeToString(s.SecretKey[0].Derive("bounces")[:16])
}
