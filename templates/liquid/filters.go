package liquid

import (
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Filter is what a template may put a value through.
type Filter struct {
	Usage, Meaning string // for the reader of the tables
	Min, Max       int    // arguments
	TakesMissing   bool   // as default does: every other filter leaves a missing value missing
	KeepsItems     bool   // a list goes in and its items come out
	Apply          func(s *State, in Value, args []Value) Value
}

// Filters are those that every template may use: of Liquid's own, all that make sense in a message.
var Filters = func() map[string]*Filter {
	all := map[string]*Filter{}
	maps.Copy(all, textFilters)
	maps.Copy(all, numberFilters)
	maps.Copy(all, listFilters)
	return all
}()

// OfText makes a filter of a function of a text.
func OfText(f func(string) string) func(*State, Value, []Value) Value {
	return func(_ *State, in Value, _ []Value) Value { return Literal(f(in.String())) }
}

func ofNumber(f func(float64) float64) func(*State, Value, []Value) Value {
	return func(s *State, in Value, _ []Value) Value { return s.finite(f(in.Number())) }
}

func ofNumbers(f func(a, b float64) float64) func(*State, Value, []Value) Value {
	return func(s *State, in Value, args []Value) Value { return s.finite(f(in.Number(), args[0].Number())) }
}

// finite refuses what no reader could make sense of.
func (s *State) finite(n float64) Value {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		s.Fail(CodeRender, "a calculation has no result: a division by zero, or a number out of bounds")
		return Number(0)
	}
	return Number(n)
}

var textFilters = map[string]*Filter{
	"default": {Usage: `default: "…"`, Meaning: "the argument if the value is missing, empty or false", Min: 1, Max: 1, TakesMissing: true, Apply: func(_ *State, in Value, args []Value) Value {
		if in.blank() {
			return args[0]
		}
		return in
	}},
	"append":       {Usage: `append: "…"`, Meaning: "puts a text behind", Min: 1, Max: 1, Apply: func(_ *State, in Value, args []Value) Value { return Literal(in.String() + args[0].String()) }},
	"prepend":      {Usage: `prepend: "…"`, Meaning: "puts a text before", Min: 1, Max: 1, Apply: func(_ *State, in Value, args []Value) Value { return Literal(args[0].String() + in.String()) }},
	"upcase":       {Usage: "upcase", Meaning: "LARGE letters", Apply: OfText(strings.ToUpper)},
	"downcase":     {Usage: "downcase", Meaning: "small letters", Apply: OfText(strings.ToLower)},
	"capitalize":   {Usage: "capitalize", Meaning: "the first letter large, the others small", Apply: OfText(capitalize)},
	"strip":        {Usage: "strip", Meaning: "without space at both ends", Apply: OfText(strings.TrimSpace)},
	"lstrip":       {Usage: "lstrip", Meaning: "without space at the beginning", Apply: OfText(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) })},
	"rstrip":       {Usage: "rstrip", Meaning: "without space at the end", Apply: OfText(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) })},
	"replace":      {Usage: `replace: "a", "b"`, Meaning: "every a becomes b", Min: 2, Max: 2, Apply: replaceAll(-1)},
	"remove":       {Usage: `remove: "a"`, Meaning: "without any a", Min: 1, Max: 1, Apply: replaceAll(-1)},
	"remove_first": {Usage: `remove_first: "a"`, Meaning: "without the first a", Min: 1, Max: 1, Apply: replaceAll(1)},
	"replace_first": {
		Usage: `replace_first: "a", "b"`, Meaning: "the first a becomes b", Min: 2, Max: 2, Apply: replaceAll(1),
	},
	"truncate": {Usage: "truncate: 20", Meaning: "at most so many characters, the last of them …", Max: 2, Apply: truncate},
	"slice":    {Usage: "slice: 0, 3", Meaning: "a part: from where (from 0; negative from the end), how many characters", Min: 1, Max: 2, Apply: slice},
	"split":    {Usage: `split: ","`, Meaning: "a list, divided at the argument", Min: 1, Max: 1, Apply: split},
	"size":     {Usage: "size", Meaning: "how many characters, or items", Apply: func(_ *State, in Value, _ []Value) Value { return sizeOf(in) }},
	"pluralize": {Usage: `pluralize: "day", "days"`, Meaning: "the first word for 1, else the second", Min: 2, Max: 2, Apply: func(_ *State, in Value, args []Value) Value {
		if in.Number() == 1 {
			return args[0]
		}
		return args[1]
	}},
}

