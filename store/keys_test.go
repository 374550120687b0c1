package store

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/keyspace"
)

// crc16 is CRC16-CCITT (XModem), by which Redis Cluster finds a key's slot (cluster specification, appendix A).
func crc16(s string) uint16 {
	crc := uint16(0)
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

func TestShardsLieInDifferentSixteenths(t *testing.T) {
	t.Parallel()
	if got := crc16("123456789"); got != 0x31C3 {
		t.Fatalf("CRC16 of 123456789 = %#x, the specification says 0x31C3", got)
	}
	seen := make(map[uint16]string)
	for shard := range care.Shards {
		tag := keyspace.Tag(shard)
		sixteenth := crc16(tag) % 16384 / 1024
		if other, ok := seen[sixteenth]; ok {
			t.Errorf("tags %s and %s lie in the same sixteenth", tag, other)
		}
		seen[sixteenth] = tag
		for _, key := range []string{fenceKey(shard), dueKey(shard, care.Lanes[0]), messagesKey(shard, 20000), leasedKey(shard)} {
			if !strings.HasPrefix(key, "care:{"+tag+"}:") || strings.Count(key, "{") != 1 {
				t.Errorf("key %q of shard %s", key, tag)
			}
		}
	}
}
