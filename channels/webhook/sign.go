package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Prefix begins every Standard Webhooks secret.
const Prefix = "whsec_"

// parseSecret reads a secret: whsec_ and 24 to 64 bytes in base64 (Standard Webhooks 1.0, "Symmetric").
func parseSecret(s string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, Prefix))
	if err != nil || !strings.HasPrefix(s, Prefix) || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("a webhook secret is whsec_ followed by 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)")
	}
	return key, nil
}

// signer makes signatures with one key. Its MACs are kept: one that was used before costs less, because what it made of the key is
// kept in it.
type signer struct{ macs sync.Pool } // of *mac

type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

func newSigner(key []byte) *signer {
	return &signer{sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}}
}

// signature returns the value of webhook-signature: one v1 signature for each key, separated by spaces.
func signature(keys []*signer, id, unix string, body []byte) string {
	signed := make([]byte, 0, 128)
	signed = append(append(append(append(signed, id...), '.'), unix...), '.')
	n := len(signed)
	out := signed[n:n]
	for i, key := range keys {
		m := key.macs.Get().(*mac)
		m.Reset()
		m.Write(signed)
		m.Write(body)
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, "v1,"...)
		out = base64.StdEncoding.AppendEncode(out, m.Sum(m.sum[:0]))
		key.macs.Put(m)
	}
	return string(out)
}

// dingTalkSign is base64(HMAC-SHA256(key = secret, "<milliseconds>\n<secret>")).
func dingTalkSign(secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(strconv.FormatInt(at.UnixMilli(), 10) + "\n" + secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// feishuSign is base64(HMAC-SHA256(key = "<seconds>\n<secret>", "")): the text to sign is the key, and the message is empty.
func feishuSign(secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(strconv.FormatInt(at.Unix(), 10)+"\n"+secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
