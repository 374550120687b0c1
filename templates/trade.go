package templates

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
)

// language is how a locale writes dates, numbers and distances. It is the template's own locale: a Chinese text has Chinese dates
// even when it serves a customer of another locale.
type language struct {
	locale      string
	chinese     bool // 2026年12月1日
	traditional bool // of Taiwan, Hong Kong and Macau
	ja          bool
	us          bool // December 1, 2026
	english     bool
}

func languageOf(locale string) language {
	lower := strings.ToLower(locale)
	return language{
		traditional: slices.Contains([]string{"zh-tw", "zh-hk", "zh-mo", "zh-hant"}, lower),
		locale:      locale, chinese: strings.HasPrefix(lower, "zh"), ja: strings.HasPrefix(lower, "ja"),
		english: strings.HasPrefix(lower, "en"), us: lower == "en" || lower == "en-us" || lower == "en-ca",
	}
}

func (l language) comma() string {
	if l.chinese || l.ja {
		return "、"
	}
	return ", "
}

func (l language) long(d care.Date) string {
	switch {
	case l.chinese || l.ja:
		return strconv.Itoa(d.Year()) + "年" + strconv.Itoa(int(d.Month())) + "月" + strconv.Itoa(d.Day()) + "日"
	case l.us:
		return d.Month().String() + " " + strconv.Itoa(d.Day()) + ", " + strconv.Itoa(d.Year())
	case l.english:
		return strconv.Itoa(d.Day()) + " " + d.Month().String() + " " + strconv.Itoa(d.Year())
	}
	return d.String()
}

func (l language) short(d care.Date) string {
	switch {
	case l.chinese || l.ja:
		return strconv.Itoa(int(d.Month())) + "月" + strconv.Itoa(d.Day()) + "日"
	case l.us:
		return d.Month().String()[:3] + " " + strconv.Itoa(d.Day())
	case l.english:
		return strconv.Itoa(d.Day()) + " " + d.Month().String()[:3]
	}
	return d.String()
}

var (
	weekdaysZh = [...]string{"周日", "周一", "周二", "周三", "周四", "周五", "周六"}
	nearZh     = map[int]string{-2: "前天", -1: "昨天", 0: "今天", 1: "明天", 2: "后天"}
	nearEn     = map[int]string{-1: "yesterday", 0: "today", 1: "tomorrow"}
)

// relative says a date as seen from today: 下周三, in 3 days.
func (l language) relative(days int, today care.Date) string {
	if !l.chinese {
		if near, ok := nearEn[days]; ok {
			return near
		}
		if days < 0 {
			return strconv.Itoa(-days) + " days ago"
		}
		return "in " + strconv.Itoa(days) + " days"
	}
	if near, ok := nearZh[days]; ok {
		return near
	}
	if days < 0 {
		return strconv.Itoa(-days) + "天前"
	}
	if !today.IsZero() {
		sinceMonday := (int(today.Weekday()) + 6) % 7
		weekday := weekdaysZh[today.AddDays(days).Weekday()]
		switch (sinceMonday + days) / 7 {
		case 0:
			return "本" + weekday
		case 1:
			return "下" + weekday
		}
	}
	return strconv.Itoa(days) + "天后"
}

var tradeFilters = map[string]*filter{
	"date_local": {usage: "date_local", meaning: "the date in full", trade: true, apply: ofDate(func(s *state, d care.Date) string { return s.lang.long(d) })},
	"date_short": {usage: "date_short", meaning: "the date without the year", trade: true, apply: ofDate(func(s *state, d care.Date) string { return s.lang.short(d) })},
	"weekday": {usage: "weekday", meaning: "the day of the week", trade: true, apply: ofDate(func(s *state, d care.Date) string {
		if s.lang.chinese {
			return weekdaysZh[d.Weekday()]
		}
		return d.Weekday().String()
	})},
	"lunar_date": {usage: "lunar_date", meaning: "the date of the Chinese calendar", trade: true, apply: ofDate(func(s *state, d care.Date) string {
		if s.env.lunar != nil {
			if text := s.env.lunar(d); text != "" {
				return text
			}
		}
		return s.lang.long(d)
	})},
	"relative_days": {usage: "relative_days", meaning: "a date, or a number of days, as seen from today", trade: true, apply: relativeDays},
	"date":          {usage: `date: "%Y-%m-%d"`, meaning: "the date in a form of your own: %Y %m %d %-m %-d %B %b %A %a %y %j", min: 1, max: 1, trade: true, apply: formatDate},
	"km":            {usage: "km", meaning: "kilometres, with their unit", trade: true, apply: kilometres},
	"money":         {usage: "money", meaning: `an amount in the dealer's currency, or in that of the argument: money: "USD"`, max: 1, trade: true, apply: money},
	"mask":          {usage: "mask", meaning: "a number plate, e-mail address, phone number or id that strangers cannot read", trade: true, apply: ofText(masked)},
	"phone":         {usage: "phone", meaning: "a phone number as people write it", trade: true, apply: ofText(phone)},
	"salutation":    {usage: "salutation", meaning: "how to address a customer; customer.salutation is already one", trade: true, apply: func(_ *state, in value, _ []value) value { return in }},
}

