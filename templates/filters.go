package templates

import (
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// filter is one of those a template may use.
type filter struct {
	usage, meaning string
	min, max       int  // arguments
	takesMissing   bool // default: every other filter leaves a missing value missing
	keepsItems     bool // a list goes in and its items come out
	trade          bool // ours, not one of Liquid's own
	apply          func(s *state, in value, args []value) value
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

// filters is the table of all filters; docs/templates.md is made of it.
var filters = func() map[string]*filter {
	all := map[string]*filter{}
	maps.Copy(all, textFilters)
	maps.Copy(all, numberFilters)
	maps.Copy(all, listFilters)
	maps.Copy(all, tradeFilters)
	return all
}()

func filterNames() []string { return slices.Sorted(maps.Keys(filters)) }

func ofText(f func(string) string) func(*state, value, []value) value {
	return func(_ *state, in value, _ []value) value { return literalText(f(in.String())) }
}

func ofNumber(f func(float64) float64) func(*state, value, []value) value {
	return func(s *state, in value, _ []value) value { return s.finite(f(in.number())) }
}

func ofNumbers(f func(a, b float64) float64) func(*state, value, []value) value {
	return func(s *state, in value, args []value) value { return s.finite(f(in.number(), args[0].number())) }
}

// finite refuses what no reader could make sense of.
func (s *state) finite(n float64) value {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		s.fail(codeRender, "a calculation has no result: a division by zero, or a number out of bounds")
		return numberValue(0)
	}
	return numberValue(n)
}

var textFilters = map[string]*filter{
	"default": {usage: `default: "…"`, meaning: "the argument if the value is missing, empty or false", min: 1, max: 1, takesMissing: true, apply: func(_ *state, in value, args []value) value {
		if in.blank() {
			return args[0]
		}
		return in
	}},
	"append":       {usage: `append: "…"`, meaning: "puts a text behind", min: 1, max: 1, apply: func(_ *state, in value, args []value) value { return literalText(in.String() + args[0].String()) }},
	"prepend":      {usage: `prepend: "…"`, meaning: "puts a text before", min: 1, max: 1, apply: func(_ *state, in value, args []value) value { return literalText(args[0].String() + in.String()) }},
	"upcase":       {usage: "upcase", meaning: "LARGE letters", apply: ofText(strings.ToUpper)},
	"downcase":     {usage: "downcase", meaning: "small letters", apply: ofText(strings.ToLower)},
	"capitalize":   {usage: "capitalize", meaning: "the first letter large, the others small", apply: ofText(capitalize)},
	"strip":        {usage: "strip", meaning: "without space at both ends", apply: ofText(strings.TrimSpace)},
	"lstrip":       {usage: "lstrip", meaning: "without space at the beginning", apply: ofText(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) })},
	"rstrip":       {usage: "rstrip", meaning: "without space at the end", apply: ofText(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) })},
	"replace":      {usage: `replace: "a", "b"`, meaning: "every a becomes b", min: 2, max: 2, apply: replaceAll(-1)},
	"remove":       {usage: `remove: "a"`, meaning: "without any a", min: 1, max: 1, apply: replaceAll(-1)},
	"remove_first": {usage: `remove_first: "a"`, meaning: "without the first a", min: 1, max: 1, apply: replaceAll(1)},
	"replace_first": {
		usage: `replace_first: "a", "b"`, meaning: "the first a becomes b", min: 2, max: 2, apply: replaceAll(1),
	},
	"truncate": {usage: "truncate: 20", meaning: "at most so many characters, the last of them …", max: 2, apply: truncate},
	"slice":    {usage: "slice: 0, 3", meaning: "a part: from where (from 0; negative from the end), how many characters", min: 1, max: 2, apply: slice},
	"split":    {usage: `split: ","`, meaning: "a list, divided at the argument", min: 1, max: 1, apply: split},
	"size":     {usage: "size", meaning: "how many characters, or items", apply: func(_ *state, in value, _ []value) value { return sizeOf(in) }},
	"pluralize": {usage: `pluralize: "day", "days"`, meaning: "the first word for 1, else the second", min: 2, max: 2, apply: func(_ *state, in value, args []value) value {
		if in.number() == 1 {
			return args[0]
		}
		return args[1]
	}},
}

func sizeOf(in value) value {
	if out := in.property("size"); out.kind != missing {
		return out
	}
	return numberValue(0)
}

