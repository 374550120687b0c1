package record

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

// drawer writes customer records. One in odd of its choices is unusual; none if odd is 0.
type drawer struct {
	t   *rapid.T
	odd int
}

// drawRecord draws a record by the shape of Customer, so that a new field is drawn as soon as it is there.
func drawRecord(t *rapid.T, odd int) string {
	d := drawer{t, odd}
	return d.space() + d.value(reflect.TypeFor[care.Customer](), "") + d.space()
}

func (d drawer) oddly() bool { return d.odd > 0 && d.n(1, d.odd) == 1 }

func (d drawer) n(from, to int) int { return rapid.IntRange(from, to).Draw(d.t, "n") }

func (d drawer) of(list ...string) string { return rapid.SampledFrom(list).Draw(d.t, "of") }

func (d drawer) space() string { return d.of("", "", "", "", " ", "\n  ", "\t\r") }

func (d drawer) value(typ reflect.Type, name string) string {
	switch {
	case d.oddly():
		return d.any(2)
	case d.n(1, 15) == 1 && typ != reflect.TypeFor[care.Channel]():
		return "null"
	}
	switch typ {
	case reflect.TypeFor[care.Date]():
		return d.of(`"2026-05-02"`, `"2024-02-29"`, `"2023-02-29"`, `"0001-01-01"`, `"0000-01-01"`, `""`, `"2026-5-2"`, `"02.05.2026"`, `"２０２６"`, `"2026-05-\u0030"`)
	case reflect.TypeFor[care.Birthday]():
		return d.of(`"1985-02-20"`, `"--02-29"`, `"lunar:1985-12-30"`, `"lunar:--L06-01"`, `"lunar:--12-eve"`, `""`, `"20.2.1985"`, `"\u0031"`, `"王"`)
	case reflect.TypeFor[care.Window]():
		if d.oddly() {
			return `"\u0032\u0031:00-09:00"`
		}
		return d.of(`"21:00-09:00"`, `"00:00-24:00"`, `"none"`, `""`, `"late"`, `"9-5"`)
	case reflect.TypeFor[time.Time]():
		return d.of(`"2026-12-01T10:00:00+08:00"`, `"2026-12-01T10:00:00Z"`, `"2026-12-01T10:00:00.123-03:30"`, `"1999-12-31T23:59:59+00:00"`)
	case reflect.TypeFor[care.Powertrain]():
		return d.of(`"petrol"`, `"ev"`, `"EV"`, `"steam"`, `""`)
	case reflect.TypeFor[care.Channel]():
		return d.of(`"email"`, `"sms"`, `"webhook"`, `"fax"`, `"SMS"`)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return d.value(typ.Elem(), name)
	case reflect.Int:
		return d.of("0", "-0", "7", "-3", "31000", "999999999", "-999999999")
	case reflect.Bool:
		return d.of("true", "false")
	case reflect.String:
		if name == "id" {
			return d.of(`"A"`, `"B"`, `"C100001"`, `"a.b:c-d_e"`, `"a b"`, `""`)
		}
		return d.text()
	case reflect.Slice:
		items := make([]string, d.n(0, rapid.SampledFrom([]int{2, 2, 12}).Draw(d.t, "most")))
		for i := range items {
			items[i] = d.value(typ.Elem(), "")
		}
		return d.list("[", items, "]")
	case reflect.Map:
		var items []string
		for _, ch := range []string{"sms", "email", "webhook", "SMS", "other", "王", ""} {
			if d.n(1, 3) == 1 {
				items = append(items, d.member(ch, d.value(typ.Elem(), "")))
			}
		}
		return d.list("{", d.mix(items), "}")
	}
	return d.object(typ)
}

func (d drawer) object(typ reflect.Type) string {
	var items []string
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || name != "id" && d.n(1, 3) == 1 {
			continue
		}
		items = append(items, d.member(name, d.value(f.Type, name)))
		if d.oddly() {
			items = append(items, d.member(d.of(name, strings.ToUpper(name), strings.Replace(name, "s", "\u017f", 1), strings.Replace(name, "k", "\u212a", 1)), d.value(f.Type, name)))
		}
	}
	for range d.n(0, 2) {
		items = append(items, d.member(fmt.Sprintf("%s%d", d.of("x", "Closed", "customerNo", "车", "_"), len(items)), d.any(3)))
	}
	return d.list("{", d.mix(items), "}")
}

func (d drawer) mix(items []string) []string {
	if len(items) > 1 && d.n(1, 3) == 1 {
		items = rapid.Permutation(items).Draw(d.t, "order")
	}
	if len(items) > 0 && d.oddly() {
		items = append(items, items[d.n(0, len(items)-1)])
	}
	return items
}

func (d drawer) list(open string, items []string, end string) string {
	return open + d.space() + strings.Join(items, d.space()+","+d.space()) + d.space() + end
}

func (d drawer) member(name, value string) string {
	if d.oddly() {
		name = d.of(`\u0069d`, name+`\n`, name+"\xff", strings.ToUpper(name))
	}
	return `"` + name + `"` + d.space() + ":" + d.space() + value
}

func (d drawer) text() string {
	if d.oddly() {
		return `"` + d.of(`\ud83d\ude00`, `\ud83d`, "a\xff", "\xe7\x8e", `\x`, "a\nb", "\x00", `\u12`) + `"`
	}
	return `"` + d.of("", "a", "王小明", "😀", `a\"b`, `\u738b`, `\\`, `\/\b\f\n\r\t`, `é\u00E9`, "\x7f", "wang@example.com", strings.Repeat("long ", 20), strings.Repeat("长", 150)) + `"`
}

// any draws a value of any type.
func (d drawer) any(depth int) string {
	switch n := d.n(0, 8); {
	case n == 0 && depth > 0:
		items := make([]string, d.n(0, 3))
		for i := range items {
			items[i] = d.any(depth - 1)
		}
		return d.list("[", items, "]")
	case n == 1 && depth > 0:
		items := make([]string, d.n(0, 3))
		for i := range items {
			items[i] = d.member(d.of("id", "a", "sms", "on", "é"), d.any(depth-1))
		}
		return d.list("{", items, "}")
	case n < 4:
		return d.of("0", "-1", "1.5", "1e3", "-0.0E-10", "123456789012345678901234567890", "1234567890")
	case n < 6:
		return d.text()
	}
	if d.oddly() {
		return d.of("01", "1.", "-", "tru", "nul", "+1", "NaN", "'a'", strings.Repeat("[", 34)+strings.Repeat("]", 34))
	}
	return d.of("null", "true", "false")
}
