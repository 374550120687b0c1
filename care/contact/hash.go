package contact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Hash returns a keyed fingerprint of a normalised address: the first 32 hex digits of HMAC-SHA256. Lists of dead and erased
// addresses are kept by it, so that they hold no personal data (PIPL art. 47, GDPR art. 17). Letter case is ignored.
func Hash(key []byte, address string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.ToLower(address)))
	var sum [sha256.Size]byte
	return hex.EncodeToString(mac.Sum(sum[:0])[:16])
}
