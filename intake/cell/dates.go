package cell

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	caretext "github.com/carebell/carebell/care/text"
)

// excelEpoch is day 0 of the serials of spreadsheets from 1 March 1900 on: 30 December 1899, because they count a 29 February
// 1900 that never was.
var excelEpoch = care.NewDate(1899, time.December, 30)

// days1904 is what the serials of workbooks begun on old Macs are short of: theirs count from 1904.
const days1904 = 1462

// civil is a date as it is written. It need not exist. The year is 0 if there is none.
type civil struct {
	y, m, d int
	zero    bool // nothing but zeros
	timed   bool // it came of a moment that is not midnight at the dealer's
}

// Place is what a dealer's place says about the dates and numbers of its files.
type Place struct {
	Order      string // DMY, MDY, YMD or ""
	Country    string
	Location   *time.Location
	Today      care.Date
	Miles      bool
	MonthFirst bool                                           // dates without a year are written month and day
	From1904   bool                                           // serials of dates count from 1904: the workbook says so
	LunarDate  func(year, month int, leap bool, day int) bool // whether the lunar year had that day; nil: not checked
}

// Ordered is the place with another order of day, month and year, if one is given.
func (p *Place) Ordered(order string) *Place {
	if order == "" {
		return p
	}
	q := *p
	q.Order = order
	return &q
}

var orderWords = regexp.MustCompile(`(?i)\b(dd?|mm?|yy(?:yy)?)[ /.-]?(dd?|mm?|yy(?:yy)?)[ /.-]?(dd?|mm?|yy(?:yy)?)\b`)

// OrderIn returns the order that a header names, as in DOB (MM/DD/YYYY); "" if it names none.
func OrderIn(header string) string {
	m := orderWords.FindStringSubmatch(strings.Map(caretext.Narrow, header))
	if m == nil {
		return ""
	}
	order := strings.ToUpper(m[1][:1] + m[2][:1] + m[3][:1])
	if !slices.Contains([]string{"DMY", "MDY", "YMD"}, order) {
		return ""
	}
	return order
}

// parse reads a date as people and systems write it. birthday tells which two-digit years are plausible. The reason is "" if it could.
func (p *Place) parse(s string, birthday bool) (c civil, reason string) {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' {
		if d, err := care.ParseDate(s); err == nil {
			return civil{y: d.Year(), m: int(d.Month()), d: d.Day()}, ""
		}
	}
	s = strings.TrimSpace(strings.Map(caretext.Narrow, s))
	if t, ok := moment(s); ok {
		if h, m, sec := t.Clock(); h+m+sec != 0 && p.Location != nil {
			t = t.In(p.Location)
		}
		h, m, sec := t.Clock()
		y, mon, d := t.Date()
		return civil{y: y, m: int(mon), d: d, timed: h+m+sec != 0}, ""
	}
	s = withoutTime(withoutNote(s))
	if s != "" && strings.Trim(s, "0-/. :年月日") == "" && strings.Contains(s, "0") {
		return civil{zero: true}, ""
	}
	if whole, part, _ := strings.Cut(s, "."); len(whole) == 5 && isDigits(whole) && (part == "" || isDigits(part)) {
		return p.serial(whole), ""
	}
	roc := false
	s = strings.ToLower(simple(s))
	if rest := afterROC(s); rest != s {
		s, roc = strings.Replace(rest, "元年", "1年", 1), true
	}
	nums, month, at, ok := tokens(s)
	if !ok {
		return c, NoDate
	}
	if month > 0 {
		return p.named(nums, month, at, birthday)
	}
	return p.numeric(nums, roc, birthday)
}

