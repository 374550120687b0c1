package care

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Date is a civil date without a zone. The zero value means "no date". Dates compare with ==.
type Date struct {
	year  int16
	month uint8
	day   uint8
}

var errNoSuchDate = errors.New("no such date: write YYYY-MM-DD")

// NewDate returns the date, or the zero Date if there is no such day in the Gregorian calendar between the years 1 and 9999.
func NewDate(year int, month time.Month, day int) Date {
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > DaysIn(year, month) {
		return Date{}
	}
	return Date{int16(year), uint8(month), uint8(day)}
}

// DateOf returns the date that t's own location shows.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return NewDate(y, m, d)
}

// ParseDate reads YYYY-MM-DD (RFC 3339 full-date).
func ParseDate(s string) (Date, error) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return Date{}, errNoSuchDate
	}
	y, ok1 := digits(s[0:4])
	m, ok2 := digits(s[5:7])
	d, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 {
		return Date{}, errNoSuchDate
	}
	date := NewDate(y, time.Month(m), d)
	if date.IsZero() {
		return Date{}, errNoSuchDate
	}
	return date, nil
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// DaysIn returns the number of days of the month in that year.
func DaysIn(year int, month time.Month) int {
	switch month {
	case time.February:
		if IsLeap(year) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	default:
		return 31
	}
}

// IsLeap reports whether the Gregorian year has a 29 February.
func IsLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// Year returns the civil year; 0 for the zero Date.
func (d Date) Year() int { return int(d.year) }

// Month returns the month; 0 for the zero Date.
func (d Date) Month() time.Month { return time.Month(d.month) }

// Day returns the day of the month; 0 for the zero Date.
func (d Date) Day() int { return int(d.day) }

// IsZero reports whether there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Days returns the days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's days_from_civil).
func (d Date) Days() int {
	y, m := int(d.year), int(d.month)
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + int(d.day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// DateFromDays is the inverse of Date.Days. A day outside the years 1 to 9999 gives the zero Date.
func DateFromDays(n int) Date {
	n += 719468
	if n < 306 {
		return Date{}
	}
	era := n / 146097
	doe := n - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day := doy - (153*mp+2)/5 + 1
	year, month := yoe+era*400, mp+3
	if month > 12 {
		month -= 12
		year++
	}
	return NewDate(year, time.Month(month), day)
}

// AddDays returns the date n days later (earlier if n is negative).
func (d Date) AddDays(n int) Date {
	if day := int(d.day) + n; day >= 1 && day <= 28 && !d.IsZero() {
		return Date{d.year, d.month, uint8(day)}
	}
	return DateFromDays(d.Days() + n)
}

// AddMonths returns the same day n months later, clamped to the month's end: 2024-01-31 + 1 month = 2024-02-29.
func (d Date) AddMonths(n int) Date {
	total := int(d.year)*12 + int(d.month) - 1 + n
	year, month := total/12, time.Month(total%12+1)
	if total < 12 {
		return Date{}
	}
	return NewDate(year, month, min(int(d.day), DaysIn(year, month)))
}

// Sub returns the number of days from other to d.
func (d Date) Sub(other Date) int { return d.Days() - other.Days() }

// Compare returns -1, 0 or +1 as d is before, on or after other. No date is before every date.
func (d Date) Compare(other Date) int {
	a := int(d.year)<<16 | int(d.month)<<8 | int(d.day)
	b := int(other.year)<<16 | int(other.month)<<8 | int(other.day)
	return cmp.Compare(a, b)
}

// Before reports whether d is earlier than other.
func (d Date) Before(other Date) bool { return d.Compare(other) < 0 }

// After reports whether d is later than other.
func (d Date) After(other Date) bool { return d.Compare(other) > 0 }

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday { return time.Weekday(((d.Days()+4)%7 + 7) % 7) }

// At returns the instant at which the clocks of loc first show hour:minute on this date. In a spring gap that is the first
// instant after the gap (02:30 → 03:00), in an autumn overlap the first of the two. A date that loc skipped altogether
// (Samoa, 2011-12-30) gives the instant at which the next one began.
func (d Date) At(hour, minute int, loc *time.Location) time.Time {
	t := time.Date(int(d.year), time.Month(d.month), int(d.day), hour, minute, 0, 0, loc)
	want := d.Days()*1440 + hour*60 + minute
	got := wallMinutes(t)
	start, end := t.ZoneBounds()
	switch {
	case got == want:
		if !start.IsZero() && t.Sub(start) < longestOverlap {
			_, before := start.Add(-time.Second).Zone()
			_, now := t.Zone()
			if earlier := t.Add(-time.Duration(before-now) * time.Second); before > now && earlier.Before(start) {
				return earlier
			}
		}
		return t
	case got > want:
		return start
	default:
		return end
	}
}

// Later returns the later of two moments.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// longestOverlap is more than any clock ever went back: a day and some hours, where a country changed sides of the date line.
const longestOverlap = 48 * time.Hour

// wallMinutes counts the minutes that t's own clock shows since 1970-01-01 00:00.
func wallMinutes(t time.Time) int {
	_, offset := t.Zone()
	seconds := int(t.Unix()) + offset
	minutes := seconds / 60
	if seconds%60 < 0 {
		minutes--
	}
	return minutes
}

// String returns YYYY-MM-DD, or "" for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return string(d.append(make([]byte, 0, 10)))
}

func (d Date) append(b []byte) []byte {
	y := int(d.year)
	return append(b, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+d.month/10), byte('0'+d.month%10), '-', byte('0'+d.day/10), byte('0'+d.day%10))
}

// MarshalJSON writes the date as a JSON string, no date as null.
func (d Date) MarshalJSON() ([]byte, error) {
	if d.IsZero() {
		return []byte("null"), nil
	}
	return append(d.append(append(make([]byte, 0, 12), '"')), '"'), nil
}

// UnmarshalJSON reads "YYYY-MM-DD"; null and "" are no date. With an error the date stays as it was.
func (d *Date) UnmarshalJSON(b []byte) error {
	if string(b) == "null" || string(b) == `""` {
		*d = Date{}
		return nil
	}
	if len(b) != 12 || b[0] != '"' {
		return errNoSuchDate
	}
	date, err := ParseDate(string(b[1:11]))
	if err == nil {
		*d = date
	}
	return err
}

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD, strictly; "" is no date.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	date, err := ParseDate(string(b))
	if err != nil {
		return fmt.Errorf("date: %w", err)
	}
	*d = date
	return nil
}
