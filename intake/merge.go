package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carebell/carebell/care"
)

// ErrRecord says that the record that a patch should go into cannot be read: it stays as it is.
var ErrRecord = errors.New("the record in the store is not a JSON object")

// MergeRecord joins a patch with a record, nil if there is none yet. Only what the patch says is set, a blank (null, "", [], {})
// changes nothing, vehicles match by id, visits by order or else by closed_on, odometer readings by date, other lists are
// replaced; a no to service messages is one to care messages too; unknown fields and the order of all fields stay. If nothing changes, old itself is returned; the patch's own record may be
// returned too, so nobody may write into what comes back.
func MergeRecord(old []byte, patch Patch) ([]byte, error) {
	missing := len(bytes.TrimSpace(old)) == 0
	switch {
	case missing && patch.Existing:
		return nil, nil
	case missing && patch.whole:
		return patch.Record, nil
	case patch.whole && bytes.Equal(old, patch.Record):
		return old, nil // as most rows of a nightly export
	}
	m := merger{additive: patch.additive, back: !patch.Existing}
	set, err := m.members(patch.Record)
	if err != nil {
		return nil, fmt.Errorf("patch of customer %s: %w", patch.ID, err)
	}
	if missing {
		merged, _, err := m.object(nil, nil, set)
		return merged, err
	}
	record, err := m.members(old)
	if err != nil {
		return nil, ErrRecord
	}
	if m.back && m.notGone(record) {
		old = nil // it is written anew
	}
	merged, changed, err := m.object(old, record, set)
	if err != nil || !changed && old != nil {
		return old, err
	}
	return merged, nil
}

// Gone is the patch that marks a customer as missing from a full export: a hold from that day on.
func Gone(id string, since care.Date) Patch {
	record := fmt.Sprintf(`{"holds":[{"reason":%q,"since":%q}]}`, care.Gone, since)
	return Patch{ID: id, Record: []byte(record), Existing: true, additive: true}
}

// notGone takes the hold out of a record that Gone put there.
func (m *merger) notGone(record []member) (changed bool) {
	at := find(record, "holds")
	if at < 0 || !bytes.Contains(record[at].value, []byte(`"`+care.Gone+`"`)) {
		return false
	}
	var kept [][]byte
	for _, hold := range m.elements(record[at].value) {
		if fields, err := m.members(hold); err == nil && string(word(fields, "reason")) == care.Gone {
			changed = true
			continue
		}
		kept = append(kept, hold)
	}
	if changed {
		record[at].value = slices.Concat([]byte("["), bytes.Join(kept, []byte(",")), []byte("]"))
	}
	return changed
}

// merger holds the members of all objects that one merge looks into, in few pieces of memory.
type merger struct {
	additive bool // holds are added to those that are there
	back     bool // the customer is in a file: no longer gone
	dec      jsontext.Decoder
	raw      bytes.Buffer // what dec reads
	arena    []member
	items    []json.RawMessage
}

// member is one name and value of a JSON object.
type member struct {
	name  []byte // as text
	value json.RawMessage
}

var errObject = errors.New("not a JSON object")

