package insight

import (
	"fmt"
	"time"

	"github.com/carebell/carebell/care"
)

// Moment is a date, which begins at midnight on each recipient's clock, or an instant.
type Moment struct {
	Date care.Date
	Time time.Time
}

// In returns the instant on the clock of loc.
func (m Moment) In(loc *time.Location) time.Time {
	if m.Date.IsZero() {
		return m.Time
	}
	return m.Date.At(0, 0, loc)
}

// earliest returns the instant at which the moment comes first on Earth, latest the one at which it comes last.
func (m Moment) earliest() time.Time { return m.In(time.FixedZone("", 14*3600)) }
func (m Moment) latest() time.Time   { return m.In(time.FixedZone("", -12*3600)) }

// ParseMoment reads YYYY-MM-DD or RFC 3339.
func ParseMoment(s string) (Moment, error) {
	if d, err := care.ParseDate(s); err == nil {
		return Moment{Date: d}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return Moment{Time: t}, nil
	}
	return Moment{}, fmt.Errorf("%q is neither a date (2026-11-22) nor a moment (2026-11-22T09:00:00+08:00)", s)
}

// ParsePeriod reads the two ends of a time. Without from it is today, without to a week after from.
func ParsePeriod(from, to string, now time.Time) (Moment, Moment, error) {
	first := Moment{Date: care.DateOf(now)}
	if from != "" {
		m, err := ParseMoment(from)
		if err != nil {
			return Moment{}, Moment{}, fmt.Errorf("--from: %w", err)
		}
		first = m
	}
	var last Moment
	switch {
	case to != "":
		m, err := ParseMoment(to)
		if err != nil {
			return Moment{}, Moment{}, fmt.Errorf("--to: %w", err)
		}
		last = m
	case first.Date.IsZero():
		last = Moment{Time: first.Time.AddDate(0, 0, 7)}
	default:
		last = Moment{Date: first.Date.AddDays(7)}
	}
	if !last.In(time.UTC).After(first.In(time.UTC)) {
		return Moment{}, Moment{}, fmt.Errorf("--to %s does not come after --from", to)
	}
	return first, last, nil
}
