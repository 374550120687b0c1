package store

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

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
			Code: text.Draw(t, "code"), Took: time.Duration(rapid.Int64Range(0, 1<<45).Draw(t, "took")), Provider: text.Draw(t, "provider"),
		})
		r.Tried = append(r.Tried, channel.Draw(t, "tried"))
		r.Also = append(r.Also, "baaaaaaaaaaaaaaaaaaaaaaaaa")
	}
	return r
}

func TestRecordsSurviveEncoding(t *testing.T) {
	t.Parallel()
	// The pattern by which the scripts read a record.
	pattern := regexp.MustCompile(`^(.)(.)(.)[^|]*\|([^|]*)`)
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		raw := encodeRecord(&r, slotText(epoch))
		got, err := decodeRecord(r.ID, raw)
		if err != nil {
			t.Fatal(err)
		}
		if !r.State.Pending() {
			complete(&got, encodeEntry(entryOf(&r, care.Date{}, r.UpdatedAt)))
		}
		if diff := cmp.Diff(r, got, cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		want := []string{
			string(rune(letter(stateLetters, r.State))), string(rune(letter(classLetters, r.Class))),
			string(rune(letter(channelLetters, r.Channel))), r.Customer,
		}
		if found := pattern.FindStringSubmatch(raw); len(found) != 5 || !slices.Equal(found[1:], want) {
			t.Fatalf("a script reads %q of %s, want %q", found, raw, want)
		}
	})
}

func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "|", "dVs", "dVs|", "?Vs|C1", "dV?|C1", "dVsx|C1", "dVs179533800000|C1", "dVs|C1|!", "dVs|C1||!", "dVs|C1" + strings.Repeat("|", 16) + "1", "dVs|C1" + strings.Repeat("|", 16) + "1.x.0", "dVs|C1" + strings.Repeat("|", 18) + "~", `{"u":"C1","s":"d","h":"s"}`} {
		if r, err := decodeRecord("id", bad); err == nil {
			t.Errorf("%q is read as %+v", bad, r)
		}
	}
}
