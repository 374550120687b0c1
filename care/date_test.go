package care_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

// TestDatesAgainstTime holds every day from 1900 to 2100 against package time.
func TestDatesAgainstTime(t *testing.T) {
	t.Parallel()
	at := time.Date(1900, 1, 1, 12, 0, 0, 0, time.UTC)
	for n := care.NewDate(1900, 1, 1).Days(); at.Year() <= 2100; n, at = n+1, at.AddDate(0, 0, 1) {
		d := care.DateFromDays(n)
		y, m, day := at.Date()
		if d.Year() != y || d.Month() != m || d.Day() != day || d.Days() != n || n != int(at.Unix()/86400)-btoi(at.Unix() < 0) {
			t.Fatalf("day %d: got %s, want %s", n, d, at.Format(time.DateOnly))
		}
		if d != care.NewDate(y, m, day) || d != care.DateOf(at) || d.Weekday() != at.Weekday() || d.String() != at.Format(time.DateOnly) {
			t.Fatalf("%s: %s on %s", at.Format(time.DateOnly), d, d.Weekday())
		}
		if parsed, err := care.ParseDate(d.String()); err != nil || parsed != d {
			t.Fatalf("%s parses as %s, %v", d, parsed, err)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func drawDate(t *rapid.T, name string) care.Date {
	return care.DateFromDays(rapid.IntRange(care.NewDate(1800, 1, 1).Days(), care.NewDate(2200, 12, 31).Days()).Draw(t, name))
}

func TestDateArithmetic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, n := drawDate(t, "date"), rapid.IntRange(-40000, 40000).Draw(t, "days")
		moved := d.AddDays(n)
		if moved.Sub(d) != n || moved.AddDays(-n) != d {
			t.Fatalf("%s + %d = %s", d, n, moved)
		}
		if want := sign(n); moved.Compare(d) != want || moved.After(d) != (want > 0) || moved.Before(d) != (want < 0) {
			t.Fatalf("%s against %s: %d", moved, d, moved.Compare(d))
		}
	})
}

func sign(n int) int { return btoi(n > 0) - btoi(n < 0) }

// TestAddMonthsClamps: the month is the one counted to, the day the same or the last of the month.
func TestAddMonthsClamps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, n := drawDate(t, "date"), rapid.IntRange(-1200, 1200).Draw(t, "months")
		got := d.AddMonths(n)
		first := time.Date(d.Year(), d.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
		last := first.AddDate(0, 1, -1).Day()
		if got.Year() != first.Year() || got.Month() != first.Month() || got.Day() != min(d.Day(), last) {
			t.Fatalf("%s + %d months = %s", d, n, got)
		}
	})
	for _, tt := range []struct {
		from   care.Date
		months int
		want   string
	}{
		{care.NewDate(2024, 1, 31), 1, "2024-02-29"},
		{care.NewDate(2023, 1, 31), 1, "2023-02-28"},
		{care.NewDate(2024, 2, 29), 12, "2025-02-28"},
		{care.NewDate(2024, 3, 31), -1, "2024-02-29"},
		{care.NewDate(2024, 12, 15), 1, "2025-01-15"},
		{care.NewDate(2024, 1, 15), -1, "2023-12-15"},
		{care.NewDate(1, 1, 1), -1, ""},
		{care.NewDate(9999, 12, 31), 1, ""},
	} {
		if got := tt.from.AddMonths(tt.months).String(); got != tt.want {
			t.Errorf("%s + %d months: got %q, want %q", tt.from, tt.months, got, tt.want)
		}
	}
}

func TestNoSuchDates(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-01-00", "0000-01-01", "2024-1-1", "2024/01/01", "24-01-01",
		"2024-01-01 ", " 2024-01-01", "2024-01-01T00:00:00Z", "２０２４-01-01", "-024-01-01", "+024-01-01",
	} {
		if d, err := care.ParseDate(s); err == nil || !d.IsZero() {
			t.Errorf("%q: got %s", s, d)
		}
	}
	if d := care.NewDate(2023, time.February, 29); !d.IsZero() {
		t.Errorf("got %s", d)
	}
	if d := care.DateFromDays(care.NewDate(1, 1, 1).Days() - 1); !d.IsZero() {
		t.Errorf("before year 1: got %s", d)
	}
	if d := care.NewDate(9999, 12, 31).AddDays(1); !d.IsZero() {
		t.Errorf("after year 9999: got %s", d)
	}
}

