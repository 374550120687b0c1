package templates

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
)

type valueKind uint8

const (
	missing valueKind = iota // nil; text is the variable's name
	boolean
	number
	text
	date
	list
	object
)

var kindNames = [...]string{"nothing", "yes or no", "number", "text", "date", "list", "object"}

// value is what an expression comes to: data, and nothing that could be called.
type value struct {
	kind  valueKind
	text  string
	num   float64
	date  care.Date
	list  []value
	field func(name string) value // of an object
}

func textValue(s string) value {
	if first, _ := utf8.DecodeRuneInString(s); unicode.IsSpace(first) && strings.TrimSpace(s) == "" || s == "" {
		return value{}
	}
	return value{kind: text, text: s}
}

// literalText may be empty, unlike data: an author who writes "" means it.
func literalText(s string) value { return value{kind: text, text: s} }

func numberValue(n float64) value { return value{kind: number, num: n} }

func countValue(n int) value {
	if n == 0 {
		return value{}
	}
	return value{kind: number, num: float64(n)}
}

func boolValue(b bool) value {
	if b {
		return value{kind: boolean, num: 1}
	}
	return value{kind: boolean}
}

func dateValue(d care.Date) value {
	if d.IsZero() {
		return value{}
	}
	return value{kind: date, date: d}
}

// truth is Liquid's: only nil and false are not true.
func (v value) truth() bool { return v.kind != missing && (v.kind != boolean || v.num != 0) }

// blank is what the filter default replaces.
func (v value) blank() bool {
	switch v.kind {
	case missing:
		return true
	case boolean:
		return v.num == 0
	case text:
		return v.text == ""
	case list:
		return len(v.list) == 0
	}
	return false
}

// String is how a value is shown without a filter: dates as YYYY-MM-DD.
func (v value) String() string {
	switch v.kind {
	case boolean:
		if v.num != 0 {
			return "true"
		}
		return "false"
	case number:
		return formatNumber(v.num)
	case text:
		return v.text
	case date:
		return v.date.String()
	case list:
		parts := make([]string, len(v.list))
		for i, item := range v.list {
			parts[i] = item.String()
		}
		return strings.Join(parts, "")
	}
	return ""
}

func formatNumber(n float64) string {
	if n == math.Trunc(n) && math.Abs(n) < 1e15 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// number reads the value as a number, as Liquid's arithmetic does: a text that is none counts as 0.
func (v value) number() float64 {
	switch v.kind {
	case number, boolean:
		return v.num
	case text:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v.text), 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			return n
		}
	}
	return 0
}

func (v value) equal(o value) bool {
	if v.kind != o.kind {
		if v.kind == missing || o.kind == missing {
			// An empty field of a record is bound as missing: == "" and == blank mean it.
			return v.kind != object && o.kind != object && v.text+o.text == "" && v.kind+o.kind == text
		}
		if v.kind == date && o.kind == text || v.kind == text && o.kind == date {
			return v.String() == o.String()
		}
		return false
	}
	switch v.kind {
	case missing:
		return true
	case list:
		if len(v.list) != len(o.list) {
			return false
		}
		for i := range v.list {
			if !v.list[i].equal(o.list[i]) {
				return false
			}
		}
		return true
	case object:
		return false
	}
	return v.text == o.text && v.num == o.num && v.date == o.date
}

// compare orders two values; ok is false where there is no order between them.
func (v value) compare(o value) (order int, ok bool) {
	switch {
	case v.kind == number && o.kind == number:
		return cmp.Compare(v.num, o.num), true
	case v.kind == date && o.kind == date:
		return v.date.Compare(o.date), true
	case (v.kind == text || v.kind == date) && (o.kind == text || o.kind == date):
		return cmp.Compare(v.String(), o.String()), true
	}
	return 0, false
}

func (v value) contains(o value) bool {
	switch v.kind {
	case text:
		return o.kind != missing && strings.Contains(v.text, o.String())
	case list:
		for i := range v.list {
			if v.list[i].equal(o) {
				return true
			}
		}
	}
	return false
}

// property is what stands behind a dot or between brackets.
func (v value) property(name string) value {
	switch v.kind {
	case object:
		return v.field(name)
	case list:
		switch name {
		case "size":
			return numberValue(float64(len(v.list)))
		case "first":
			return v.index(0)
		case "last":
			return v.index(len(v.list) - 1)
		}
	case text:
		if name == "size" {
			return numberValue(float64(len([]rune(v.text))))
		}
	}
	return value{}
}

func (v value) index(i int) value {
	if i < 0 {
		i += len(v.list)
	}
	if v.kind != list || i < 0 || i >= len(v.list) {
		return value{}
	}
	return v.list[i]
}

// appendJSON writes the value as a JSON value.
func (v value) appendJSON(b []byte) []byte {
	switch v.kind {
	case boolean, number:
		return append(b, v.String()...)
	case list:
		b = append(b, '[')
		for i, item := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case text, date:
		quoted, err := json.Marshal(cleaned(v.String(), true))
		if err == nil {
			return append(b, quoted...)
		}
	}
	return append(b, "null"...)
}
