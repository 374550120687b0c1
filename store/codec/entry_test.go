package codec

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

func TestRefsAndLanes(t *testing.T) {
	t.Parallel()
	id := care.OccurrenceID("C1", "", "p", "s", "2026")
	want := Ref{id, 123, "C1"}
	if got, ok := ParseRef(want.String()); !ok || got != want || want.String() != id+"|00123|C1" {
		t.Errorf("%s is read as %+v %v", want, got, ok)
	}
	if lane, got, ok := ParseLeased("sms-a|" + want.String()); !ok || got != want || lane != (care.Lane{Channel: care.SMS, Urgent: true}) {
		t.Errorf("leased: %+v %+v %v", lane, got, ok)
	}
	for _, bad := range []string{"", id, id + "|00001", id + "|00001|", strings.Repeat("z", 40) + "|1|C1", id + "|1234x|C1"} {
		if _, ok := ParseRef(bad); ok {
			t.Errorf("%q is taken for a ref", bad)
		}
		if _, _, ok := ParseLeased("fax-a|" + bad); ok {
			t.Errorf("%q is taken for a lease", bad)
		}
	}
	for _, lane := range care.Lanes {
		if got, ok := LaneNamed(lane.String()); !ok || got != lane {
			t.Errorf("lane %s is read as %s", lane, got)
		}
	}
	if _, ok := LaneNamed("fax-a"); ok {
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
		got, err := DecodeEntry(EncodeEntry(e))
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
	r := usual()
	// 64 is hash-max-listpack-value, beyond which a hash takes several times the memory.
	if s := EncodeEntry(EntryOf(&r, care.DateOf(epoch), epoch)); len(s) > 64 {
		t.Errorf("%d bytes: %s", len(s), s)
	}
}

func TestDamagedEntryIsNeverServedAgain(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "d", "dVs2078", "dVsxxxxx", "zVs20780", "dVs20780?|", "dVs20780sgb5vk.x", "dVs20780|!"} {
		if e, err := DecodeEntry(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, e)
		}
		l, _, _ := DecodeLedger([]any{"id", bad}, epoch)
		if l["id"].State != care.StateFailed {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}
