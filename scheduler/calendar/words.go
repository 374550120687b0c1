package calendar

import "strings"

var (
	monthWords = []string{"正月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "冬月", "腊月"}
	tens       = []string{"初", "十", "廿", "三"}
	ones       = []string{"十", "一", "二", "三", "四", "五", "六", "七", "八", "九"}
)

// String returns the date as it is said: 八月十五, 闰六月初一, 腊月三十. The year is not said.
func (l Lunar) String() string {
	if l.Month < 1 || l.Month > 12 || l.Day < 1 || l.Day > 30 {
		return ""
	}
	var b strings.Builder
	if l.Leap {
		b.WriteString("闰")
	}
	b.WriteString(monthWords[l.Month-1])
	switch l.Day {
	case 10:
		b.WriteString("初十")
	case 20:
		b.WriteString("二十")
	case 30:
		b.WriteString("三十")
	default:
		b.WriteString(tens[l.Day/10] + ones[l.Day%10])
	}
	return b.String()
}
