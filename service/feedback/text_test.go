package feedback

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

func TestReadKM(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"35000": 35000, "35,000 km": 35000, "35.000": 35000, "1'234'567": 1234567, "3.5万公里": 35000, "３５０００": 35000, "35000.4": 35000, "35000,4 KM": 35000,
		"0": 0, "": -1, "km": -1, "-5": -1, "35k": -1, "1,23,4": -1, "2000001": -1, "1e9": -1, "201万": -1, "٣٥": -1, "5 stars": -1, ".": -1,
	} {
		if got, ok := ReadKM(text, false); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if n, ok := ReadKM(rapid.String().Draw(t, "text"), rapid.Bool().Draw(t, "miles")); ok && (n < 0 || n > 2_000_000) {
			t.Fatalf("%d", n)
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		got := Clean(s, 20)
		if len([]rune(got)) > 20 || strings.ContainsAny(got, "\x00\r\u202e\u2028") || Clean(got, 20) != got {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func TestComplaintWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"I want a refund": true, "Refunds? no": false, "RUDE!": true, "He is a crude oil trader": false, "服务太差了": true, "真是ＴＥＲＲＩＢＬＥ": true,
		"没有投诉，很满意": false, "没问题": false, "不错": false, "I'm very disappointed.": true, "not bad at all": false, "no complaints": false, "rip-off": true,
		"投 诉": true, "": false, "还是漏油": true, "thanks": false, "not fixed": true, "车没修好，但没问题": true,
	} {
		if got := complaintWords.in(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestReadMiles: a number without a unit is of the dealer's, one with a unit of its own.
func TestReadMiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"20000": 32187, "20,000": 32187, "20.000": 32187, "20,000 miles": 32187, "20000mi": 32187, "2万英里": 32187, "20000 km": 20000, "2万公里": 20000, "1 mile": 2, "1300000": -1, "x": -1,
	} {
		if got, ok := ReadKM(text, true); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
	if got, ok := ReadKM("20,000 miles", false); !ok || got != 32187 {
		t.Errorf("miles at a dealer's who shows km: got %d, %v", got, ok)
	}
	// What was shown in miles is never less than it was: nobody may be told that their odometer went back.
	rapid.Check(t, func(t *rapid.T) {
		last := care.Reading{On: care.NewDate(2026, 5, 2), KM: rapid.IntRange(0, 1_000_000).Draw(t, "km")}
		f := &CustomerFacts{Miles: true}
		v := &care.Vehicle{ID: "V1", Odometer: []care.Reading{last}}
		shown := strconv.Itoa(int(math.Round(float64(last.KM) / care.KMPerMile)))
		if km, ok := f.Read(v, shown); !ok || km < last.KM || km > last.KM+2 {
			t.Errorf("%d km are shown as %s miles and read as %d km", last.KM, shown, km)
		}
	})
}
