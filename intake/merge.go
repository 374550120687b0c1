package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ErrRecord says that the record that a patch should go into cannot be read: it stays as it is.
var ErrRecord = errors.New("the record in the store is not a JSON object")

// MergeRecord joins a patch with a record, nil if there is none yet. Only what the patch says is set, a blank (null, "", [], {})
// changes nothing, vehicles match by id, visits by order or else by closed_on, odometer readings by date, other lists are
// replaced; unknown fields and the order of all fields stay. If nothing changes, old itself is returned.
func MergeRecord(old []byte, patch Patch) ([]byte, error) {
	set, err := members(patch.Record)
	if err != nil {
		return nil, fmt.Errorf("patch of customer %s: %w", patch.ID, err)
	}
	if len(bytes.TrimSpace(old)) == 0 {
		merged, _, err := mergeObject(nil, set)
		return merged, err
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

// members parts a JSON object and keeps the order.
func members(raw []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errObject
	}
	var all []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errObject
		}
		text, ok := name.(string)
		if !ok {
			return nil, errObject
		}
		all = append(all, member{text, value})
	}
	if _, err := d.Token(); err != nil || d.More() {
		return nil, errObject
	}
	return all, nil
}

func find(all []member, name string) int {
	return slices.IndexFunc(all, func(m member) bool { return m.name == name })
}

// word returns the member's text, "" if it has none.
func word(all []member, name string) string {
	var s string
	if i := find(all, name); i >= 0 && json.Unmarshal(all[i].value, &s) != nil {
		return ""
	}
	return s
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
		value, different, err := mergeValue(m.name, record[i].value, m.value)
		if err != nil {
			return nil, false, err
		}
		record[i].value = value
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

func mergeValue(name string, old, value json.RawMessage) (json.RawMessage, bool, error) {
	match, isList := matches[name]
	switch {
	case isList && value[0] == '[':
		return mergeList(old, value, match)
	case value[0] == '{':
		set, err := members(value)
		if err != nil {
			return nil, false, err
		}
		record, err := members(old)
		if err != nil {
			record = nil // null, or something else that was no object
		}
		return mergeObject(record, set)
	}
	if same(old, value) {
		return old, false, nil
	}
	return value, true, nil
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
	var s, t string
	return json.Unmarshal(a, &s) == nil && json.Unmarshal(b, &t) == nil && s == t
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

func mergeList(old, value json.RawMessage, match func(old, set []member) bool) (json.RawMessage, bool, error) {
	var before, items []json.RawMessage
	if json.Unmarshal(old, &before) != nil {
		before = nil // null, or something else that was no list
	}
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, false, errObject
	}
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
		set, err := members(item)
		if err != nil {
			return nil, false, err
		}
		i := slices.IndexFunc(parsed, func(m []member) bool { return m != nil && match(m, set) })
		if i < 0 {
			i = len(before)
			before, parsed = append(before, nil), append(parsed, nil)
		}
		merged, different, err := mergeObject(parsed[i], set)
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