// begin makes raw the document to read and reports whether it is an object, or a list.
func (m *merger) begin(raw []byte, kind jsontext.Kind) bool {
	// What encoding/json takes is taken: the records that exist may have a name twice, and broken characters.
	m.raw = *bytes.NewBuffer(raw)
	m.dec.Reset(&m.raw, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	token, err := m.dec.ReadToken()
	return err == nil && token.Kind() == kind
}

// next cuts the next value, or the name of a member, out of raw. It is checked as a whole.
func (m *merger) next(raw []byte) ([]byte, error) {
	value, err := m.dec.ReadValue()
	end := int(m.dec.InputOffset())
	return raw[end-len(value) : end : end], err
}

// end reports whether the object or list ends here, and the document with it.
func (m *merger) end() bool {
	if _, err := m.dec.ReadToken(); err != nil {
		return false
	}
	_, err := m.dec.ReadToken()
	return err == io.EOF //nolint:errorlint // jsontext documents io.EOF itself
}

// members parts a JSON object and keeps the order.
func (m *merger) members(raw []byte) ([]member, error) {
	if !m.begin(raw, jsontext.KindBeginObject) {
		return nil, errObject
	}
	if cap(m.arena)-len(m.arena) < 8 {
		m.arena = make([]member, 0, 48) // the slices of the old one stay good
	}
	from := len(m.arena)
	for m.dec.PeekKind() != jsontext.KindEndObject {
		name, err := m.next(raw)
		if err != nil {
			return nil, errObject
		}
		value, err := m.next(raw)
		if err != nil {
			return nil, errObject
		}
		m.arena = append(m.arena, member{unquoted(name), value})
	}
	if !m.end() {
		return nil, errObject
	}
	return m.arena[from:len(m.arena):len(m.arena)], nil
}

// unquoted returns the text of a JSON string, a part of raw where it can, and nil if it is none.
func unquoted(raw []byte) []byte {
	if len(raw) >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return raw[1 : len(raw)-1 : len(raw)-1]
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return []byte(s)
}

func find(all []member, name string) int {
	for i := range all {
		if string(all[i].name) == name {
			return i
		}
	}
	return -1
}

// word returns the member's text, "" if it has none.
func word(all []member, name string) []byte {
	if i := find(all, name); i >= 0 {
		return unquoted(all[i].value)
	}
	return nil
}

func blank(raw json.RawMessage) bool {
	switch string(raw) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return false
}

// object sets the members in the record, and says whether that changed anything. old is the record as it is written; what has not
// changed is not written anew.
func (m *merger) object(old []byte, record, set []member) (merged []byte, changed bool, err error) {
	if word := find(set, "service"); word >= 0 && string(set[word].value) == "false" && find(record, "care") >= 0 && find(set, "care") < 0 {
		set = append(slices.Clip(set), member{name: []byte("care"), value: set[word].value})
	}
	size := len(old) + 2
	for i := range set {
		if blank(set[i].value) {
			continue
		}
		at := find(record, string(set[i].name))
		if at < 0 {
			at = len(record)
			record = append(record, member{name: set[i].name, value: null})
		}
		joined, different, err := m.value(string(set[i].name), record[at].value, set[i].value)
		if err != nil {
			return nil, false, err
		}
		record[at].value = joined
		if different {
			changed = true
			size += len(set[i].name) + len(joined) + 4
		}
	}
	if !changed && old != nil {
		return old, false, nil
	}
	o := object{b: make([]byte, 0, size)}
	o.b = append(o.b, '{')
	for i := range record {
		if len(o.b) > 1 {
			o.b = append(o.b, ',')
		}
		o.b = append(append(appendString(o.b, record[i].name), ':'), record[i].value...)
	}
	o.close('}')
	return o.b, changed, nil
}

var null = json.RawMessage("null")

func (m *merger) value(name string, old, to json.RawMessage) (json.RawMessage, bool, error) {
	keys, isList := listKeys[name]
	switch {
	case isList && to[0] == '[' && (name != "holds" || m.additive):
		return m.list(old, to, keys)
	case to[0] == '{':
		set, err := m.members(to)
		if err != nil {
			return nil, false, err
		}
		record, err := m.members(old)
		if err != nil {
			return m.object(nil, nil, set) // it was null, or something else that is no object
		}
		return m.object(old, record, set)
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
	if a[0] != b[0] {
		return false
	}
	switch a[0] {
	case '"':
		return bytes.Equal(unquoted(a), unquoted(b))
	case '{', '[':
		var x, y bytes.Buffer
		return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
	}
	return false
}

// listKeys are the fields by which the items of a list are known: the first of them that both items have.
var listKeys = map[string][]string{"vehicles": {"id"}, "odometer": {"on"}, "visits": {"order", "closed_on"}, "holds": {"reason"}}

// index finds the items of a list by their keys: the first one each.
type index struct {
	keys    []string
	at      []map[string]int
	without map[string]int // by the second key, of items that have no first one
}

func newIndex(keys []string, size int) *index {
	x := &index{keys: keys, without: map[string]int{}}
	for range keys {
		x.at = append(x.at, make(map[string]int, size))
	}
	return x
}

func (x *index) add(i int, fields []member) {
	first := true
	for k, name := range x.keys {
		key := word(fields, name)
		if len(key) == 0 {
			continue
		}
		if _, there := x.at[k][string(key)]; !there {
			x.at[k][string(key)] = i
		}
		if _, there := x.without[string(key)]; k > 0 && first && !there {
			x.without[string(key)] = i
		}
		first = false
	}
}

// find returns the first item about the same thing, or -1.
func (x *index) find(fields []member) int {
	best, first := -1, true
	for k, name := range x.keys {
		key := word(fields, name)
		if len(key) == 0 {
			continue
		}
		at := x.at[k]
		if k > 0 && !first {
			at = x.without // both have a first key, and it differs
		}
		if i, ok := at[string(key)]; ok && (best < 0 || i < best) {
			best = i
		}
		first = false
	}
	return best
}

func (x *index) named(fields []member) bool {
	return slices.ContainsFunc(x.keys, func(name string) bool { return len(word(fields, name)) > 0 })
}

// elements parts a JSON list; what is no list has none.
func (m *merger) elements(raw []byte) []json.RawMessage {
	if !m.begin(raw, jsontext.KindBeginArray) {
		return nil
	}
	if cap(m.items)-len(m.items) < 2 {
		m.items = make([]json.RawMessage, 0, 16)
	}
	from := len(m.items)
	for m.dec.PeekKind() != jsontext.KindEndArray {
		item, err := m.next(raw)
		if err != nil {
			break // it is a part of a document that was read as a whole
		}
		m.items = append(m.items, item)
	}
	return m.items[from:len(m.items):len(m.items)]
}

func (m *merger) list(old, set json.RawMessage, keys []string) (json.RawMessage, bool, error) {
	before, items := m.elements(old), m.elements(set)
	parsed := make([][]member, 0, len(before)+len(items))
	known := newIndex(keys, len(before)+len(items))
	for i, item := range before {
		fields, err := m.members(item)
		if err != nil {
			fields = nil // it stays as it is, and matches nothing
		}
		parsed = append(parsed, fields)
		known.add(i, fields)
	}
	changed := false
	for _, item := range items {
		fields, err := m.members(item)
		if err != nil {
			return nil, false, err
		}
		i := known.find(fields)
		var there json.RawMessage
		var parts []member
		if i >= 0 {
			there, parts = before[i], parsed[i]
		}
		merged, different, err := m.object(there, parts, fields)
		switch {
		case err != nil:
			return nil, false, err
		case i >= 0 && !different:
			continue
		}
		if parts, err = m.members(merged); err != nil {
			return nil, false, err
		}
		if i < 0 && !known.named(parts) && slices.ContainsFunc(before, func(b json.RawMessage) bool { return same(b, merged) }) {
			continue
		}
		changed = true
		if i < 0 {
			i = len(before)
			before, parsed = append(before, merged), append(parsed, parts)
		} else {
			before[i], parsed[i] = merged, parts
		}
		known.add(i, parts)
	}
	if !changed && old[0] == '[' {
		return old, false, nil
	}
	size := 2
	for _, item := range before {
		size += len(item) + 1
	}
	out := append(make([]byte, 0, size), '[')
	for i, item := range before {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']'), changed, nil
}
