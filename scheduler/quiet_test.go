package scheduler

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// TestWindowEndWhereTheClocksChange: the end of a window is the next moment that shows it, also in the hour that autumn shows twice
// and behind the one that spring leaves out.
func TestWindowEndWhereTheClocksChange(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York") // 2026-11-01 06:00 UTC: 02:00 EDT is 01:00 EST; 2026-03-08 07:00 UTC: 02:00 EST is 03:00 EDT
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ window, at, want string }{
		"the first time":                {"22:00-01:30", "2026-11-01T05:10:00Z", "2026-11-01T05:30:00Z"},
		"the second time":               {"22:00-01:30", "2026-11-01T06:10:00Z", "2026-11-01T06:30:00Z"},
		"its last second":               {"22:00-01:30", "2026-11-01T06:29:59Z", "2026-11-01T06:30:00Z"},
		"a part of a minute":            {"22:00-01:30", "2026-11-01T06:10:30.5Z", "2026-11-01T06:30:00Z"},
		"the second hour begins":        {"22:00-01:30", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z"},
		"an end behind the hour":        {"22:00-08:00", "2026-11-01T05:10:00Z", "2026-11-01T13:00:00Z"},
		"an end in the hour left out":   {"22:00-02:30", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"},
		"an end at midnight, next day":  {"20:00-24:00", "2026-11-01T02:00:00Z", "2026-11-01T04:00:00Z"},
		"the evening before":            {"22:00-01:30", "2026-11-01T03:00:00Z", "2026-11-01T05:30:00Z"},
		"an evening without any change": {"21:00-08:00", "2026-07-01T02:00:00Z", "2026-07-01T12:00:00Z"},
	} {
		w, ok := care.ParseWindow(tt.window)
		now, err := time.Parse(time.RFC3339, tt.at)
		if !ok || err != nil || !w.Contains(minuteOf(now.In(newYork))) {
			t.Fatalf("%s: %t %v", name, ok, err)
		}
		if got := windowEnd(now, w, newYork).UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}