func sizeOf(in Value) Value {
	if out := in.property("size"); out.kind != KindMissing {
		return out
	}
	return Number(0)
}

func capitalize(s string) string {
	r := []rune(strings.ToLower(s))
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

func replaceAll(times int) func(*State, Value, []Value) Value {
	return func(s *State, in Value, args []Value) Value {
		from, old, to := in.String(), args[0].String(), ""
		if len(args) > 1 {
			to = args[1].String()
		}
		if old == "" {
			return in
		}
		s.Work(len(from) / 4)
		if n := strings.Count(from, old); times < 0 && len(from)+n*(len(to)-len(old)) > MaxOutput {
			s.Fail(CodeTooLarge, "the filter replace made more than %d KiB", MaxOutput>>10)
			return in
		}
		return Literal(strings.Replace(from, old, to, times))
	}
}

func truncate(_ *State, in Value, args []Value) Value {
	limit, tail := 50, "…"
	if len(args) > 0 {
		limit = int(args[0].Number())
	}
	if len(args) > 1 {
		tail = args[1].String()
	}
	r := []rune(in.String())
	if len(r) <= limit {
		return in
	}
	return Literal(string(r[:max(min(limit-len([]rune(tail)), len(r)), 0)]) + tail)
}

func slice(_ *State, in Value, args []Value) Value {
	from, n := int(args[0].Number()), 1
	if len(args) > 1 {
		n = int(args[1].Number())
	}
	if in.kind == KindList {
		a, b := span(from, n, len(in.list))
		return List(in.list[a:b])
	}
	r := []rune(in.String())
	a, b := span(from, n, len(r))
	return Literal(string(r[a:b]))
}

func span(from, n, length int) (int, int) {
	if from < 0 {
		from += length
	}
	if from < 0 || from >= length || n <= 0 {
		return 0, 0
	}
	return from, from + min(n, length-from)
}

// maxItems bounds the lists a template can make.
const maxItems = 1000

func split(s *State, in Value, args []Value) Value {
	from, at := in.String(), args[0].String()
	s.Work(len(from) / 2)
	parts := strings.SplitN(from, at, maxItems+1)
	if len(parts) > maxItems {
		s.Fail(CodeTooLarge, "the filter split made more than %d items", maxItems)
		return Value{kind: KindList}
	}
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = Literal(p)
	}
	return List(items)
}

