package schedule

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // so that every zone is there, whatever the machine has

	"github.com/carebell/carebell/care"
	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"
)

// zoneNames are all names of the IANA database that Go carries, links included.
func zoneNames(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(raw))
	if len(names) < 590 {
		t.Fatalf("%d zones", len(names))
	}
	return names
}

func load(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// The schedules: midnight, inside of the usual gaps and overlaps, the last minutes of the day.
var clockTimes = [][2]int{{0, 0}, {0, 30}, {1, 30}, {2, 0}, {2, 30}, {3, 15}, {23, 45}}

const (
	firstYear = 2000
	lastYear  = 2037
)

// wall is what the clocks of loc show: days since 1970 and the minute of the day.
func wall(t time.Time, loc *time.Location) (day, minute int) {
	local := t.In(loc)
	return care.DateOf(local).Days(), local.Hour()*60 + local.Minute()
}

// long says that everything is gone through, as make faults does.
func long() bool { return os.Getenv("CARE_TEST_LONG") != "" }

// dayTimes are the times of day that are tried: a choice, or every half hour.
func dayTimes() [][2]int {
	if !long() {
		return clockTimes
	}
	var all [][2]int
	for half := range 48 {
		all = append(all, [2]int{half / 2, half % 2 * 30})
	}
	return all
}

// checkDay compares the releases of a date with a search, in steps of a quarter of an hour and at the change of the clocks, for the
// first instant that shows the date and the time or a later one. No zone was off by other than quarters of an hour since 2000.
func checkDay(t *testing.T, name string, loc *time.Location, d care.Date, change time.Time) {
	t.Helper()
	times := dayTimes()
	want := make([]time.Time, len(times))
	exists := false
	noon := time.Unix(int64(d.Days())*86400, 0).UTC()
	instants := []time.Time{change}
	for at := noon.Add(-16 * time.Hour); at.Before(noon.Add(40 * time.Hour)); at = at.Add(15 * time.Minute) {
		instants = append(instants, at)
	}
	slices.SortFunc(instants, time.Time.Compare)
	for _, at := range instants {
		day, minute := wall(at, loc)
		if day != d.Days() {
			continue
		}
		exists = true
		for i, hm := range times {
			if want[i].IsZero() && minute >= hm[0]*60+hm[1] {
				want[i] = at
			}
		}
	}
	if !exists {
		return // Samoa had no 30 December 2011
	}
	for i, hm := range times {
		s := Schedule{daily: true, hour: hm[0], minute: hm[1]}
		got := s.At(s.Next(d), loc)
		if want[i].IsZero() {
			// The day ended in a gap: the first valid instant after it is the next day's first.
			if day, _ := wall(got.Add(-time.Minute), loc); day != d.Days() {
				t.Errorf("%s %v %v: released at %v", name, d, hm, got.In(loc))
			}
			continue
		}
		if !got.Equal(want[i]) {
			t.Errorf("%s %v %v: released at %v, want %v", name, d, hm, got.In(loc), want[i].In(loc))
		}
	}
}

// changes returns when the clocks of a zone change in the years of the test, and a text that is the same for zones that are alike.
func changes(loc *time.Location) (list []time.Time, signature string) {
	at := time.Date(firstYear, 1, 1, 0, 0, 0, 0, loc)
	var text strings.Builder
	for {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		fmt.Fprintln(&text, offset, end.Unix())
		if end.IsZero() || end.Year() > lastYear {
			return list, text.String()
		}
		list = append(list, end)
		at = end
	}
}

// Every zone, the days around every change of its clocks from 2000 to 2037.
func TestOneReleasePerDateAroundEveryTransition(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	count := 0
	for _, name := range zoneNames(t) {
		loc := load(t, name)
		list, signature := changes(loc)
		if seen[signature] {
			continue // a link, such as US/Eastern
		}
		seen[signature] = true
		for _, change := range list {
			count++
			for _, d := range []care.Date{care.DateOf(change.Add(-time.Second)), care.DateOf(change)} {
				checkDay(t, name, loc, d, change)
			}
		}
		if t.Failed() {
			return
		}
	}
	if count < 4000 || len(seen) < 150 {
		t.Errorf("%d changes in %d zones", count, len(seen))
	}
}

// A sample of zones and of times in `make test`, every zone and every half hour with CARE_TEST_LONG=1 (make faults): each date from 2000
// to 2037 has exactly one release, later than the one before.
func TestOneReleasePerDateOnEveryDay(t *testing.T) {
	t.Parallel()
	names := []string{
		"Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca",
		"Asia/Tehran", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", "Pacific/Niue", "Africa/Cairo", "Asia/Gaza", "Antarctica/Troll",
	}
	if long() {
		names = distinct(t, zoneNames(t))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := load(t, name)
			for _, hm := range dayTimes() {
				s := Schedule{daily: true, hour: hm[0], minute: hm[1]}
				last := time.Time{}
				for d := care.NewDate(firstYear, 1, 1); d.Year() <= lastYear; d = d.AddDays(1) {
					at := s.At(s.Next(d), loc)
					day, minute := wall(at, loc)
					if (day != d.Days() || minute < hm[0]*60+hm[1]) && day != d.Days()+1 {
						t.Fatalf("%v %v: released at %v", d, hm, at.In(loc))
					}
					if !exists(d, loc) {
						continue
					}
					if !at.After(last) {
						t.Fatalf("%v %v: released at %v, not after %v", d, hm, at.In(loc), last.In(loc))
					}
					last = at
				}
			}
		})
	}
}

