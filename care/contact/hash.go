package contact

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
)

// hasher hashes under one key. Making ready for a key costs three times what hashing an address does.
type hasher struct {
	key  []byte
	macs sync.Pool // of hash.Hash
}

// lastHasher is that of the key which was used last: a process has one key, as a rule.
var lastHasher atomic.Pointer[hasher]

// Hash returns a keyed fingerprint of a normalised address: the first 32 hex digits of HMAC-SHA256. Lists of dead and erased
// addresses are kept by it, so that they hold no personal data (PIPL art. 47, GDPR art. 17). Letter case is ignored.
func Hash(key []byte, address string) string {
	h := lastHasher.Load()
	if h == nil || !bytes.Equal(h.key, key) {
		h = &hasher{key: bytes.Clone(key)}
		h.macs.New = func() any { return hmac.New(sha256.New, h.key) }
		lastHasher.Store(h)
	}
	mac, _ := h.macs.Get().(hash.Hash)
	defer h.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(strings.ToLower(address)))
	var sum [sha256.Size]byte
	return hex.EncodeToString(mac.Sum(sum[:0])[:16])
}