// afterROC cuts off the words before a year of Taiwan's calendar.
func afterROC(s string) string {
	for _, prefix := range []string{"中华民国", "民国", "民", "roc"} {
		if rest, found := strings.CutPrefix(s, prefix); found {
			return strings.TrimSpace(rest)
		}
	}
	return s
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func (p *Place) serial(digits string) civil {
	n := value(digits)
	if p.From1904 {
		n += days1904
	}
	d := excelEpoch.AddDays(n)
	return civil{y: d.Year(), m: int(d.Month()), d: d.Day()}
}

// value reads digits; more than any date has are cut off.
func value(digits string) (n int) {
	for i := range min(len(digits), 9) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// tokens parts a date into its numbers and the month that a word names; at is how many numbers come before that.
func tokens(s string) (nums []string, month, at int, ok bool) {
	for s != "" {
		r := []rune(s)[0]
		switch {
		case r >= '0' && r <= '9':
			n := len(s) - len(strings.TrimLeft(s, "0123456789"))
			nums, s = append(nums, s[:n]), s[n:]
		case strings.ContainsRune("年月日号", r):
			s = s[len(string(r)):]
		case unicode.IsLetter(r):
			n := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
			if n < 0 {
				n = len(s)
			}
			word := s[:n]
			if m := value(Meaning("month", word)); m > 0 && month == 0 {
				month, at = m, len(nums)
			} else if Meaning("noise", word) == "" {
				return nil, 0, 0, false
			}
			s = s[n:]
		case strings.ContainsRune(" -/.,'\u2019_\\、—–", r):
			s = s[len(string(r)):]
		default:
			return nil, 0, 0, false
		}
	}
	return nums, month, at, len(nums) > 0 && len(nums) <= 3
}

// named puts together a date whose month is a word.
func (p *Place) named(nums []string, month, at int, birthday bool) (civil, string) {
	switch {
	case len(nums) == 1 && len(nums[0]) <= 2:
		return civil{m: month, d: value(nums[0])}, ""
	case len(nums) != 2:
		return civil{}, NoDate
	case len(nums[0]) == 4:
		return civil{y: value(nums[0]), m: month, d: value(nums[1])}, ""
	case len(nums[1]) == 4:
		return civil{y: value(nums[1]), m: month, d: value(nums[0])}, ""
	}
	year, day := nums[1], nums[0]
	if p.Order == "YMD" && at == 1 {
		year, day = day, year
	}
	return p.short(year, month, value(day), birthday)
}

// numeric puts together a date of numbers alone.
func (p *Place) numeric(nums []string, roc, birthday bool) (civil, string) {
	taiwan := roc || p.Country == "TW" && (p.Order == "" || p.Order == "YMD")
	n := nums
	switch {
	case len(n) == 1:
		return p.compact(n[0], taiwan)
	case len(n) == 2:
		if len(n[0]) > 2 || len(n[1]) > 2 {
			return civil{}, NoDate
		}
		return p.dayAndMonth(civil{}, value(n[0]), value(n[1]), p.MonthFirst)
	case len(n[1]) > 2:
		return civil{}, NoDate
	case len(n[0]) == 4 && len(n[2]) <= 2:
		return civil{y: value(n[0]), m: value(n[1]), d: value(n[2])}, ""
	case n[2] == "1900" && value(n[0])+value(n[1]) == 1:
		return civil{zero: true}, "" // 1/0/1900: day 0 of spreadsheets
	case len(n[2]) == 4 && len(n[0]) <= 2:
		return p.dayAndMonth(civil{y: value(n[2])}, value(n[0]), value(n[1]), false)
	case taiwan && len(n[0]) <= 3 && len(n[2]) <= 2:
		return civil{y: value(n[0]) + 1911, m: value(n[1]), d: value(n[2])}, ""
	case len(n[0]) > 2 || len(n[2]) > 2:
		return civil{}, NoDate
	case p.Order == "YMD":
		return p.short(n[0], value(n[1]), value(n[2]), birthday)
	case p.Order == "":
		return civil{}, TwoWays
	}
	c, reason := p.dayAndMonth(civil{}, value(n[0]), value(n[1]), false)
	if reason != "" {
		return c, reason
	}
	return p.short(n[2], c.m, c.d, birthday)
}

// compact reads 20260102, with a time of day behind that does not count, and 1130301 of Taiwan's calendar.
func (p *Place) compact(s string, taiwan bool) (civil, string) {
	n := len(s)
	switch {
	case n == 14 || n == 12:
		n = 8
	case n == 7 && taiwan:
		return civil{y: value(s[:3]) + 1911, m: value(s[3:5]), d: value(s[5:])}, ""
	}
	if n != 8 {
		return civil{}, NoDate
	}
	c := civil{y: value(s[:4]), m: value(s[4:6]), d: value(s[6:8])}
	if p.Order == "" || p.Order == "YMD" || !care.NewDate(c.y, time.Month(c.m), c.d).IsZero() && c.y > 1900 && c.y < 2100 {
		return c, ""
	}
	return p.dayAndMonth(civil{y: value(s[4:8])}, value(s[:2]), value(s[2:4]), false)
}

// dayAndMonth puts two numbers in their places: by the order that is known, else only if they can be read in one way.
func (p *Place) dayAndMonth(c civil, a, b int, monthFirst bool) (civil, string) {
	dmy, mdy := a >= 1 && a <= 31 && b >= 1 && b <= 12, b >= 1 && b <= 31 && a >= 1 && a <= 12
	switch {
	case p.Order == "DMY":
		mdy = false
	case p.Order == "MDY" || monthFirst:
		dmy = false
	}
	switch {
	case dmy && mdy && a != b:
		return c, TwoWays
	case mdy:
		c.m, c.d = a, b
	case dmy:
		c.m, c.d = b, a
	default:
		return c, NoDate
	}
	return c, ""
}

// short finds the century of a year of two digits: the one that is plausible, if there is one only.
func (p *Place) short(year string, m, d int, birthday bool) (civil, string) {
	if len(year) != 2 {
		return civil{}, NoDate
	}
	now := p.Today.Year()
	if now == 0 {
		return civil{}, TwoYears
	}
	from, to := 1960, now+30
	if birthday {
		from, to = 1910, now-16
	}
	old, young := 1900+value(year), 2000+value(year)
	switch o, y := old >= from && old <= to, young >= from && young <= to; {
	case o && y:
		return civil{}, TwoYears
	case o:
		return civil{y: old, m: m, d: d}, ""
	case y:
		return civil{y: young, m: m, d: d}, ""
	}
	return civil{}, NoDate
}

// moment reads a time with an offset.
func moment(s string) (time.Time, bool) {
	if len(s) < 16 || s[0] < '0' || s[0] > '9' || !strings.ContainsAny(s, "Tt:") {
		return time.Time{}, false
	}
	for _, zone := range []string{" UTC", " GMT", "UTC", "GMT"} {
		s = strings.TrimSuffix(s, zone) + strings.Repeat("Z", min(1, strings.Count(s, zone)))
	}
	s = strings.ReplaceAll(strings.ToUpper(s), "/", "-")
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04Z07:00",
		"2006-01-02T15:04:05-0700", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05-0700", "2006-01-02T15:04:05Z07", "2006-01-02 15:04:05Z07", "20060102T150405Z07:00", "20060102T150405-0700",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// withoutNote cuts off what is in brackets behind.
func withoutNote(s string) string {
	if i := strings.IndexAny(s, "(["); i > 0 {
		return strings.TrimSpace(s[:i])
	}
	return s
}

// withoutTime cuts off a time of day without an offset: 10:30, 10:30:00.000, 12:00 AM, 上午 0:00, T000000.
func withoutTime(s string) string {
	if i := strings.IndexAny(s, "Tt"); i >= 8 && i+1 < len(s) && s[i-1] >= '0' && s[i-1] <= '9' && s[i+1] >= '0' && s[i+1] <= '9' {
		return s[:i]
	}
	hour, _, found := strings.Cut(s, ":")
	if !found {
		return s
	}
	before := strings.TrimRight(hour, "0123456789")
	if len(hour)-len(before) > 2 || before == "" {
		return s
	}
	before = strings.TrimSpace(before)
	for _, word := range []string{"上午", "下午", "凌晨", "中午", "晚上", "早上", "am", "AM", "pm", "PM"} {
		before = strings.TrimSpace(strings.TrimSuffix(before, word))
	}
	return strings.TrimRight(before, ",")
}

// Zero reports whether a date is nothing but zeros.
func (p *Place) Zero(s string) (zero bool, reason string) {
	c, reason := p.parse(s, false)
	return c.zero, reason
}

// Date reads a date of a car. blank says that it stands for none.
func (p *Place) Date(s string) (d care.Date, blank bool, reason string) {
	c, reason := p.parse(s, false)
	if reason != "" {
		if h, ok := hanWords(s); ok && !h.lunar && h.b.Year > 0 {
			c, reason = civil{y: int(h.b.Year), m: int(h.b.Month), d: int(h.b.Day)}, ""
		}
	}
	switch {
	case reason != "":
		return d, false, reason
	case c.zero:
		return d, true, ""
	case c.y == 1900 && c.m == 1 && c.d == 0:
		return d, true, "" // day 0 of spreadsheets
	}
	d = care.NewDate(c.y, time.Month(c.m), c.d)
	switch {
	case d.IsZero():
		return d, false, NoDate
	case !record.OfCar(d), d.Year() >= 2999:
		return d, true, ""
	}
	return d, false, ""
}
