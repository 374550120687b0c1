package intake

import (
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// excelEpoch is day 0 of the serials of spreadsheets from 1 March 1900 on: 30 December 1899, because they count a 29 February
// 1900 that never was.
var excelEpoch = care.NewDate(1899, time.December, 30)

// days1904 is what the serials of workbooks begun on old Macs are short of: theirs count from 1904.
const days1904 = 1462

// parts reads year, month and day as people and systems write them: 2026-01-02, 2026/1/2, 2026.1.2, 2026年1月2日, 20260102, with a
// time of day behind that does not count, and the serial of a spreadsheet. The day need not exist.
func (o *Options) parts(s string) (y, m, d int, ok bool) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "T "); i >= 8 {
		s = s[:i]
	}
	n, rest := number(s)
	if rest == "" || rest[0] == '.' && len(s)-len(rest) == 5 {
		switch len(s) - len(rest) {
		case 8:
			return n / 10000, n / 100 % 100, n % 100, true
		case 5:
			if o.date1904 {
				n += days1904
			}
			date := excelEpoch.AddDays(n)
			return date.Year(), int(date.Month()), date.Day(), true
		}
		return 0, 0, 0, false
	}
	if len(s)-len(rest) != 4 {
		return 0, 0, 0, false
	}
	y = n
	m, d, ok = monthDay(rest)
	return y, m, d, ok
}

// monthDay reads what follows the year, with the mark before it: -1-2, /1/2, .1.2, 年1月2日.
func monthDay(s string) (m, d int, ok bool) {
	marks := [][3]string{{"-", "-", ""}, {"/", "/", ""}, {".", ".", ""}, {"年", "月", "日"}, {"年", "月", "号"}, {"年", "月", ""}}
	for _, mark := range marks {
		rest, found := strings.CutPrefix(s, mark[0])
		if !found {
			continue
		}
		month, day, found := strings.Cut(rest, mark[1])
		if !found {
			continue
		}
		day, found = strings.CutSuffix(day, mark[2])
		if !found {
			continue
		}
		m, r1 := number(month)
		d, r2 := number(day)
		if r1 == "" && r2 == "" && month != "" && day != "" && len(month) <= 2 && len(day) <= 2 {
			return m, d, true
		}
	}
	return 0, 0, false
}

// number reads the digits that s begins with, and returns what follows.
func number(s string) (n int, rest string) {
	i := 0
	for i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:]
}

func (o *Options) date(s string) (care.Date, bool) {
	y, m, d, ok := o.parts(s)
	if !ok {
		return care.Date{}, false
	}
	date := care.NewDate(y, time.Month(m), d)
	return date, !date.IsZero()
}

// birthday reads a birthday. lunar says that another column calls it lunar; words such as 四月廿八 say so themselves. The reason is
// one of noDate, noLunar and future.
func (o *Options) birthday(s string, lunar bool) (b care.Birthday, reason string) {
	if strings.HasPrefix(s, "--") || strings.HasPrefix(s, "lunar:") {
		b, err := care.ParseBirthday(s)
		if err != nil {
			return b, noDate
		}
		return b, o.checkBirthday(b)
	}
	if b, ok := lunarWords(s); ok {
		return b, o.checkBirthday(b)
	}
	y, m, d, ok := o.parts(s)
	if !ok {
		if m, d, ok = yearless(s); !ok {
			return b, noDate
		}
		y = 0
	}
	if y == 0 && ok && strings.HasPrefix(s, "0000") {
		return b, noDate
	}
	b = care.Birthday{Lunar: lunar, Year: int16(min(y, 9999)), Month: uint8(min(m, 99)), Day: uint8(min(d, 99))}
	return b, o.checkBirthday(b)
}

// yearless reads 4月28日, 4-28 and 4/28.
func yearless(s string) (m, d int, ok bool) {
	mark := "-"
	switch {
	case strings.Contains(s, "月"):
		mark = "年"
	case strings.Contains(s, "/"):
		mark = "/"
	}
	return monthDay(mark + s)
}

