// Package schedule reads cron expressions of five fields and finds the dates on which they are active. It promises exactly one activation
// on such a date in every zone. It knows neither what is due then nor for whom.
package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/robfig/cron/v3"
)

// Schedule is a cron expression of five fields on a civil clock: the dates it is active on and the first minute of such a date.
//
// robfig/cron parses it, but its Next is not used for releases: on a real zone it skips a run in the spring gap, repeats one in
// the autumn overlap and gives up after five years without an activation. Here the date is found without any zone, and
// care.Date.At turns it into an instant, so that each date has exactly one release in every zone.
type Schedule struct {
	dom, month, dow uint64
	either          bool // day of month and day of week are both limited: one of them is enough (crontab(5))
	daily           bool
	hour, minute    int
}

// fiveFields reads minute, hour, day of month, month and day of week; no descriptors such as @every.
var fiveFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

const star = 1 << 63 // robfig/cron sets the top bit of a field that was *

// ErrNoZone is returned for an expression that names a zone.
var ErrNoZone = errors.New("it names a time zone, but a schedule always runs on the recipient's own clock")

// Parse reads a schedule.
func Parse(spec string) (s Schedule, err error) {
	spec = strings.TrimSpace(spec)
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		return Schedule{}, ErrNoZone
	}
	if strings.HasPrefix(spec, "@") {
		return Schedule{}, fmt.Errorf("%q is no time of a day", spec)
	}
	defer func() {
		// The parser slices without looking, e.g. "TZ=UTC" with no space; what it cannot take must not stop the daemon.
		if recover() != nil {
			s, err = Schedule{}, fmt.Errorf("%q cannot be read", spec)
		}
	}()
	parsed, err := fiveFields.Parse(spec)
	if err != nil {
		return Schedule{}, err
	}
	c, ok := parsed.(*cron.SpecSchedule)
	if !ok || c.Hour&^star == 0 || c.Minute&^star == 0 {
		return Schedule{}, fmt.Errorf("%q cannot be read", spec)
	}
	s = Schedule{
		dom: c.Dom, month: c.Month, dow: c.Dow,
		either: c.Dom&star == 0 && c.Dow&star == 0,
		hour:   bits.TrailingZeros64(c.Hour), minute: bits.TrailingZeros64(c.Minute),
	}
	s.daily = true
	for d, n := care.NewDate(2023, 1, 1), 0; n < 366 && s.daily; d, n = d.AddDays(1), n+1 {
		s.daily = s.activeOn(int(d.Month()), d.Day(), int(d.Weekday()))
	}
	return s, nil
}

func (s *Schedule) activeOn(month, day, weekday int) bool {
	if s.month>>month&1 == 0 {
		return false
	}
	dom, dow := s.dom>>day&1 == 1, s.dow>>weekday&1 == 1
	if s.either {
		return dom || dow
	}
	return dom && dow
}

// Active reports whether the schedule has an activation on the date.
func (s *Schedule) Active(d care.Date) bool {
	return s.daily || s.activeOn(int(d.Month()), d.Day(), int(d.Weekday()))
}

// LongestGap bounds every search: eight years lie between the 29 Februaries around 2100.
const LongestGap = 8*366 + 1

// Next returns the first active date on or after d; no date if there is none within eight years.
func (s *Schedule) Next(d care.Date) care.Date {
	for n := 0; !s.Active(d); n++ {
		if n > LongestGap {
			return care.Date{}
		}
		d = d.AddDays(1)
	}
	return d
}

// Since returns the earliest date whose next active date is on or after d: the day after the last active one before d.
func (s *Schedule) Since(d care.Date) care.Date {
	for n := 0; n <= LongestGap; n++ {
		before := d.AddDays(-1)
		if s.Active(before) {
			break
		}
		d = before
	}
	return d
}

// At returns the instant of the activation on an active date, on the clocks of loc.
func (s *Schedule) At(d care.Date, loc *time.Location) time.Time { return d.At(s.hour, s.minute, loc) }

// Gap returns the longest distance in days between two activations from 2000 to 2100, or more than 366 if there is none at all.
func (s *Schedule) Gap() int {
	if s.daily {
		return 1
	}
	longest, last := 0, 0
	year, month, day, weekday := 2000, 1, 1, 6 // 2000-01-01 was a Saturday
	for n := 1; year <= 2100; n++ {
		if s.activeOn(month, day, weekday) {
			longest, last = max(longest, n-last), n
		}
		weekday = (weekday + 1) % 7
		if day++; day > care.DaysIn(year, time.Month(month)) {
			if day, month = 1, month+1; month > 12 {
				month, year = 1, year+1
			}
		}
	}
	if last == 0 {
		return LongestGap + 1
	}
	return longest
}
