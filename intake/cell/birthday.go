package cell

import (
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	caretext "github.com/carebell/carebell/care/text"
)

// hanNumbers are the numerals of months and days.
var hanNumbers = func() map[string]int {
	all, ones := map[string]int{"十": 10, "初十": 10, "二十": 20, "三十": 30, "廿": 20, "卅": 30}, []string{"", "一", "二", "三", "四", "五", "六", "七", "八", "九"}
	for n := 1; n <= 9; n++ {
		all[ones[n]], all["初"+ones[n]], all["十"+ones[n]] = n, n, 10+n
		all["二十"+ones[n]], all["廿"+ones[n]], all["三十"+ones[n]] = 20+n, 20+n, 30+n
	}
	return all
}()

var (
	hanMonths = map[string]int{"正": 1, "冬": 11, "腊": 12}
	hanDigits = map[rune]int{'〇': 0, '○': 0, '零': 0, '一': 1, '二': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9}
)

// hanDate is a date in Chinese words.
type hanDate struct {
	b            care.Birthday
	lunar, solar bool // what the words themselves say; neither: a lunar birthday, by custom
	odd          bool // words of a month or day that no calendar has
}

// hanWords reads 1999年四月廿八, 一九九九年闰四月初一, 腊月三十, 二月二十日 and 除夕. The form says which calendar is meant: 初 and 廿, 正月, 冬月,
// 腊月 and 闰 are lunar; 日 or 号 behind, and days to ten without 初, are solar; other days without 日 are lunar.
func hanWords(s string) (h hanDate, ok bool) {
	s = strings.TrimSpace(simple(withoutNote(strings.Map(caretext.Narrow, s))))
	if !strings.ContainsAny(s, "一二三四五六七八九十初廿卅正冬腊〇零夕") {
		return h, false
	}
	if rest, found := strings.CutPrefix(s, "大年初"); found {
		s = "正月初" + rest
	}
	if year, rest, found := strings.Cut(s, "年"); found && year != "大" {
		y, isYear := hanYear(year)
		if !isYear {
			return h, false
		}
		h.b.Year, s = int16(y), strings.TrimSpace(rest)
	}
	if s == "除夕" || s == "大年三十" {
		h.b.Eve, h.b.Month, h.lunar = true, 12, true
		return h, true
	}
	if rest, found := strings.CutPrefix(s, "闰"); found {
		h.b.Leap, h.lunar, s = true, true, rest
	}
	month, day, found := strings.Cut(s, "月")
	if !found || month == "" || day == "" {
		return h, false
	}
	bare := strings.TrimRight(day, "日号")
	m, d := hanMonths[month], hanNumbers[bare]
	h.lunar = h.lunar || m > 0 || strings.ContainsAny(bare, "初廿卅")
	if m == 0 {
		m = hanNumbers[month]
	}
	for _, n := range []struct {
		text string
		at   *int
	}{{month, &m}, {bare, &d}} {
		switch {
		case *n.at > 0:
		case isDigits(n.text) && len(n.text) <= 2:
			*n.at = value(n.text)
		case strings.Trim(n.text, "初十廿卅正冬腊一二三四五六七八九〇零") == "" && n.text != "":
			*n.at, h.odd = 99, true
		default:
			return h, false
		}
	}
	h.solar = !h.lunar && (bare != day || d <= 10)
	h.b.Month, h.b.Day = uint8(min(m, 13)), uint8(min(d, 32))
	return h, true
}

