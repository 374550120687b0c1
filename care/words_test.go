package care_test

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]care.Window{
		"21:00-08:00": {From: 1260, To: 480}, "00:00-24:00": {From: 0, To: 1440}, "09:05-09:06": {From: 545, To: 546}, "none": {}, "": {},
	} {
		w, ok := care.ParseWindow(text)
		if !ok || w != want {
			t.Errorf("%q: got %v, %t", text, w, ok)
		}
		if text != "none" && w.String() != text {
			t.Errorf("%q: written as %q", text, w)
		}
	}
	for _, text := range []string{"21:00", "21:00-8:00", "24:00-08:00", "21:60-08:00", "21:00-24:01", "21:00–08:00", "21-08", "ab:cd-ef:gh", "21:00-08:00 "} {
		if _, ok := care.ParseWindow(text); ok {
			t.Errorf("%q was read", text)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.IntRange(0, 1439).Draw(t, "from"), rapid.IntRange(0, 1440).Draw(t, "to")
		w, ok := care.ParseWindow(fmt.Sprintf("%02d:%02d-%02d:%02d", from/60, from%60, to/60, to%60))
		if !ok {
			t.Fatal("not read")
		}
		n := 0
		for m := range 1440 {
			in := w.Contains(m)
			n += btoi(in)
			// [from, to): in at its beginning, out at its end.
			if m == from && from != to && !in || m == to && in && from != to {
				t.Fatalf("%s at minute %d: %t", w, m, in)
			}
		}
		want := to - from
		if want < 0 {
			want += 1440
		}
		if n != want || w.IsZero() != (from == to) {
			t.Fatalf("%s has %d minutes, want %d", w, n, want)
		}
	})
}

func TestBirthday(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]care.Birthday{
		"1985-02-20":        {Year: 1985, Month: 2, Day: 20},
		"--02-29":           {Month: 2, Day: 29},
		"2000-02-29":        {Year: 2000, Month: 2, Day: 29},
		"lunar:1999-04-28":  {Lunar: true, Year: 1999, Month: 4, Day: 28},
		"lunar:--04-30":     {Lunar: true, Month: 4, Day: 30},
		"lunar:--L06-01":    {Lunar: true, Leap: true, Month: 6, Day: 1},
		"lunar:2020-L04-1":  {},
		"lunar:2020-L04-15": {Lunar: true, Leap: true, Year: 2020, Month: 4, Day: 15},
		"lunar:--12-eve":    {Lunar: true, Eve: true, Month: 12},
		"lunar:1990-12-eve": {Lunar: true, Eve: true, Year: 1990, Month: 12},
		"1985-02-29":        {}, "--02-30": {}, "1985-2-20": {}, "lunar:--13-01": {}, "lunar:--04-31": {}, "lunar:": {}, "": {}, "--12-eve": {}, "--L06-01": {},
		"0000-01-01": {}, "lunar:--11-eve": {}, "1985-02-20x": {},
	} {
		b, err := care.ParseBirthday(text)
		if b != want || (err == nil) != (want != care.Birthday{}) {
			t.Errorf("%q: got %+v, %v", text, b, err)
		}
		if err == nil && b.String() != text {
			t.Errorf("%q: written as %q", text, b)
		}
	}
}