func TestDateText(t *testing.T) {
	t.Parallel()
	type box struct {
		On care.Date `json:"on"`
	}
	for text, want := range map[string]string{
		`{"on":"2026-02-20"}`: `{"on":"2026-02-20"}`, `{"on":null}`: `{"on":null}`, `{"on":""}`: `{"on":null}`, `{}`: `{"on":null}`,
	} {
		var b box
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		got, err := json.Marshal(b)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`{"on":"2026-02-30"}`, `{"on":"2026-2-3"}`, `{"on":5}`, `{"on":{}}`, `{"on":true}`, `{"on":"2026-02-2\u0030"}`} {
		was := care.NewDate(2020, 1, 1)
		b := box{On: was}
		if err := json.Unmarshal([]byte(text), &b); err == nil || b.On != was {
			t.Errorf("%s: got %s, %v", text, b.On, err)
		}
	}
	var d care.Date
	if err := d.UnmarshalText([]byte("2026-02-30")); err == nil {
		t.Error("a book may not say 2026-02-30")
	}
	if err := d.UnmarshalText([]byte("2026-02-20")); err != nil || d.String() != "2026-02-20" {
		t.Errorf("got %s, %v", d, err)
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestDateAt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		zone string
		on   care.Date
		h, m int
		want string // RFC 3339
	}{
		{"Asia/Shanghai", care.NewDate(2026, 2, 20), 9, 0, "2026-02-20T09:00:00+08:00"},
		{"America/New_York", care.NewDate(2025, 3, 9), 2, 30, "2025-03-09T03:00:00-04:00"},     // spring gap
		{"America/New_York", care.NewDate(2025, 3, 9), 1, 59, "2025-03-09T01:59:00-05:00"},     // just before it
		{"America/New_York", care.NewDate(2025, 3, 9), 3, 0, "2025-03-09T03:00:00-04:00"},      // just after it
		{"America/New_York", care.NewDate(2025, 11, 2), 1, 30, "2025-11-02T01:30:00-04:00"},    // the first of two
		{"America/New_York", care.NewDate(2025, 11, 2), 2, 0, "2025-11-02T02:00:00-05:00"},     // there is one only
		{"Australia/Lord_Howe", care.NewDate(2025, 10, 5), 2, 15, "2025-10-05T02:30:00+11:00"}, // a gap of half an hour
		{"Australia/Lord_Howe", care.NewDate(2025, 4, 6), 1, 45, "2025-04-06T01:45:00+11:00"},  // an overlap of half an hour
		{"America/Sao_Paulo", care.NewDate(2018, 11, 4), 0, 0, "2018-11-04T01:00:00-02:00"},    // a day that begins at 01:00
		{"Asia/Beirut", care.NewDate(2022, 3, 27), 0, 0, "2022-03-27T01:00:00+03:00"},          // the same
		{"America/Havana", care.NewDate(2025, 11, 2), 0, 30, "2025-11-02T00:30:00-04:00"},      // midnight comes twice
		{"Pacific/Apia", care.NewDate(2011, 12, 30), 9, 0, "2011-12-31T00:00:00+14:00"},        // a day that never was
		{"Pacific/Apia", care.NewDate(2011, 12, 29), 23, 59, "2011-12-29T23:59:00-10:00"},      // the last minute before
		{"Pacific/Kwajalein", care.NewDate(1993, 8, 21), 12, 0, "1993-08-22T00:00:00+12:00"},   // likewise
		{"Europe/Dublin", care.NewDate(2025, 3, 30), 1, 30, "2025-03-30T02:00:00+01:00"},       // winter time is the "daylight" one
		{"Africa/Casablanca", care.NewDate(2025, 2, 23), 2, 30, "2025-02-23T02:30:00+01:00"},   // Ramadan
		{"Asia/Kathmandu", care.NewDate(2025, 1, 1), 0, 0, "2025-01-01T00:00:00+05:45"},        // an odd offset
		{"UTC", care.NewDate(2025, 1, 1), 23, 59, "2025-01-01T23:59:00Z"},
	} {
		got := tt.on.At(tt.h, tt.m, zone(t, tt.zone)).Format(time.RFC3339)
		if got != tt.want {
			t.Errorf("%s %02d:%02d in %s: got %s, want %s", tt.on, tt.h, tt.m, tt.zone, got, tt.want)
		}
	}
}

// TestDateAtIsTheFirstMoment looks for the moment by trying every minute: in all of these zones, on days of transitions and others.
func TestDateAtIsTheFirstMoment(t *testing.T) {
	t.Parallel()
	zones := []string{
		"Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/London", "Europe/Dublin", "America/Sao_Paulo",
		"America/Havana", "Asia/Beirut", "Africa/Casablanca", "America/St_Johns", "Asia/Tehran", "Antarctica/Troll", "America/Scoresbysund",
		"Asia/Gaza", "Pacific/Chatham", "America/Caracas", "Asia/Pyongyang", "Pacific/Kwajalein", "Africa/Cairo",
	}
	for _, name := range zones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, name)
			var days []care.Date
			at := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
			for at.Year() < 2030 { // the days around each transition
				_, end := at.In(loc).ZoneBounds()
				if end.IsZero() {
					break
				}
				for n := -1; n <= 1; n++ {
					days = append(days, care.DateOf(end.In(loc)).AddDays(n))
				}
				at = end
			}
			if len(days) > 24 {
				days = days[len(days)-24:]
			}
			days = append(days, care.NewDate(2011, 12, 30), care.NewDate(2026, 2, 20))
			for _, on := range days {
				for _, clock := range []int{0, 30, 59, 90, 119, 120, 135, 150, 180, 540, 1380, 1439} {
					if got, want := on.At(clock/60, clock%60, loc), firstMoment(on, clock, loc); !got.Equal(want) {
						t.Errorf("%s %02d:%02d: got %s, want %s", on, clock/60, clock%60, got, want)
					}
				}
			}
		})
	}
}

// firstMoment is the first minute at which the clocks show that date and time or a later one.
func firstMoment(on care.Date, clock int, loc *time.Location) time.Time {
	want := on.Days()*1440 + clock
	start := time.Unix(int64(on.Days()-1)*86400, 0)
	for m := 0; ; m++ {
		at := start.Add(time.Duration(m) * time.Minute).In(loc)
		if care.DateOf(at).Days()*1440+at.Hour()*60+at.Minute() >= want {
			return at
		}
	}
}