func hanYear(s string) (int, bool) {
	if len(s) == 4 && isDigits(s) {
		return value(s), true
	}
	if rest := afterROC(s); rest != s {
		n := hanCount(rest)
		return n + 1911, n > 0
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

// hanCount reads 七十四, 一百一十三, 一一三, 元 and 74; 0 is none.
func hanCount(s string) (n int) {
	if isDigits(s) {
		return value(s)
	}
	one, tens := 0, 0
	for _, r := range s {
		d, ok := hanDigits[r]
		switch {
		case ok:
			one = one*10 + d
		case r == '十':
			tens, one = tens+10*max(one, 1), 0
		case r == '百':
			tens, one = 100*max(one, 1), 0
		case r == '元':
			one = 1
		default:
			return 0
		}
	}
	return tens + one
}

// Birthday reads a birthday. calendar is what another column says: lunar, solar or "". blank says that it stands for none.
func (p *Place) Birthday(s, calendar string) (b care.Birthday, blank bool, reason string) {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' { // as nearly always
		if d, err := care.ParseDate(s); err == nil {
			return p.orPlaceholder(care.Birthday{Lunar: calendar == "lunar", Year: int16(d.Year()), Month: uint8(d.Month()), Day: uint8(d.Day())})
		}
	}
	if strings.HasPrefix(s, "--") || strings.HasPrefix(s, "lunar:") {
		if b, err := care.ParseBirthday(s); err == nil {
			if b.Lunar && calendar == "solar" {
				return b, false, TwoCalendars
			}
			b.Lunar = b.Lunar || calendar == "lunar"
			return b, false, p.CheckBirthday(b)
		}
		return b, false, NoDate
	}
	s, calendar, ok := calendarWords(s, calendar)
	if !ok {
		return b, false, TwoCalendars
	}
	if h, ok := hanWords(s); ok {
		return p.ofWords(h, calendar)
	}
	c, reason := p.parse(s, true)
	switch {
	case reason != "":
		return b, false, reason
	case c.zero:
		return b, true, ""
	case c.timed:
		return b, false, NotMidnight
	case c.y == 1900 && c.d == 0:
		return b, true, ""
	}
	b = care.Birthday{Lunar: calendar == "lunar", Year: int16(min(c.y, 9999)), Month: uint8(min(c.m, 99)), Day: uint8(min(c.d, 99))}
	return p.orPlaceholder(b)
}

func (p *Place) ofWords(h hanDate, calendar string) (b care.Birthday, blank bool, reason string) {
	switch {
	case calendar == "solar" && (h.b.Leap || h.b.Eve || h.odd):
		return b, false, TwoCalendars
	case calendar == "solar", calendar == "" && h.solar:
	default:
		h.b.Lunar = true
	}
	return p.orPlaceholder(h.b)
}

// orPlaceholder checks a birthday; a day that nobody who drives was born on stands for none.
func (p *Place) orPlaceholder(b care.Birthday) (care.Birthday, bool, string) {
	reason := p.CheckBirthday(b)
	if reason == "" || reason == InFuture {
		if b.Year >= 2999 || reason == "" && !record.Born(b, p.Today) {
			return care.Birthday{}, true, ""
		}
	}
	return b, false, reason
}

// calendarNames are the words for a calendar inside a birthday or a header.
var calendarNames = []string{"农历", "阴历", "旧历", "古历", "夏历", "老历", "公历", "阳历", "新历", "国历", "西历", "lunar", "solar"}

// CalendarIn returns the calendar that a header names: lunar, solar or "".
func CalendarIn(header string) string {
	header = Fold(header)
	for _, name := range calendarNames {
		if strings.Contains(header, name) {
			return Meaning("calendar", name)
		}
	}
	return ""
}

// calendarWords takes the word for a calendar out of a birthday; it must not say another one than the column does.
func calendarWords(s, calendar string) (rest, both string, ok bool) {
	s = strings.Map(caretext.Narrow, simple(s))
	for _, name := range calendarNames {
		before, behind, found := strings.Cut(s, name)
		if !found {
			continue
		}
		said := Meaning("calendar", name)
		rest = strings.TrimRight(before, "([【 ") + strings.TrimLeft(behind, ")]】: ")
		return strings.TrimSpace(rest), said, calendar == "" || calendar == said
	}
	return s, calendar, true
}

// CheckBirthday says why a birthday cannot be, "" if it can.
func (p *Place) CheckBirthday(b care.Birthday) string {
	if b.Lunar {
		switch {
		case !b.Eve && (b.Month < 1 || b.Month > 12 || b.Day < 1 || b.Day > 30):
			return NoLunar
		case b.Year > 0 && int(b.Year) > p.Today.Year() && !p.Today.IsZero():
			return InFuture
		case b.Year > 0 && !b.Eve && p.LunarDate != nil && b.Year > 1900 && b.Year <= 2100 && !p.LunarDate(int(b.Year), int(b.Month), b.Leap, int(b.Day)):
			return NoLunar
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
		return NoDate
	case b.Year > 0 && !p.Today.IsZero() && date.After(p.Today):
		return InFuture
	}
	return ""
}
