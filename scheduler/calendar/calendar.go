// Package calendar knows the Chinese lunisolar calendar: the lunar months of 1900 to 2100, the solar terms of 1930 to 2100, the
// festivals, and when a lunar birthday returns.
//
// It promises what its tables say, which the tests hold against two independent libraries row by row; outside of those years it
// says that it does not know. Dates are civil dates in China (UTC+8): a festival is the same civil date for everybody, wherever
// they live. It knows no statutory holidays: those are announced, not computed.
package calendar

import (
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// Lunar is a date of the lunar calendar.
type Lunar struct {
	Year, Month, Day int
	Leap             bool
}

// MonthStart returns the first day of a lunar month and its length (29 or 30). It is false when that year has no such month, or
// lies outside of 1900-2100.
func MonthStart(year, month int, leap bool) (first care.Date, days int, ok bool) {
	i := year - firstLunarYear
	if i < 0 || i >= len(lunarYears) || month < 1 || month > 12 {
		return care.Date{}, 0, false
	}
	packed := lunarYears[i]
	leapMonth := int(packed >> 13 & 15)
	if leap && leapMonth != month {
		return care.Date{}, 0, false
	}
	index := month - 1
	if leap || leapMonth != 0 && month > leapMonth {
		index++
	}
	offset := int(packed >> 17)
	for k := range index {
		offset += length(packed, k)
	}
	return care.NewDate(year, 1, 1).AddDays(offset), length(packed, index), true
}

func length(packed uint32, index int) int { return 29 + int(packed>>index&1) }

// NewYear returns 正月初一 of a lunar year.
func NewYear(year int) (care.Date, bool) {
	first, _, ok := MonthStart(year, 1, false)
	return first, ok
}

// Eve returns 除夕, the last day of a lunar year, whatever the length of its last month.
func Eve(year int) (care.Date, bool) {
	if first, days, ok := MonthStart(year, 12, true); ok { // a leap twelfth month: the table has none, the rule allows it
		return first.AddDays(days - 1), true
	}
	first, days, ok := MonthStart(year, 12, false)
	if !ok {
		return care.Date{}, false
	}
	return first.AddDays(days - 1), true
}

// Of returns the lunar date of a civil date.
func Of(d care.Date) (Lunar, bool) {
	year := d.Year()
	start, ok := NewYear(year)
	if !ok || d.Before(start) {
		year--
		if start, ok = NewYear(year); !ok {
			return Lunar{}, false
		}
	}
	packed, left := lunarYears[year-firstLunarYear], d.Sub(start)
	leapMonth := int(packed >> 13 & 15)
	months := 12
	if leapMonth != 0 {
		months = 13
	}
	for index := range months {
		if n := length(packed, index); left >= n {
			left -= n
			continue
		}
		l := Lunar{Year: year, Month: index + 1, Day: left + 1}
		if leapMonth != 0 && index >= leapMonth {
			l.Month, l.Leap = index, index == leapMonth
		}
		return l, true
	}
	return Lunar{}, false
}

// Term returns the date of a solar term, named as in Terms, in a civil year.
func Term(name string, year int) (care.Date, bool) {
	i, y := slices.Index(Terms[:], name), year-firstTermYear
	if i < 0 || y < 0 || y >= len(termYears) {
		return care.Date{}, false
	}
	return termDate(i, y), true
}

// termDate returns the date of the term with this index in the year with this index.
func termDate(i, y int) care.Date {
	day := int(termBase[i]) + int(termYears[y]>>(2*i)&3)
	return care.NewDate(firstTermYear+y, time.Month(i/2+1), day)
}

// festivals gives each festival's month and day; new_years_eve has none of its own.
var festivals = map[string][2]int{
	"spring_festival": {1, 1},
	"lantern":         {1, 15},
	"dragon_boat":     {5, 5},
	"qixi":            {7, 7},
	"mid_autumn":      {8, 15},
	"double_ninth":    {9, 9},
	"laba":            {12, 8},
	"new_years_eve":   {},
}

// Festivals returns the names of the festivals, sorted.
func Festivals() []string {
	names := make([]string, 0, len(festivals))
	for name := range festivals {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Festival returns the date of a festival in a lunar year. Laba and new year's eve mostly fall in the next civil year.
func Festival(name string, lunarYear int) (care.Date, bool) {
	md, known := festivals[name]
	switch {
	case !known:
		return care.Date{}, false
	case md[0] == 0:
		return Eve(lunarYear)
	}
	first, _, ok := MonthStart(lunarYear, md[0], false)
	if !ok {
		return care.Date{}, false
	}
	return first.AddDays(md[1] - 1), true
}

const qingming = 6 // 清明 in Terms

// ForTheDead reports whether the date is 清明, 中元 (the 15th of the 7th month) or 寒衣 (the 1st of the 10th): days on which
// nobody is congratulated.
func ForTheDead(d care.Date) bool {
	if y := d.Year() - firstTermYear; d.Month() == 4 && y >= 0 && y < len(termYears) && d == termDate(qingming, y) {
		return true
	}
	if m := d.Month(); m < 8 || m > 12 {
		return false // 中元 falls in August or September, 寒衣 between October and December
	}
	l, ok := Of(d)
	return ok && !l.Leap && (l.Month == 7 && l.Day == 15 || l.Month == 10 && l.Day == 1)
}

// Birthday returns when a lunar birthday is kept in a lunar year: someone born in a leap month keeps it in that leap month if the
// year has it, else in the regular one; day 30 of a month with 29 days is day 29; 除夕 is the last day of the year.
func Birthday(b care.Birthday, lunarYear int) (care.Date, bool) {
	if b.Eve {
		return Eve(lunarYear)
	}
	first, days, ok := MonthStart(lunarYear, int(b.Month), b.Leap)
	if !ok && b.Leap {
		first, days, ok = MonthStart(lunarYear, int(b.Month), false)
	}
	if !ok {
		return care.Date{}, false
	}
	return first.AddDays(min(int(b.Day), days) - 1), true
}

// Birthdays returns the dates in a civil year on which a birthday returns, in order: none, one or (lunar only) two. A solar
// birthday on 29 February falls, in other years, on 28 February, or with mar1 on 1 March. A birth is not its own return.
func Birthdays(b care.Birthday, year int, mar1 bool) (dates [2]care.Date, n int) {
	if b.IsZero() {
		return dates, 0
	}
	if !b.Lunar {
		if year > int(b.Year) {
			dates[0] = Annual(int(b.Month), int(b.Day), year, mar1)
			n = 1
		}
		return dates, n
	}
	for lunarYear := year - 1; lunarYear <= year; lunarYear++ {
		if lunarYear <= int(b.Year) {
			continue
		}
		if d, ok := Birthday(b, lunarYear); ok && d.Year() == year {
			dates[n] = d
			n++
		}
	}
	return dates, n
}

// Annual returns the return of a month and day in a year: 29 February falls, in other years, on 28 February or with mar1 on
// 1 March.
func Annual(month, day, year int, mar1 bool) care.Date {
	if month == 2 && day == 29 && !care.IsLeap(year) {
		if mar1 {
			return care.NewDate(year, 3, 1)
		}
		day = 28
	}
	return care.NewDate(year, time.Month(month), day)
}

var (
	monthWords = [12]string{"正", "二", "三", "四", "五", "六", "七", "八", "九", "十", "冬", "腊"}
	dayWords   = [10]string{"一", "二", "三", "四", "五", "六", "七", "八", "九", "十"}
)

// Words writes the lunar date of a civil date as it is said, such as 正月初一, 闰六月廿九 or 腊月三十; "" where it is not known.
func Words(d care.Date) string {
	l, ok := Of(d)
	if !ok {
		return ""
	}
	words := monthWords[l.Month-1] + "月"
	if l.Leap {
		words = "闰" + words
	}
	digit := dayWords[(l.Day-1)%10]
	switch {
	case l.Day <= 10:
		return words + "初" + digit
	case l.Day < 20:
		return words + "十" + digit
	case l.Day == 20:
		return words + "二十"
	case l.Day < 30:
		return words + "廿" + digit
	}
	return words + "三十"
}
