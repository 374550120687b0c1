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
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/templates/liquid"
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

// han reports whether its readers read Chinese characters.
func (l language) han() bool { return l.chinese || l.ja }

func (l language) comma() string {
	if l.han() {
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

var tradeFilters = map[string]*liquid.Filter{
	"date_local": {Usage: "date_local", Meaning: "the date in full", Apply: ofDate(func(s *liquid.State, d care.Date) string { return bound(s).lang.long(d) })},
	"date_short": {Usage: "date_short", Meaning: "the date without the year", Apply: ofDate(func(s *liquid.State, d care.Date) string { return bound(s).lang.short(d) })},
	"weekday": {Usage: "weekday", Meaning: "the day of the week", Apply: ofDate(func(s *liquid.State, d care.Date) string {
		if bound(s).lang.chinese {
			return weekdaysZh[d.Weekday()]
		}
		return d.Weekday().String()
	})},
	"lunar_date": {Usage: "lunar_date", Meaning: "the date of the Chinese calendar", Apply: ofDate(func(s *liquid.State, d care.Date) string {
		if bound(s).env.lunar != nil {
			if text := bound(s).env.lunar(d); text != "" {
				return text
			}
		}
		return bound(s).lang.long(d)
	})},
	"relative_days": {Usage: "relative_days", Meaning: "a date, or a number of days, as seen from today", Apply: relativeDays},
	"date":          {Usage: `date: "%Y-%m-%d"`, Meaning: "the date in a form of your own: %Y %m %d %-m %-d %B %b %A %a %y %j", Min: 1, Max: 1, Apply: formatDate},
	"km":            {Usage: "km", Meaning: "kilometres, with their unit", Apply: kilometres},
	"distance":      {Usage: "distance", Meaning: "kilometres of a record in the dealer's units, with their unit: km, or miles", Apply: distance},
	"money":         {Usage: "money", Meaning: `an amount in the dealer's currency, or in that of the argument: money: "USD"`, Max: 1, Apply: money},
	"mask":          {Usage: "mask", Meaning: "a number plate, e-mail address, phone number or id that strangers cannot read", Apply: liquid.OfText(masked)},
	"phone":         {Usage: "phone", Meaning: "a phone number as people write it", Apply: liquid.OfText(phone)},
	"salutation":    {Usage: "salutation", Meaning: "how to address a customer; customer.salutation is already one", Apply: func(_ *liquid.State, in liquid.Value, _ []liquid.Value) liquid.Value { return in }},
}

func ofDate(f func(s *liquid.State, d care.Date) string) func(*liquid.State, liquid.Value, []liquid.Value) liquid.Value {
	return func(s *liquid.State, in liquid.Value, _ []liquid.Value) liquid.Value {
		d, ok := asDate(in)
		if !ok {
			s.Fail(liquid.CodeRender, "a filter for dates was given a %s", in.Kind())
			return in
		}
		return liquid.Literal(f(s, d))
	}
}

func asDate(v liquid.Value) (care.Date, bool) {
	if v.Kind() == liquid.KindDate {
		return care.NewDate(v.Date()), true
	}
	d, err := care.ParseDate(v.String())
	return d, v.Kind() == liquid.KindText && err == nil
}

func relativeDays(s *liquid.State, in liquid.Value, _ []liquid.Value) liquid.Value {
	if in.Kind() == liquid.KindNumber {
		return liquid.Literal(bound(s).lang.relative(int(in.Number()), bound(s).today))
	}
	d, ok := asDate(in)
	if !ok || bound(s).today.IsZero() {
		s.Fail(liquid.CodeRender, "relative_days was given a %s", in.Kind())
		return in
	}
	return liquid.Literal(bound(s).lang.relative(d.Sub(bound(s).today), bound(s).today))
}

func formatDate(s *liquid.State, in liquid.Value, args []liquid.Value) liquid.Value {
	d, ok := asDate(in)
	if !ok {
		s.Fail(liquid.CodeRender, "the filter date was given a %s", in.Kind())
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
	return liquid.Literal(b.String())
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

// grouped writes a whole number with a comma every three digits. Beyond 10^15 a number of a template is no count any more.
func grouped(n float64) string { return texts.Number(int(min(max(n, -1e15), 1e15))) }

func kilometres(s *liquid.State, in liquid.Value, _ []liquid.Value) liquid.Value {
	n := grouped(math.Round(in.Number()))
	if bound(s).lang.chinese {
		return liquid.Literal(n + "公里")
	}
	return liquid.Literal(n + " km")
}

func distance(s *liquid.State, in liquid.Value, args []liquid.Value) liquid.Value {
	if d := bound(s).draft.Dealer; d == nil || !d.Miles() {
		return kilometres(s, in, args)
	}
	n := grouped(math.Round(in.Number() / care.KMPerMile))
	switch {
	case bound(s).lang.chinese:
		return liquid.Literal(n + "英里")
	case n == "1":
		return liquid.Literal("1 mile")
	}
	return liquid.Literal(n + " miles")
}

var currencySigns = map[string]string{"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "HKD": "HK$", "TWD": "NT$"}

func money(s *liquid.State, in liquid.Value, args []liquid.Value) liquid.Value {
	currency := ""
	if len(args) > 0 {
		currency = args[0].String()
	} else if bound(s).draft.Dealer != nil {
		currency = bound(s).draft.Dealer.Currency
	}
	n := in.Number()
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
	return liquid.Literal(sign + amount)
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

// refusedFilters are Liquid's own that would do harm here, with what to do instead.
var refusedFilters = map[string]string{
	"escape": "remove it: every value is escaped for the place it stands in", "escape_once": "remove it: every value is escaped for the place it stands in",
	"safe": "remove it: a value cannot bring its own HTML", "raw": "remove it: a value cannot bring its own HTML",
	"h": "remove it: every value is escaped for the place it stands in", "strip_html": "remove it: values hold no HTML",
	"newline_to_br": "remove it: a value is one line", "url_encode": "remove it: a value in a link is encoded by itself",
	"url_decode": "remove it", "url_escape": "remove it: a value in a link is encoded by itself", "cgi_escape": "remove it: a value in a link is encoded by itself",
	"json": "remove it: outside of quotes a value in webhook.json is written as JSON", "jsonify": "remove it: outside of quotes a value in webhook.json is written as JSON",
	"markdownify": "write the Markdown in the template", "inspect": "remove it", "type": "remove it", "handleize": "remove it", "sha256": "remove it", "base64_encode": "remove it",
	"where": "use {% if %} within the loop", "sum": "values of a loop cannot be added up", "t": "write a folder for each language",
}

// Filter describes a filter for the tables of docs/templates.md.
type Filter struct {
	Name, Usage, Meaning string
	Trade                bool // ours, not one of Liquid's own
}

// Filters lists every filter, ours first, then by name.
func Filters() []Filter {
	var all []Filter
	for _, trade := range []bool{true, false} {
		table := liquid.Filters
		if trade {
			table = tradeFilters
		}
		for _, name := range sortedKeys(table) {
			all = append(all, Filter{Name: name, Usage: table[name].Usage, Meaning: table[name].Meaning, Trade: trade})
		}
	}
	return all
}
