package codec

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

var epoch = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func drawRecord(t *rapid.T) care.Record {
	at := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "none") {
			return time.Time{}
		}
		return time.UnixMilli(rapid.Int64Range(1, 1<<42).Draw(t, "ms")).UTC()
	})
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "~", "|", "\\n", "a\nb"}), rapid.StringMatching(`[a-z"{}:\\]{1,8}`), rapid.String())
	channel := rapid.SampledFrom(care.Channels)
	small := rapid.IntRange(0, 5)
	r := care.Record{
		ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Customer: rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`).Draw(t, "customer"),
		Dealer: text.Draw(t, "dealer"), Vehicle: text.Draw(t, "vehicle"), Program: text.Draw(t, "program"), Step: text.Draw(t, "step"),
		Cycle: text.Draw(t, "cycle"), Class: rapid.SampledFrom(care.Classes).Draw(t, "class"), Template: text.Draw(t, "template"),
		Locale: text.Draw(t, "locale"), Release: at.Draw(t, "release"), Expires: at.Draw(t, "expires"),
		State: rapid.SampledFrom(care.States).Draw(t, "state"), Channel: channel.Draw(t, "channel"), Reason: text.Draw(t, "reason"),
		Repeats: small.Draw(t, "repeats"), Crashes: small.Draw(t, "crashes"), Parts: small.Draw(t, "parts"),
		UpdatedAt: at.Draw(t, "updated"), FirstTry: at.Draw(t, "first"),
	}
	if rapid.Bool().Draw(t, "dated") {
		r.On = care.DateFromDays(rapid.IntRange(1, 60000).Draw(t, "on"))
	}
	for i := range small.Draw(t, "attempts") {
		r.Attempts = append(r.Attempts, care.Attempt{
			N: i + 1, At: at.Draw(t, "at"), Channel: channel.Draw(t, "by"), Gateway: text.Draw(t, "gateway"), Kind: care.KindRetry,
			Code: text.Draw(t, "code"), Took: time.Duration(rapid.Int64Range(0, 1<<45).Draw(t, "took")), Provider: text.Draw(t, "provider"), Said: text.Draw(t, "said"),
		})
		r.Tried = append(r.Tried, channel.Draw(t, "tried"))
		r.Also = append(r.Also, "insurance V1 due RO 7")
		if r.State.Pending() {
			r.Kin = append(r.Kin, text.Draw(t, "kin"))
		}
	}
	return r
}

func TestRecordsSurviveEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		raw := EncodeRecord(&r)
		got, err := DecodeRecord(r.ID, raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got, cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		if StateOf(raw) != r.State {
			t.Fatalf("the state of %s is read as %q", raw, StateOf(raw))
		}
	})
}

// usual is the record of a message as most are, just planned.
func usual() care.Record {
	customer, vehicle := "C100001", "LSGHXRT911E8RM77M"
	return care.Record{
		ID: care.OccurrenceID(customer, vehicle, "maintenance", "heads-up", "c0"), Customer: customer, Dealer: "sh-pudong", Vehicle: vehicle,
		Program: "maintenance", Step: "heads-up", Cycle: "2026-05-02", Class: care.Service, Template: "maintenance", On: care.DateOf(epoch),
		Release: epoch, Expires: epoch.Add(72 * time.Hour), State: care.StateDue, Channel: care.SMS, UpdatedAt: epoch,
	}
}

func TestUsualRecordStaysSmall(t *testing.T) {
	t.Parallel()
	r := usual()
	r.State, r.Locale, r.FirstTry = care.StateSent, "zh-CN", epoch
	r.Attempts = []care.Attempt{{N: 1, At: epoch, Channel: care.SMS, Gateway: "kannel", Took: 6 * time.Millisecond, Provider: "lfls"}}
	// With 4 bytes of Redis' it still goes into one of its pieces of 256; the next larger ones have 320.
	if raw := EncodeRecord(&r); len(raw) > 252 {
		t.Errorf("%d bytes: %s", len(raw), raw)
	}
}

func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "{", "{}", "null", "[]", `{"s":"d","h":"s"}`, `{"s":"?","c":"C1","h":"s"}`, `{"s":"d","c":"C1","h":"?"}`, `{"s":"d","c":"C1"}`, `{"s":"d","c":"C1","h":"s","u":"x"}`, `{"s":"d","c":"C1","h":"s"} ` + "x", `{"s":"d","s":"d","c":"C1","h":"s"}`, "dVs|C1"} {
		if r, err := DecodeRecord("id", bad); err == nil {
			t.Errorf("%q is read as %+v", bad, r)
		}
	}
}
