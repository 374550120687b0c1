package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
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
	for shard, tag := range tags {
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

func TestRefsAndLanes(t *testing.T) {
	t.Parallel()
	id := care.OccurrenceID("C1", "", "p", "s", "2026")
	want := ref{id, 123, "C1"}
	if got, ok := parseRef(want.String()); !ok || got != want || want.String() != id+"|00123|C1" {
		t.Errorf("%s is read as %+v %v", want, got, ok)
	}
	if lane, got, ok := parseLeased("sms-a|" + want.String()); !ok || got != want || lane != smsQueue {
		t.Errorf("leased: %+v %+v %v", lane, got, ok)
	}
	for _, bad := range []string{"", id, id + "|00001", id + "|00001|", strings.Repeat("z", 40) + "|1|C1", id + "|1234x|C1"} {
		if _, ok := parseRef(bad); ok {
			t.Errorf("%q is taken for a ref", bad)
		}
		if _, _, ok := parseLeased("fax-a|" + bad); ok {
			t.Errorf("%q is taken for a lease", bad)
		}
	}
	for _, lane := range care.Lanes {
		if got, ok := laneNamed(lane.String()); !ok || got != lane {
			t.Errorf("lane %s is read as %s", lane, got)
		}
	}
	if _, ok := laneNamed("fax-a"); ok {
		t.Error("fax-a is taken for a lane")
	}
}

func TestLedgerEntriesSurviveEncoding(t *testing.T) {
	t.Parallel()
	word := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z0-9-]{1,20}`), rapid.StringMatching(`[|\\~a]{1,5}`),
		rapid.StringMatching(`20[0-9]{2}-0[1-9]-[0-2][0-9]`), rapid.String())
	date := rapid.Custom(func(t *rapid.T) care.Date {
		return care.DateFromDays(rapid.IntRange(0, 60000).Draw(t, "days"))
	})
	rapid.Check(t, func(t *rapid.T) {
		e := care.LedgerEntry{
			State: rapid.SampledFrom(care.States).Draw(t, "state"),
			At:    time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "at")).UTC(),
			Class: rapid.SampledFrom(append([]care.Class{""}, care.Classes...)).Draw(t, "class"),

			Channel: rapid.SampledFrom(append([]care.Channel{""}, care.Channels...)).Draw(t, "channel"),
			Program: word.Draw(t, "program"), Vehicle: word.Draw(t, "vehicle"), Step: word.Draw(t, "step"),
			Cycle: word.Draw(t, "cycle"), Reason: word.Draw(t, "reason"), Merged: word.Draw(t, "merged"),
		}
		if rapid.Bool().Draw(t, "dated") {
			e.On, e.Day = date.Draw(t, "on"), date.Filter(func(d care.Date) bool { return d.Days() > 0 }).Draw(t, "day")
		}
		got, err := decodeEntry(encodeEntry(e))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

func TestUsualLedgerEntryStaysPacked(t *testing.T) {
	t.Parallel()
	o := occurrence("C100001", 0, epoch)
	o.Cycle = "2026-05-02"
	r := recordOf(o, epoch)
	// 64 is hash-max-listpack-value, beyond which a hash takes several times the memory.
	if s := encodeEntry(entryOf(&r, care.DateOf(epoch), epoch)); len(s) > 64 {
		t.Errorf("%d bytes: %s", len(s), s)
	}
}

func TestDamagedEntryIsNeverServedAgain(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "d", "dVs2078", "dVsxxxxx", "zVs20780", "dVs20780?|", "dVs20780sgb5vk.x", "dVs20780|!"} {
		if e, err := decodeEntry(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, e)
		}
		l, _, _ := readLedger([]any{"id", bad}, epoch)
		if l["id"].State != care.StateFailed {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url  string
		want target
		tls  bool
	}{
		{"redis://localhost", target{kind: "single", addresses: []string{"localhost:6379"}}, false},
		{"redis://u:p%40ss@h:1/3", target{kind: "single", addresses: []string{"h:1"}, username: "u", password: "p@ss", db: 3}, false},
		{"redis://:secret@h", target{kind: "single", addresses: []string{"h:6379"}, password: "secret"}, false},
		{"redis://secret@h", target{kind: "single", addresses: []string{"h:6379"}, password: "secret"}, false},
		{"rediss://h?timeout=5s", target{kind: "single", addresses: []string{"h:6379"}, timeout: 5 * time.Second}, true},
		{"redis://[::1]:7/1", target{kind: "single", addresses: []string{"[::1]:7"}, db: 1}, false},
		{"redis-sentinel://a,b:5/main", target{kind: "sentinel", addresses: []string{"a:26379", "b:5"}, master: "main"}, false},
		{"redis-sentinel://a/main/2?sentinel_password=x", target{kind: "sentinel", addresses: []string{"a:26379"}, master: "main", db: 2, sentinel: "x"}, false},
		{"redis-cluster://a,b", target{kind: "cluster", addresses: []string{"a:6379", "b:6379"}}, false},
		{"rediss-cluster://a", target{kind: "cluster", addresses: []string{"a:6379"}}, true},
	} {
		got, err := parseURL(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if (got.tls != nil) != tt.tls {
			t.Errorf("%s: TLS is %v", tt.url, got.tls != nil)
		}
		got.tls, got.clientName = nil, ""
		if tt.want.timeout == 0 {
			tt.want.timeout = 3 * time.Second
		}
		if diff := cmp.Diff(tt.want, *got, cmp.AllowUnexported(target{}), cmpopts.IgnoreFields(target{}, "tls")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.url, diff)
		}
	}
	const secret = "hunter2"
	for _, bad := range []string{
		"", "localhost:6379", "http://h", "redis://", "redis://" + secret + "@", "redis-sentinel://u:" + secret + "@a", "redis://u:" + secret + "%zz@h",
		"redis://:" + secret + "@h/x", "redis-cluster://a/1", "redis://h?colour=" + secret, "redis://h?timeout=" + secret, "redis://h?skip_verify=true",
	} {
		_, err := parseURL(bad)
		if err == nil {
			t.Errorf("%q is taken", bad)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error shows the password: %v", bad, err)
		}
	}
}