// distinct leaves out the zones that are like an earlier one in the years of the test.
func distinct(t *testing.T, names []string) []string {
	t.Helper()
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, signature := changes(load(t, name))
		again := seen[signature]
		seen[signature] = true
		return again
	})
}

func exists(d care.Date, loc *time.Location) bool {
	day, _ := wall(d.At(12, 0, loc), loc)
	return day == d.Days()
}

// The two cases that robfig/cron gets wrong on a real zone, and the gap and the overlap by the letter of the rule.
func TestGapAndOverlap(t *testing.T) {
	t.Parallel()
	newYork := load(t, "America/New_York")
	for _, c := range []struct{ schedule, on, want string }{
		{"30 2 * * *", "2025-03-09", "2025-03-09T03:00:00-04:00"},
		{"30 1 * * *", "2025-11-02", "2025-11-02T01:30:00-04:00"},
		{"30 9 * * MON-SAT", "2025-11-02", "2025-11-03T09:30:00-05:00"}, // a Sunday: the next activation
		{"0 8,20 * * *", "2025-11-03", "2025-11-03T08:00:00-05:00"},     // the first of the day
	} {
		s, err := Parse(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		d, _ := care.ParseDate(c.on)
		if got := s.At(s.Next(d), newYork).Format(time.RFC3339); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.schedule, c.on, got, c.want)
		}
	}
}

// On a clock without changes our search and robfig/cron agree on every expression; theirs gives up after five years.
func TestScheduleAgreesWithCronOnUTC(t *testing.T) {
	t.Parallel()
	field := func(lo, hi int) *rapid.Generator[string] {
		number := rapid.Map(rapid.IntRange(lo, hi), func(n int) string { return strconv.Itoa(n) })
		return rapid.OneOf(
			rapid.Just("*"), number,
			rapid.Custom(func(t *rapid.T) string {
				a, b := rapid.IntRange(lo, hi).Draw(t, "a"), rapid.IntRange(lo, hi).Draw(t, "b")
				return strconv.Itoa(min(a, b)) + "-" + strconv.Itoa(max(a, b))
			}),
			rapid.Map(rapid.IntRange(2, 12), func(n int) string { return "*/" + strconv.Itoa(n) }),
			rapid.Custom(func(t *rapid.T) string { return number.Draw(t, "a") + "," + number.Draw(t, "b") }),
		)
	}
	rapid.Check(t, func(t *rapid.T) {
		spec := strings.Join([]string{
			field(0, 59).Draw(t, "minute"), field(0, 23).Draw(t, "hour"), field(1, 31).Draw(t, "dom"), field(1, 12).Draw(t, "month"),
			field(0, 6).Draw(t, "dow"),
		}, " ")
		d := care.NewDate(2000, 1, 1).AddDays(rapid.IntRange(0, 36000).Draw(t, "day"))
		s, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := cron.ParseStandard(spec)
		if err != nil {
			t.Fatal(err)
		}
		want := theirs.Next(d.At(0, 0, time.UTC).Add(-time.Second))
		on := s.Next(d)
		if want.IsZero() {
			if !on.IsZero() && on.Sub(d) < 5*365 {
				t.Fatalf("%s from %v: %v, they find none", spec, d, on)
			}
			return
		}
		if got := s.At(on, time.UTC); !got.Equal(want) {
			t.Fatalf("%s from %v: %v, want %v", spec, d, got, want)
		}
		// since is the inverse of next: it gives the earliest date with this next active one, and no earlier.
		if first := s.Since(on); s.Next(first) != on || s.Next(first.AddDays(-1)) == on {
			t.Fatalf("%s: since(%v) = %v", spec, on, first)
		}
	})
}

// Whatever stands in a schedule, reading it ends, and so does the search for its next date.
func FuzzSchedule(f *testing.F) {
	for _, s := range []string{
		"0 9 * * *", "30 9 * * MON-SAT", "0 0 29 2 *", "0 0 31 2 *", "TZ=UTC", "TZ=UTC 0 9 * * *", "CRON_TZ=", "@every 1s", "@daily", "*/0 * * * *",
		"60 * * * *", "* * * * 7", "1-", "0 9 * * MON#1", "0 9 L * *", "9999999999999999999 * * * *", "1/99999999999 * * * *", "5-1 * * * *",
	} {
		f.Add(s, 20000)
	}
	f.Fuzz(func(t *testing.T, spec string, day int) {
		s, err := Parse(spec)
		if err != nil {
			return
		}
		d := care.DateFromDays(day % 1000000)
		if d.IsZero() || d.Year() > 9000 {
			return
		}
		on := s.Next(d)
		if !on.IsZero() && (on.Before(d) || !s.Active(on)) {
			t.Fatalf("%q from %v: %v", spec, d, on)
		}
		if !on.IsZero() && s.Gap() <= 366 && on.Sub(d) > 366 {
			t.Fatalf("%q from %v: %v is later than its gap allows", spec, d, on)
		}
		if at := s.At(d, time.UTC); at.Hour() != s.hour || at.Minute() != s.minute {
			t.Fatalf("%q: %v", spec, at)
		}
	})
}
