package care

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	errWindow   = errors.New(`not a span of the day: write "21:00-08:00" or none`)
	errBirthday = errors.New("no such birthday: write YYYY-MM-DD, --MM-DD, lunar:YYYY-MM-DD, lunar:--MM-DD (L06 for a leap month) or lunar:--12-eve")
)

// Birthday is a solar or lunar birthday; Year 0 = unknown. The zero value means none.
type Birthday struct {
	Lunar bool
	Leap  bool // a lunar leap month
	Eve   bool // 除夕, the last day of the lunar year, whatever its date
	Year  int16
	Month uint8
	Day   uint8 // 0 with Eve
}

// ParseBirthday reads the forms of the customer record. A lunar date is checked for shape only (month 1-12, day 1-30): whether
// that month had that day is the calendar's business.
func ParseBirthday(s string) (Birthday, error) {
	var b Birthday
	rest, lunar := strings.CutPrefix(s, "lunar:")
	b.Lunar = lunar
	switch {
	case strings.HasPrefix(rest, "--"):
		rest = rest[2:]
	case len(rest) > 5 && rest[4] == '-':
		y, ok := digits(rest[:4])
		if !ok || y == 0 {
			return Birthday{}, errBirthday
		}
		b.Year, rest = int16(y), rest[5:]
	default:
		return Birthday{}, errBirthday
	}
	if lunar && rest == "12-eve" {
		b.Eve, b.Month = true, 12
		return b, nil
	}
	if lunar && strings.HasPrefix(rest, "L") {
		b.Leap, rest = true, rest[1:]
	}
	if len(rest) != 5 || rest[2] != '-' {
		return Birthday{}, errBirthday
	}
	m, ok1 := digits(rest[:2])
	d, ok2 := digits(rest[3:])
	if !ok1 || !ok2 || m < 1 || m > 12 || d < 1 {
		return Birthday{}, errBirthday
	}
	last := 30
	if !lunar {
		year := int(b.Year)
		if year == 0 {
			year = 2000 // a leap year: --02-29 is a birthday
		}
		last = DaysIn(year, time.Month(m))
	}
	if d > last {
		return Birthday{}, errBirthday
	}
	b.Month, b.Day = uint8(m), uint8(d)
	return b, nil
}

// IsZero reports whether there is no birthday.
func (b Birthday) IsZero() bool { return b == Birthday{} }

// String returns the form of the customer record, "" for none.
func (b Birthday) String() string {
	if b.Month == 0 {
		return ""
	}
	s := ""
	if b.Lunar {
		s = "lunar:"
	}
	if b.Year == 0 {
		s += "--"
	} else {
		s += fmt.Sprintf("%04d-", b.Year)
	}
	if b.Eve {
		return s + "12-eve"
	}
	if b.Leap {
		s += "L"
	}
	return s + fmt.Sprintf("%02d-%02d", b.Month, b.Day)
}

// MarshalJSON writes the birthday as a string.
func (b Birthday) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }

// UnmarshalJSON reads the forms of the customer record; null and "" are none. With an error the birthday stays as it was.
func (b *Birthday) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" || string(raw) == `""` {
		*b = Birthday{}
		return nil
	}
	if len(raw) <= 2 || raw[0] != '"' {
		return errBirthday
	}
	v, err := ParseBirthday(string(raw[1 : len(raw)-1]))
	if err == nil {
		*b = v
	}
	return err
}
