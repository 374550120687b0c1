package email

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"hash"
	"strings"
	"sync"
)

// Proofs make and check what shows that a report answers a mail of ours: a few characters behind the id in the return path, in Message-ID
// and in X-Carebell-Id, that only we can make. The id alone can be computed by whoever knows a customer's.
type Proofs struct {
	keys [][]byte
	macs sync.Pool // of the first key
}

// NewProofs returns proofs under keys: the first makes them, all are good.
func NewProofs(keys ...[]byte) *Proofs {
	p := &Proofs{keys: keys}
	p.macs.New = func() any { return hmac.New(sha256.New, keys[0]) }
	return p
}

var proofText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// proofLength is how long a proof is, in characters of five bits: mail servers may fold the case of a local part.
const proofLength = 12

// Of returns the proof of an id on the wire.
func (p *Proofs) Of(wireID string) string {
	mac, _ := p.macs.Get().(hash.Hash)
	defer p.macs.Put(mac)
	mac.Reset()
	return sum(mac, wireID)
}

func sum(mac hash.Hash, wireID string) string {
	var room [sha256.Size]byte
	mac.Write([]byte(wireID))
	return proofText.EncodeToString(mac.Sum(room[:0]))[:proofLength]
}

// Proven tells whether a proof belongs to an id on the wire.
func (p *Proofs) Proven(wireID, proof string) bool {
	for _, key := range p.keys {
		if hmac.Equal([]byte(sum(hmac.New(sha256.New, key), wireID)), []byte(strings.ToLower(proof))) {
			return true
		}
	}
	return false
}
