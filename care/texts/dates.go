package texts

import (
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Date writes a date with its weekday, as people do; "" for none.
func (l *Language) Date(d care.Date) string {
	if d.IsZero() {
		return ""
	}
	return l.T("date.long", "weekday", l.Word("weekday", strings.ToLower(d.Weekday().String())), "day", strconv.Itoa(d.Day()),
		"month", l.Word("month", strings.ToLower(d.Month().String())), "year", strconv.Itoa(d.Year()))
}

// Span writes how long something has lasted, in its largest whole unit up to days; less than nothing counts as nothing.
func (l *Language) Span(d time.Duration) string {
	switch hours := int(d.Hours()); {
	case hours < 1:
		return l.T("unit.minutes", "count", max(int(d.Minutes()), 0))
	case hours < 48:
		return l.T("unit.hours", "count", hours)
	default:
		return l.T("unit.days", "count", hours/24)
	}
}