var numberFilters = map[string]*Filter{
	"plus":       {Usage: "plus: 1", Meaning: "adds", Min: 1, Max: 1, Apply: ofNumbers(func(a, b float64) float64 { return a + b })},
	"minus":      {Usage: "minus: 1", Meaning: "subtracts", Min: 1, Max: 1, Apply: ofNumbers(func(a, b float64) float64 { return a - b })},
	"times":      {Usage: "times: 2", Meaning: "multiplies", Min: 1, Max: 1, Apply: ofNumbers(func(a, b float64) float64 { return a * b })},
	"divided_by": {Usage: "divided_by: 2", Meaning: "divides; two whole numbers give a whole number", Min: 1, Max: 1, Apply: ofNumbers(divide)},
	"modulo":     {Usage: "modulo: 2", Meaning: "what a division leaves over", Min: 1, Max: 1, Apply: ofNumbers(math.Mod)},
	"abs":        {Usage: "abs", Meaning: "without the minus sign", Apply: ofNumber(math.Abs)},
	"ceil":       {Usage: "ceil", Meaning: "rounded up", Apply: ofNumber(math.Ceil)},
	"floor":      {Usage: "floor", Meaning: "rounded down", Apply: ofNumber(math.Floor)},
	"round": {Usage: "round: 1", Meaning: "rounded, to so many places", Max: 1, Apply: func(s *State, in Value, args []Value) Value {
		places := 0.0
		if len(args) > 0 {
			places = min(max(args[0].Number(), 0), 9)
		}
		unit := math.Pow(10, places)
		return s.finite(math.Floor(in.Number()*unit+0.5) / unit)
	}},
	"at_least": {Usage: "at_least: 0", Meaning: "the argument if the number is smaller", Min: 1, Max: 1, Apply: ofNumbers(func(a, b float64) float64 { return max(a, b) })},
	"at_most":  {Usage: "at_most: 10", Meaning: "the argument if the number is larger", Min: 1, Max: 1, Apply: ofNumbers(func(a, b float64) float64 { return min(a, b) })},
}

func divide(a, b float64) float64 {
	if a == math.Trunc(a) && b == math.Trunc(b) {
		return math.Floor(a / b)
	}
	return a / b
}

func ofList(f func(items []Value) []Value) func(*State, Value, []Value) Value {
	return func(s *State, in Value, _ []Value) Value {
		s.Work(4 * len(in.list))
		return List(f(slices.Clone(in.list)))
	}
}

var listFilters = map[string]*Filter{
	"join":  {Usage: `join: "、"`, Meaning: "a text, with the argument between the items", Max: 1, Apply: join},
	"first": {Usage: "first", Meaning: "the first item", Apply: func(_ *State, in Value, _ []Value) Value { return in.index(0) }},
	"last":  {Usage: "last", Meaning: "the last item", Apply: func(_ *State, in Value, _ []Value) Value { return in.index(-1) }},
	"reverse": {Usage: "reverse", Meaning: "the other way round", KeepsItems: true, Apply: ofList(func(l []Value) []Value {
		slices.Reverse(l)
		return l
	})},
	"sort": {Usage: "sort", Meaning: "by letter, number or date", KeepsItems: true, Apply: ofList(func(l []Value) []Value {
		slices.SortStableFunc(l, func(a, b Value) int { n, _ := a.compare(b); return n })
		return l
	})},
	"uniq":    {Usage: "uniq", Meaning: "each only once", KeepsItems: true, Apply: ofList(uniq)},
	"compact": {Usage: "compact", Meaning: "without empty items", KeepsItems: true, Apply: ofList(func(l []Value) []Value { return slices.DeleteFunc(l, Value.blank) })},
	"map": {Usage: `map: "title"`, Meaning: "one field of each item", Min: 1, Max: 1, Apply: func(s *State, in Value, args []Value) Value {
		s.Work(4 * len(in.list))
		items := make([]Value, 0, len(in.list))
		for _, item := range in.list {
			if v := item.property(args[0].String()); v.kind != KindMissing {
				items = append(items, v)
			}
		}
		return List(items)
	}},
}

func uniq(l []Value) []Value {
	seen := map[string]bool{}
	return slices.DeleteFunc(l, func(v Value) bool {
		key := v.String()
		if v.kind == KindObject || !seen[key] {
			seen[key] = true
			return false
		}
		return true
	})
}

func join(s *State, in Value, args []Value) Value {
	between := s.Separator
	if len(args) > 0 {
		between = args[0].String()
	}
	if in.kind != KindList {
		return in
	}
	return Literal(s.joined(in.list, between))
}

// joined joins the items and stops at the limit of a message.
func (s *State) joined(items []Value, between string) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(item.String())
		if b.Len() > MaxOutput {
			s.Fail(CodeTooLarge, "a list made more than %d KiB", MaxOutput>>10)
			break
		}
	}
	return b.String()
}
