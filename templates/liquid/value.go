package liquid

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind is what a value is.
type Kind uint8

// Kinds of values.
const (
	KindMissing Kind = iota // nil
	KindBoolean
	KindNumber
	KindText
	KindDate
	KindList
	KindObject
)

// String names the kind in words for the author of a template.
func (k Kind) String() string {
	return [...]string{"nothing", "yes or no", "number", "text", "date", "list", "object"}[k]
}

// Value is what an expression comes to: data, and nothing that could be called. The zero Value is missing.
type Value struct {
	kind  Kind
	text  string // of a missing value: the variable's name
	num   float64
	list  []Value
	field func(name string) Value // of an object, or of a text that has fields as well
}

// Text is a text of the data. A blank one is a missing value: a message must not have a hole.
func Text(s string) Value {
	if first, _ := utf8.DecodeRuneInString(s); unicode.IsSpace(first) && strings.TrimSpace(s) == "" || s == "" {
		return Value{}
	}
	return Value{kind: KindText, text: s}
}

// Literal is a text that may be empty, unlike one of the data: an author who writes "" means it.
func Literal(s string) Value { return Value{kind: KindText, text: s} }

// Number is a number.
func Number(n float64) Value { return Value{kind: KindNumber, num: n} }

// Count is a number of which 0 means that nobody knows it.
func Count(n int) Value {
	if n == 0 {
		return Value{}
	}
	return Value{kind: KindNumber, num: float64(n)}
}

// Bool is yes or no.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBoolean, num: 1}
	}
	return Value{kind: KindBoolean}
}

// Date is a day of the calendar, without a zone. The year is one of 1 to 9999.
func Date(year int, month time.Month, day int) Value {
	return Value{kind: KindDate, num: float64(year*10000 + int(month)*100 + day)}
}

// List is a list of values.
func List(items []Value) Value { return Value{kind: KindList, list: items} }

// Object is a value of which only the fields can be shown.
func Object(field func(name string) Value) Value { return Value{kind: KindObject, field: field} }

// TextWithFields is shown as its text and has fields as well.
func TextWithFields(s string, field func(name string) Value) Value {
	v := Text(s)
	v.field = field
	return v
}

// Kind says what the value is.
func (v Value) Kind() Kind { return v.kind }

// Date is the day that a value of KindDate holds.
func (v Value) Date() (year int, month time.Month, day int) {
	n := int(v.num)
	return n / 10000, time.Month(n / 100 % 100), n % 100
}

// truth is Liquid's: only nil and false are not true.
func (v Value) truth() bool { return v.kind != KindMissing && (v.kind != KindBoolean || v.num != 0) }

// blank is what the filter default replaces.
func (v Value) blank() bool {
	switch v.kind {
	case KindMissing:
		return true
	case KindBoolean:
		return v.num == 0
	case KindText:
		return v.text == ""
	case KindList:
		return len(v.list) == 0
	}
	return false
}

// String is how a value is shown without a filter: dates as YYYY-MM-DD.
func (v Value) String() string {
	switch v.kind {
	case KindBoolean:
		if v.num != 0 {
			return "true"
		}
		return "false"
	case KindNumber:
		return formatNumber(v.num)
	case KindText:
		return v.text
	case KindDate:
		return formatDate(v.Date())
	case KindList:
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

func formatDate(year int, month time.Month, day int) string {
	b := [10]byte{4: '-', 7: '-'}
	for i, n := 3, year; i >= 0; i, n = i-1, n/10 {
		b[i] = byte('0' + n%10)
	}
	b[5], b[6] = byte('0'+month/10), byte('0'+month%10)
	b[8], b[9] = byte('0'+day/10), byte('0'+day%10)
	return string(b[:])
}

// Number reads the value as a number, as Liquid's arithmetic does: a text that is none counts as 0.
func (v Value) Number() float64 {
	switch v.kind {
	case KindNumber, KindBoolean:
		return v.num
	case KindText:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v.text), 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			return n
		}
	}
	return 0
}

func (v Value) equal(o Value) bool {
	if v.kind != o.kind {
		if v.kind == KindMissing || o.kind == KindMissing {
			// An empty field of a record is bound as missing: == "" and == blank mean it.
			return v.kind != KindObject && o.kind != KindObject && v.text+o.text == "" && v.kind+o.kind == KindText
		}
		if v.kind == KindDate && o.kind == KindText || v.kind == KindText && o.kind == KindDate {
			return v.String() == o.String()
		}
		return false
	}
	switch v.kind {
	case KindMissing:
		return true
	case KindList:
		if len(v.list) != len(o.list) {
			return false
		}
		for i := range v.list {
			if !v.list[i].equal(o.list[i]) {
				return false
			}
		}
		return true
	case KindObject:
		return false
	}
	return v.text == o.text && v.num == o.num
}

// compare orders two values; ok is false where there is no order between them.
func (v Value) compare(o Value) (order int, ok bool) {
	switch {
	case v.kind == o.kind && (v.kind == KindNumber || v.kind == KindDate):
		return cmp.Compare(v.num, o.num), true
	case (v.kind == KindText || v.kind == KindDate) && (o.kind == KindText || o.kind == KindDate):
		return cmp.Compare(v.String(), o.String()), true
	}
	return 0, false
}

func (v Value) contains(o Value) bool {
	switch v.kind {
	case KindText:
		return o.kind != KindMissing && strings.Contains(v.text, o.String())
	case KindList:
		for i := range v.list {
			if v.list[i].equal(o) {
				return true
			}
		}
	}
	return false
}

// property is what stands behind a dot or between brackets.
func (v Value) property(name string) Value {
	switch v.kind {
	case KindObject:
		return v.field(name)
	case KindList:
		switch name {
		case "size":
			return Number(float64(len(v.list)))
		case "first":
			return v.index(0)
		case "last":
			return v.index(len(v.list) - 1)
		}
	case KindText:
		if name == "size" {
			return Number(float64(utf8.RuneCountInString(v.text)))
		}
		if v.field != nil {
			return v.field(name)
		}
	}
	return Value{}
}

func (v Value) index(i int) Value {
	if i < 0 {
		i += len(v.list)
	}
	if v.kind != KindList || i < 0 || i >= len(v.list) {
		return Value{}
	}
	return v.list[i]
}

// appendJSON writes the value as a JSON value.
func (v Value) appendJSON(b []byte) []byte {
	switch v.kind {
	case KindBoolean, KindNumber:
		return append(b, v.String()...)
	case KindList:
		b = append(b, '[')
		for i, item := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case KindText, KindDate:
		quoted, err := json.Marshal(Clean(v.String(), true))
		if err == nil {
			return append(b, quoted...)
		}
	}
	return append(b, "null"...)
}