func (o *Options) checkBirthday(b care.Birthday) string {
	if b.Lunar {
		switch {
		case !b.Eve && (b.Month < 1 || b.Month > 12 || b.Day < 1 || b.Day > 30):
			return noLunar
		case b.Year > 0 && int(b.Year) > o.Today.Year() && !o.Today.IsZero():
			return inFuture
		case b.Year > 0 && !b.Eve && o.LunarDate != nil && !o.LunarDate(int(b.Year), int(b.Month), b.Leap, int(b.Day)):
			return noLunar
		}
		return ""
	}
	year := int(b.Year)
	if year == 0 {
		year = 2000 // a leap year: 29 February is a birthday
	}
	date := care.NewDate(year, time.Month(b.Month), int(b.Day))
	switch {
	case date.IsZero():
		return noDate
	case b.Year > 0 && !o.Today.IsZero() && date.After(o.Today):
		return inFuture
	}
	return ""
}

var (
	lunarMonths = map[string]int{
		"正": 1, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10, "十一": 11, "冬": 11,
		"十二": 12, "腊": 12, "臘": 12,
	}
	hanDigits = map[rune]int{'〇': 0, '零': 0, '一': 1, '二': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9}
)

// lunarWords reads 1999年四月廿八, 一九九九年闰四月初一, 腊月三十 and 除夕. A month or day that no lunar calendar has is kept as 13 or 31, so
// that it is refused as a lunar date and not as none at all.
func lunarWords(s string) (care.Birthday, bool) {
	b := care.Birthday{Lunar: true}
	for _, p := range []string{"农历", "阴历", "农曆"} {
		s = strings.TrimPrefix(s, p)
	}
	if year, rest, found := strings.Cut(s, "年"); found {
		y, ok := lunarYear(year)
		if !ok {
			return b, false
		}
		b.Year, s = int16(y), rest
	}
	if s == "除夕" || s == "大年三十" {
		b.Eve, b.Month = true, 12
		return b, true
	}
	for _, leap := range []string{"闰", "閏"} {
		if rest, found := strings.CutPrefix(s, leap); found {
			b.Leap, s = true, rest
		}
	}
	month, day, found := strings.Cut(s, "月")
	if !found {
		return b, false
	}
	m, okMonth := lunarMonths[month]
	d, okDay := lunarDay(strings.TrimSuffix(day, "日"))
	if !okMonth && !isHan(month) || !okDay && !isHan(day) || month == "" || day == "" {
		return b, false
	}
	if !okMonth {
		m = 13
	}
	if !okDay {
		d = 31
	}
	b.Month, b.Day = uint8(m), uint8(d)
	return b, true
}

func lunarYear(s string) (int, bool) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, n >= 1000 && n <= 9999
	}
	n, digits := 0, 0
	for _, r := range s {
		d, ok := hanDigits[r]
		if !ok {
			return 0, false
		}
		n, digits = n*10+d, digits+1
	}
	return n, digits == 4
}

func lunarDay(s string) (int, bool) {
	for prefix, tens := range map[string]int{"初": 0, "十": 10, "廿": 20, "二十": 20, "卅": 30, "三十": 30} {
		rest, found := strings.CutPrefix(s, prefix)
		if !found {
			continue
		}
		r := []rune(rest)
		switch {
		case len(r) == 0 && tens > 0:
			return tens, true
		case rest == "十" && tens == 0:
			return 10, true
		case len(r) == 1 && hanDigits[r[0]] > 0 && tens < 30:
			return tens + hanDigits[r[0]], true
		}
	}
	return 0, false
}

// isHan reports whether s is made of the words that lunar months and days are.
func isHan(s string) bool {
	return s != "" && strings.Trim(s, "初十廿卅正冬腊臘一二三四五六七八九〇零") == ""
}