func ofDate(f func(s *state, d care.Date) string) func(*state, value, []value) value {
	return func(s *state, in value, _ []value) value {
		d, ok := asDate(in)
		if !ok {
			s.fail(codeRender, "a filter for dates was given a %s", kindNames[in.kind])
			return in
		}
		return literalText(f(s, d))
	}
}

func asDate(v value) (care.Date, bool) {
	if v.kind == date {
		return v.date, true
	}
	d, err := care.ParseDate(v.text)
	return d, v.kind == text && err == nil
}

func relativeDays(s *state, in value, _ []value) value {
	if in.kind == number {
		return literalText(s.lang.relative(int(in.num), s.today))
	}
	d, ok := asDate(in)
	if !ok || s.today.IsZero() {
		s.fail(codeRender, "relative_days was given a %s", kindNames[in.kind])
		return in
	}
	return literalText(s.lang.relative(d.Sub(s.today), s.today))
}

func formatDate(s *state, in value, args []value) value {
	d, ok := asDate(in)
	if !ok {
		s.fail(codeRender, "the filter date was given a %s", kindNames[in.kind])
		return in
	}
	t := time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, time.UTC)
	format := args[0].String()
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := format[i] == '-' && i+1 < len(format)
		if plain {
			i++
		}
		b.WriteString(datePart(t, format[i], plain))
	}
	return literalText(b.String())
}

func datePart(t time.Time, c byte, plain bool) string {
	layouts := map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'j': "002", 'F': "2006-01-02"}
	if plain {
		layouts = map[byte]string{'m': "1", 'd': "2", 'Y': "2006"}
	}
	if layout, ok := layouts[c]; ok {
		return t.Format(layout)
	}
	if c == '%' {
		return "%"
	}
	return ""
}

// grouped writes a whole number with a comma every three digits.
func grouped(n float64) string {
	s := strconv.FormatFloat(math.Abs(n), 'f', 0, 64)
	var b strings.Builder
	if n < 0 {
		b.WriteByte('-')
	}
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func kilometres(s *state, in value, _ []value) value {
	n := grouped(math.Round(in.number()))
	if s.lang.chinese {
		return literalText(n + "公里")
	}
	return literalText(n + " km")
}

var currencySigns = map[string]string{"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "HKD": "HK$", "TWD": "NT$"}

func money(s *state, in value, args []value) value {
	currency := ""
	if len(args) > 0 {
		currency = args[0].String()
	} else if s.draft.Dealer != nil {
		currency = s.draft.Dealer.Currency
	}
	n := in.number()
	cents := math.Round(math.Abs(n) * 100)
	amount := grouped(math.Trunc(cents / 100))
	if rest := math.Mod(cents, 100); rest != 0 {
		amount += fmt.Sprintf(".%02.0f", rest)
	}
	sign, ok := currencySigns[currency]
	if !ok && currency != "" {
		sign = currency + " "
	}
	if n < 0 && cents > 0 {
		sign = "-" + sign
	}
	return literalText(sign + amount)
}

// masked hides the middle: 沪A12345 → 沪A·1***5, wang@example.com → w***@example.com.
func masked(s string) string {
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		_, size := utf8.DecodeRuneInString(s)
		return s[:size] + "***" + s[at:]
	}
	r := []rune(s)
	r = slices.DeleteFunc(r, func(c rune) bool { return c == '·' || c == ' ' || c == '-' })
	n := len(r)
	switch {
	case n >= 7 && r[0] > 0x2e80 && r[1] < 0x80: // a plate of mainland China: GA 36-2018
		return string(r[:2]) + "·" + string(r[2]) + strings.Repeat("*", n-4) + string(r[n-1])
	case n >= 5:
		keep := min(n/3, 4)
		return string(r[:keep-keep/2]) + strings.Repeat("*", n-keep) + string(r[n-keep/2:])
	case n >= 2:
		return string(r[:1]) + strings.Repeat("*", n-1)
	}
	return "*"
}

// phone writes numbers of China and North America as people there do, others as they are (E.164).
func phone(s string) string {
	digits, ok := strings.CutPrefix(s, "+")
	if !ok || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return s
	}
	if n, ok := strings.CutPrefix(digits, "86"); ok {
		switch {
		case len(n) == 11 && n[0] == '1':
			return n[:3] + " " + n[3:7] + " " + n[7:]
		case strings.HasPrefix(n, "400") && len(n) == 10:
			return n[:3] + "-" + n[3:6] + "-" + n[6:]
		case (strings.HasPrefix(n, "10") || strings.HasPrefix(n, "2")) && len(n) == 10: // two-digit area codes
			return "0" + n[:2] + "-" + n[2:]
		case len(n) == 10 || len(n) == 11:
			return "0" + n[:3] + "-" + n[3:]
		}
	}
	if n, ok := strings.CutPrefix(digits, "1"); ok && len(n) == 10 {
		return "(" + n[:3] + ") " + n[3:6] + "-" + n[6:]
	}
	return s
}
