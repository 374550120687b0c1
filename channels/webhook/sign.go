package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
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

// signature returns the value of webhook-signature: one v1 signature for each key, separated by spaces.
func signature(keys [][]byte, id string, at time.Time, body []byte) string {
	var b strings.Builder
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id))
		mac.Write([]byte("." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("v1,")
		b.WriteString(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return b.String()
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