func TestOffsetsAndExpiry(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]care.Offset{"-14d": {Days: -14}, "14d": {Days: 14}, "+3d": {Days: 3}, "2w": {Days: 14}, "-1m": {Months: -1}, "0d": {}} {
		if got, err := care.ParseOffset(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "14", "14 d", "1.5d", "1y", "d14", "--1d", "99999d", "1201m"} {
		if got, err := care.ParseOffset(text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
	on := care.NewDate(2024, 1, 31)
	for text, want := range map[string]string{"1m": "2024-02-29", "-2m": "2023-11-30", "1w": "2024-02-07", "-31d": "2023-12-31"} {
		o, err := care.ParseOffset(text)
		if got := o.From(on).String(); err != nil || got != want {
			t.Errorf("%s %s: got %s, want %s", on, text, got, want)
		}
	}
	for text, want := range map[string]care.Expiry{"3d": {Hours: 72}, "36h": {Hours: 36}, "2w": {Hours: 336}, "same_day": {SameDay: true}} {
		if got, err := care.ParseExpiry(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0d", "-1d", "3", "1m", "soon", "99999h"} {
		if got, err := care.ParseExpiry(text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

// TestOccurrenceID makes the id by hand: letter of the shard, then 25 letters of base32 of the SHA-256 over the five words.
func TestOccurrenceID(t *testing.T) {
	t.Parallel()
	byHand := func(words ...string) string {
		customer := sha256.Sum256([]byte(words[0]))
		all := sha256.Sum256([]byte(strings.Join(words, "\x00")))
		return string(rune('a'+customer[0]%16)) + strings.ToLower(base32.StdEncoding.EncodeToString(all[:]))[:25]
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`)
		w := []string{word.Draw(t, "customer"), rapid.OneOf(rapid.Just(""), word).Draw(t, "vehicle"), word.Draw(t, "program"), word.Draw(t, "step"), word.Draw(t, "cycle")}
		got := care.OccurrenceID(w[0], w[1], w[2], w[3], w[4])
		if want := byHand(w...); got != want {
			t.Fatalf("%q: got %s, want %s", w, got, want)
		}
		if care.ShardOf(got) != care.Shard(w[0]) {
			t.Fatalf("%s: shard %d, want %d", got, care.ShardOf(got), care.Shard(w[0]))
		}
		if care.OccurrenceID(w[0], w[1], w[2], w[3], w[4]+"x") == got || care.OccurrenceID(w[0], w[1]+w[2], "", w[3], w[4]) == got {
			t.Fatalf("%q: another occurrence has the same id", w)
		}
	})
	// Golden: these ids are on the wire and in the ledgers of every installation. They must never change.
	for want, w := range map[string][5]string{
		"cag67o6pwon2li64xzefvdywly": {"C100001", "LSGHXRT911E8RM77M", "maintenance", "due", "2026-05-02"},
		"ccbxzb5nl5gv44mf6xko6j6vm7": {"C100001", "", "birthday", "wish", "2026"},
		"nodakupq5eohf55ye7o7pf52w2": {"x", "", "calendar", "a", "2026-12-24"},
	} {
		if got := care.OccurrenceID(w[0], w[1], w[2], w[3], w[4]); got != want {
			t.Errorf("%q: got %s, want %s", w, got, want)
		}
	}
	for _, id := range []string{"", "a", strings.Repeat("q", 26), strings.Repeat("a", 27), "A" + strings.Repeat("a", 25)} {
		if care.ShardOf(id) != -1 {
			t.Errorf("%q has shard %d", id, care.ShardOf(id))
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"C100001": true, "a.b_c:d-e": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false, "a b": false, "a{b}": false, "é": false, "a/b": false, "a\x00": false,
	} {
		if care.ValidID(id) != want {
			t.Errorf("%q: got %t", id, !want)
		}
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	for scope, want := range map[string]bool{
		"*": true, "sms": true, "service": true, "maintenance": true, "prog": true, "sms/service": true, "sms/maintenance": true, "sms/prog": true,
		"email": false, "commercial": false, "email/service": false, "other": false,
	} {
		o := &care.Overlay{Stops: map[string]care.Stop{scope: {At: early}}}
		if got := o.Stopped(care.SMS, care.Service, "maintenance", "prog"); got != want {
			t.Errorf("%s: got %t", scope, got)
		}
		o.Grants = map[string]care.Stop{scope: {At: late}}
		if o.Stopped(care.SMS, care.Service, "maintenance", "prog") {
			t.Errorf("%s: a later opt-in does not lift it", scope)
		}
		o.Grants = map[string]care.Stop{scope: {At: early}}
		if got := o.Stopped(care.SMS, care.Service, "maintenance", "prog"); got != want {
			t.Errorf("%s: an opt-in at the moment of the stop lifts it: the stop must win", scope)
		}
		o.Grants = map[string]care.Stop{scope: {At: early.Add(-time.Hour)}}
		if got := o.Stopped(care.SMS, care.Service, "maintenance", "prog"); got != want {
			t.Errorf("%s: an earlier opt-in lifts it", scope)
		}
	}
	var none *care.Overlay
	if none.Stopped(care.SMS, care.Service, "t", "p") {
		t.Error("no overlay stops")
	}
}

func TestAdvisorFor(t *testing.T) {
	t.Parallel()
	d := &care.Dealer{Advisors: []care.Advisor{
		{Advisor: "chen", Name: care.Text{"": "陈志强"}, Left: true, StandIn: "lin"},
		{Advisor: "lin", Name: care.Text{"": "林晓燕"}, Left: true, StandIn: "zhou"},
		{Advisor: "zhou", Name: care.Text{"zh-CN": "周凯", "en": "Kai Zhou"}},
		{Advisor: "a", Name: care.Text{"": "A"}, Left: true, StandIn: "b"},
		{Advisor: "b", Name: care.Text{"": "B"}, Left: true, StandIn: "a"},
		{Advisor: "gone", Name: care.Text{"": "G"}, Left: true},
	}}
	for id, want := range map[string]string{"chen": "zhou", "陈志强": "zhou", "zhou": "zhou", "周凯": "zhou", "Kai Zhou": "zhou", "a": "", "gone": "", "nobody": "", "": ""} {
		got := ""
		if a := d.AdvisorFor(id); a != nil {
			got = a.Advisor
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

func TestTextIn(t *testing.T) {
	t.Parallel()
	both := care.Text{"zh-CN": "中", "en": "E"}
	for _, tt := range []struct {
		text    care.Text
		locales []string
		want    string
	}{
		{both, []string{"zh-CN"}, "中"},
		{both, []string{"zh-HK"}, "中"},
		{both, []string{"zh-Hant"}, "中"},
		{both, []string{"en-GB"}, "E"},
		{both, []string{"fr", "zh-CN"}, "中"},
		{both, []string{"fr"}, "E"},
		{care.Text{"zh-TW": "T", "zh-CN": "中"}, []string{"zh-HK"}, "T"},
		{care.Text{"": "all"}, []string{"fr"}, "all"},
		{care.Text{"de": "D", "fr": "F"}, []string{"ja"}, "D"},
		{nil, []string{"en"}, ""},
	} {
		if got := tt.text.In(tt.locales...); got != tt.want {
			t.Errorf("%v in %v: got %q, want %q", tt.text, tt.locales, got, tt.want)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	e := &care.Error{Kind: care.KindRecipient, Code: "550 5.1.1", Err: cause}
	if got := e.Error(); got != "recipient 550 5.1.1: cause" {
		t.Errorf("got %q", got)
	}
	if !errors.Is(e, cause) || care.KindOf(fmt.Errorf("x: %w", e)) != care.KindRecipient {
		t.Error("the kind is lost in the chain")
	}
	if care.KindOf(nil) != "" || care.KindOf(cause) != care.KindRetry || care.KindOf(&care.Error{}) != care.KindRetry {
		t.Error("an error of no kind must be tried again")
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	for _, s := range care.States {
		if s.Final() && s.Pending() {
			t.Errorf("%s is final and pending", s)
		}
		if !s.Final() && !s.Pending() && s != care.StateUncertain {
			t.Errorf("%s is neither final nor pending", s)
		}
	}
	for _, l := range care.Lanes {
		if l.String() != string(l.Channel)+map[bool]string{true: "-a", false: "-b"}[l.Urgent] {
			t.Errorf("lane %v: %s", l, l)
		}
	}
	for class, urgent := range map[care.Class]bool{care.Safety: true, care.Service: true, care.Care: false, care.Commercial: false} {
		if got := care.LaneOf(care.SMS, class); got != (care.Lane{Channel: care.SMS, Urgent: urgent}) {
			t.Errorf("%s goes to %s", class, got)
		}
	}
}

func TestConsentFor(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	c := care.Consent{Service: &yes, Commercial: &no}
	for class, want := range map[care.Class]*bool{care.Service: &yes, care.Care: &yes, care.Commercial: &no} {
		if diff := cmp.Diff(want, c.For(class)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", class, diff)
		}
	}
	c.Care = &no
	if *c.For(care.Care) {
		t.Error("care does not follow service once it is set")
	}
	if (care.Consent{}).For(care.Service) != nil {
		t.Error("nobody was asked")
	}
}

func TestHoldCovers(t *testing.T) {
	t.Parallel()
	d := func(day int) care.Date { return care.NewDate(2026, 11, day) }
	h := care.Hold{Since: d(5), Until: d(10)}
	for day, want := range map[int]bool{4: false, 5: true, 7: true, 10: true, 11: false} {
		if h.Covers(d(day)) != want {
			t.Errorf("%s: got %t", d(day), !want)
		}
	}
	if !(care.Hold{}).Covers(d(1)) || !(care.Hold{Since: d(5)}).Covers(d(30)) || (care.Hold{Since: d(5)}).Covers(d(4)) {
		t.Error("no date must be open")
	}
}
