package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// ErrRecord says that the record that a patch should go into cannot be read: it stays as it is.
var ErrRecord = errors.New("the record in the store is not a JSON object")

// MergeRecord joins a patch with a record, nil if there is none yet. Only what the patch says is set, a blank (null, "", [], {})
// changes nothing, vehicles match by id, visits by order or else by closed_on, odometer readings by date, other lists are
// replaced; unknown fields and the order of all fields stay. If nothing changes, old itself is returned.
func MergeRecord(old []byte, patch Patch) ([]byte, error) {
	if !json.Valid(patch.Record) {
		return nil, fmt.Errorf("patch of customer %s: %w", patch.ID, errObject)
	}
	set, err := members(patch.Record)
	if err != nil {
		return nil, fmt.Errorf("patch of customer %s: %w", patch.ID, err)
	}
	if len(bytes.TrimSpace(old)) == 0 {
		merged, _, err := mergeObject(nil, set)
		return merged, err
	}
	if !json.Valid(old) {
		return nil, ErrRecord
	}
	record, err := members(old)
	if err != nil {
		return nil, ErrRecord
	}
	merged, changed, err := mergeObject(record, set)
	if err != nil || !changed {
		return old, err
	}
	return merged, nil
}

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

var errObject = errors.New("not a JSON object")

// members parts a JSON object and keeps the order. raw must be valid JSON: what comes from outside is checked once, as a whole.
func members(raw []byte) ([]member, error) {
	i := blanks(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, errObject
	}
	all := make([]member, 0, 16)
	for i = blanks(raw, i+1); raw[i] != '}'; i = blanks(raw, i) {
		if raw[i] == ',' {
			i = blanks(raw, i+1)
		}
		end := value(raw, i)
		name := unquote(raw[i:end])
		start := blanks(raw, blanks(raw, end)+1) // behind the colon
		i = value(raw, start)
		all = append(all, member{name, raw[start:i:i]})
	}
	return all, nil
}

// blanks returns where the next character stands that is no white space.
func blanks(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == '\t') {
		i++
	}
	return i
}

// value returns where the value that begins at i ends.
func value(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what is around a number, true, false or null
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// unquote returns the text of a JSON string, "" if it is none.
func unquote(raw []byte) string {
	if len(raw) >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func find(all []member, name string) int {
	return slices.IndexFunc(all, func(m member) bool { return m.name == name })
}

// word returns the member's text, "" if it has none.
func word(all []member, name string) string {
	if i := find(all, name); i >= 0 {
		return unquote(all[i].value)
	}
	return ""
}

func blank(raw json.RawMessage) bool {
	switch string(raw) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return false
}

// mergeObject sets the members in the record, and says whether that changed anything.
func mergeObject(record, set []member) (merged []byte, changed bool, err error) {
	for _, m := range set {
		if blank(m.value) {
			continue
		}
		i := find(record, m.name)
		if i < 0 {
			i = len(record)
			record = append(record, member{name: m.name, value: json.RawMessage("null")})
		}
		joined, different, err := mergeValue(m.name, record[i].value, m.value)
		if err != nil {
			return nil, false, err
		}
		record[i].value = joined
		changed = changed || different
	}
	o := object{b: make([]byte, 0, 512)}
	o.b = append(o.b, '{')
	for _, m := range record {
		if len(o.b) > 1 {
			o.b = append(o.b, ',')
		}
		o.b = append(append(appendString(o.b, m.name), ':'), m.value...)
	}
	o.close('}')
	return o.b, changed, nil
}

func mergeValue(name string, old, to json.RawMessage) (json.RawMessage, bool, error) {
	match, isList := matches[name]
	switch {
	case isList && to[0] == '[':
		return mergeList(old, to, match)
	case to[0] == '{':
		set, err := members(to)
		if err != nil {
			return nil, false, err
		}
		record, err := members(old)
		if err != nil {
			record = nil // null, or something else that was no object
		}
		return mergeObject(record, set)
	}
	if same(old, to) {
		return old, false, nil
	}
	return to, true, nil
}

// same compares two values without regard to how they are written.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	if bytes.Equal(x.Bytes(), y.Bytes()) {
		return true
	}
	return a[0] == '"' && b[0] == '"' && unquote(a) == unquote(b)
}

// matches says which items of a list are about the same thing.
var matches = map[string]func(old, set []member) bool{
	"vehicles": func(old, set []member) bool { return word(set, "id") != "" && word(old, "id") == word(set, "id") },
	"odometer": func(old, set []member) bool { return word(set, "on") != "" && word(old, "on") == word(set, "on") },
	"visits": func(old, set []member) bool {
		a, b := word(old, "order"), word(set, "order")
		if a != "" && b != "" {
			return a == b
		}
		return word(set, "closed_on") != "" && word(old, "closed_on") == word(set, "closed_on")
	},
}

// elements parts a JSON list; what is no list has none.
func elements(raw []byte) []json.RawMessage {
	if raw[0] != '[' {
		return nil
	}
	var all []json.RawMessage
	for i := blanks(raw, 1); raw[i] != ']'; i = blanks(raw, i) {
		if raw[i] == ',' {
			i = blanks(raw, i+1)
		}
		end := value(raw, i)
		all, i = append(all, raw[i:end:end]), end
	}
	return all
}

func mergeList(old, set json.RawMessage, match func(old, set []member) bool) (json.RawMessage, bool, error) {
	before, items := elements(old), elements(set)
	parsed := make([][]member, 0, len(before)+len(items))
	for _, item := range before {
		m, err := members(item)
		if err != nil {
			m = nil // it stays as it is, and matches nothing
		}
		parsed = append(parsed, m)
	}
	changed := false
	for _, item := range items {
		fields, err := members(item)
		if err != nil {
			return nil, false, err
		}
		i := slices.IndexFunc(parsed, func(m []member) bool { return m != nil && match(m, fields) })
		if i < 0 {
			i = len(before)
			before, parsed = append(before, nil), append(parsed, nil)
		}
		merged, different, err := mergeObject(parsed[i], fields)
		if err != nil {
			return nil, false, err
		}
		if before[i] == nil || different {
			changed = true
			before[i] = merged
			if parsed[i], err = members(merged); err != nil {
				return nil, false, err
			}
		}
	}
	out := []byte{'['}
	for i, item := range before {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']'), changed, nil
}