func capitalize(s string) string {
	r := []rune(strings.ToLower(s))
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

func replaceAll(times int) func(*state, value, []value) value {
	return func(s *state, in value, args []value) value {
		from, old, to := in.String(), args[0].String(), ""
		if len(args) > 1 {
			to = args[1].String()
		}
		if old == "" {
			return in
		}
		s.work(len(from) / 4)
		if n := strings.Count(from, old); times < 0 && len(from)+n*(len(to)-len(old)) > maxOutput {
			s.fail(codeTooLarge, "the filter replace made more than %d KiB", maxOutput>>10)
			return in
		}
		return literalText(strings.Replace(from, old, to, times))
	}
}

func truncate(_ *state, in value, args []value) value {
	limit, tail := 50, "…"
	if len(args) > 0 {
		limit = int(args[0].number())
	}
	if len(args) > 1 {
		tail = args[1].String()
	}
	r := []rune(in.String())
	if len(r) <= limit {
		return in
	}
	return literalText(string(r[:max(min(limit-len([]rune(tail)), len(r)), 0)]) + tail)
}

func slice(_ *state, in value, args []value) value {
	from, n := int(args[0].number()), 1
	if len(args) > 1 {
		n = int(args[1].number())
	}
	if in.kind == list {
		a, b := span(from, n, len(in.list))
		return value{kind: list, list: in.list[a:b]}
	}
	r := []rune(in.String())
	a, b := span(from, n, len(r))
	return literalText(string(r[a:b]))
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

func split(s *state, in value, args []value) value {
	from, at := in.String(), args[0].String()
	s.work(len(from) / 2)
	parts := strings.SplitN(from, at, maxItems+1)
	if len(parts) > maxItems {
		s.fail(codeTooLarge, "the filter split made more than %d items", maxItems)
		return value{kind: list}
	}
	items := make([]value, len(parts))
	for i, p := range parts {
		items[i] = literalText(p)
	}
	return value{kind: list, list: items}
}

var numberFilters = map[string]*filter{
	"plus":       {usage: "plus: 1", meaning: "adds", min: 1, max: 1, apply: ofNumbers(func(a, b float64) float64 { return a + b })},
	"minus":      {usage: "minus: 1", meaning: "subtracts", min: 1, max: 1, apply: ofNumbers(func(a, b float64) float64 { return a - b })},
	"times":      {usage: "times: 2", meaning: "multiplies", min: 1, max: 1, apply: ofNumbers(func(a, b float64) float64 { return a * b })},
	"divided_by": {usage: "divided_by: 2", meaning: "divides; two whole numbers give a whole number", min: 1, max: 1, apply: ofNumbers(divide)},
	"modulo":     {usage: "modulo: 2", meaning: "what a division leaves over", min: 1, max: 1, apply: ofNumbers(math.Mod)},
	"abs":        {usage: "abs", meaning: "without the minus sign", apply: ofNumber(math.Abs)},
	"ceil":       {usage: "ceil", meaning: "rounded up", apply: ofNumber(math.Ceil)},
	"floor":      {usage: "floor", meaning: "rounded down", apply: ofNumber(math.Floor)},
	"round": {usage: "round: 1", meaning: "rounded, to so many places", max: 1, apply: func(s *state, in value, args []value) value {
		places := 0.0
		if len(args) > 0 {
			places = min(max(args[0].number(), 0), 9)
		}
		unit := math.Pow(10, places)
		return s.finite(math.Floor(in.number()*unit+0.5) / unit)
	}},
	"at_least": {usage: "at_least: 0", meaning: "the argument if the number is smaller", min: 1, max: 1, apply: ofNumbers(func(a, b float64) float64 { return max(a, b) })},
	"at_most":  {usage: "at_most: 10", meaning: "the argument if the number is larger", min: 1, max: 1, apply: ofNumbers(func(a, b float64) float64 { return min(a, b) })},
}

func divide(a, b float64) float64 {
	if a == math.Trunc(a) && b == math.Trunc(b) {
		return math.Floor(a / b)
	}
	return a / b
}

func ofList(f func(items []value) []value) func(*state, value, []value) value {
	return func(s *state, in value, _ []value) value {
		s.work(4 * len(in.list))
		return value{kind: list, list: f(slices.Clone(in.list))}
	}
}

var listFilters = map[string]*filter{
	"join":  {usage: `join: "、"`, meaning: "a text, with the argument between the items", max: 1, apply: join},
	"first": {usage: "first", meaning: "the first item", apply: func(_ *state, in value, _ []value) value { return in.index(0) }},
	"last":  {usage: "last", meaning: "the last item", apply: func(_ *state, in value, _ []value) value { return in.index(-1) }},
	"reverse": {usage: "reverse", meaning: "the other way round", keepsItems: true, apply: ofList(func(l []value) []value {
		slices.Reverse(l)
		return l
	})},
	"sort": {usage: "sort", meaning: "by letter, number or date", keepsItems: true, apply: ofList(func(l []value) []value {
		slices.SortStableFunc(l, func(a, b value) int { n, _ := a.compare(b); return n })
		return l
	})},
	"uniq":    {usage: "uniq", meaning: "each only once", keepsItems: true, apply: ofList(uniq)},
	"compact": {usage: "compact", meaning: "without empty items", keepsItems: true, apply: ofList(func(l []value) []value { return slices.DeleteFunc(l, value.blank) })},
	"map": {usage: `map: "title"`, meaning: "one field of each item", min: 1, max: 1, apply: func(s *state, in value, args []value) value {
		s.work(4 * len(in.list))
		items := make([]value, 0, len(in.list))
		for _, item := range in.list {
			if v := item.property(args[0].String()); v.kind != missing {
				items = append(items, v)
			}
		}
		return value{kind: list, list: items}
	}},
}

func uniq(l []value) []value {
	seen := map[string]bool{}
	return slices.DeleteFunc(l, func(v value) bool {
		key := v.String()
		if v.kind == object || !seen[key] {
			seen[key] = true
			return false
		}
		return true
	})
}

func join(s *state, in value, args []value) value {
	between := s.lang.comma()
	if len(args) > 0 {
		between = args[0].String()
	}
	if in.kind != list {
		return in
	}
	return literalText(s.joined(in.list, between))
}

// joined joins the items and stops at the limit of a message.
func (s *state) joined(items []value, between string) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(item.String())
		if b.Len() > maxOutput {
			s.fail(codeTooLarge, "a list made more than %d KiB", maxOutput>>10)
			break
		}
	}
	return b.String()
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
		for _, name := range filterNames() {
			if f := filters[name]; f.trade == trade {
				all = append(all, Filter{Name: name, Usage: f.usage, Meaning: f.meaning, Trade: trade})
			}
		}
	}
	return all
}
