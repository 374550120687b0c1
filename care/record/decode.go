package record

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carebell/carebell/care"
)

// Decode reads a customer record. A field that cannot be used is left out and reported; a defect in consent, preferences, holds
// or sold_on sets Customer.Closed as well. Names are taken in any letter case, unknown fields are ignored, and of a name that is
// there twice the last value that can be read counts, all as encoding/json does. The error is care.ErrNotJSON or care.ErrNoID; such
// a record is not planned at all. No text of the record stands in an error or a defect.
func Decode(raw []byte) (*care.Customer, []care.Defect, error) {
	c, defects, ok := read(raw)
	switch {
	case !ok:
		return nil, nil, care.ErrNotJSON
	case !care.ValidID(c.ID):
		return nil, defects, care.ErrNoID
	}
	v := validator{c: c, defects: defects}
	v.run()
	for i := range v.defects {
		if failsClosed(v.defects[i].Path) {
			v.defects[i].Closed = true
			c.Closed = true
		}
	}
	return c, v.defects, nil
}

func failsClosed(path string) bool {
	for _, p := range []string{"$.consent", "$.preferences", "$.holds"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return strings.HasSuffix(path, ".sold_on")
}

// read reads a record into the Go types and reports what does not fit them. It fails if the document is no JSON object.
func read(raw []byte) (c *care.Customer, defects []care.Defect, ok bool) {
	r := readers.Get().(*reader)
	defer readers.Put(r)
	r.path, r.defects, r.err = r.path[:0], nil, nil // the last caller has the defects
	r.dec.Reset(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	switch r.next() {
	case jsontext.KindBeginObject, jsontext.KindNull:
	default:
		return nil, nil, false
	}
	c = new(care.Customer)
	customer.read(r, c)
	r.token()
	return c, r.defects, errors.Is(r.err, io.EOF)
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// reader reads the values of a record one after another. A value of the wrong type is passed over and reported. The records that
// exist were written for encoding/json, so names, doubles, nulls and odd characters mean what they mean there.
type reader struct {
	dec     jsontext.Decoder
	path    []step // to the value that is read
	defects []care.Defect
	err     error // after an error nothing more is read
}

// step leads into an object or a list.
type step struct {
	name  string
	index int // -1 in an object
}

func (r *reader) next() jsontext.Kind {
	if r.err != nil {
		return jsontext.KindInvalid
	}
	return r.dec.PeekKind()
}

func (r *reader) token() (token jsontext.Token) {
	if r.err == nil {
		token, r.err = r.dec.ReadToken()
	}
	return token
}

func (r *reader) value() (raw jsontext.Value) {
	if r.err == nil {
		raw, r.err = r.dec.ReadValue()
	}
	return raw
}

// name reads the name of the next member, as it is written; nil if there is none.
func (r *reader) name() jsontext.Value {
	if r.next() != jsontext.KindString {
		return nil
	}
	return r.value()
}

func (r *reader) skip() {
	if r.err == nil {
		r.err = r.dec.SkipValue()
	}
}

// report says what is wrong with the value that is read. A path is written as $.vehicles[1].sold_on. A field has the name of its
// table there, however the record spells it, so that what fails closed is known by its path.
func (r *reader) report(message string) {
	path := "$"
	for _, s := range r.path {
		if s.index < 0 {
			path += "." + s.name
		} else {
			path += "[" + strconv.Itoa(s.index) + "]"
		}
	}
	r.defects = append(r.defects, care.Defect{Path: path, Message: message})
}

// begin enters an object or a list. Any other value is passed over, and reported if it is not null.
func (r *reader) begin(kind jsontext.Kind, message string) bool {
	switch r.next() {
	case kind:
		r.token()
		r.path = append(r.path, step{})
		return true
	case jsontext.KindNull:
		r.skip()
	default:
		r.skip()
		r.report(message)
	}
	return false
}

func (r *reader) at(name string, index int) { r.path[len(r.path)-1] = step{name, index} }

func (r *reader) end() {
	r.token()
	r.path = r.path[:len(r.path)-1]
}

// list reads a list. An item reports whether it has a place in it. Of a list that is there twice the second is read over the items
// of the first, as in encoding/json.
func list[T any](r *reader, to *[]T, item func(r *reader, v *T) bool) {
	if r.next() == jsontext.KindNull {
		*to = nil
	}
	if !r.begin(jsontext.KindBeginArray, "should be a list") {
		return
	}
	items := (*to)[:0]
	for i := 0; r.err == nil && r.next() != jsontext.KindEndArray; i++ {
		r.at("", i)
		more := slices.Grow(items, 1)[:len(items)+1]
		if item(r, &more[len(items)]) {
			items = more
		}
	}
	r.end()
	if len(items) == 0 {
		items = []T{}
	}
	*to = items
}

// scalar reads a value by a function that changes nothing if it fails, and reports whether it could. Without a message, that of the
// error is reported.
func scalar[T any](r *reader, v *T, parse func(v *T, raw []byte) error, message string) bool {
	raw := r.value()
	if r.err != nil {
		return false
	}
	if err := parse(v, raw); err != nil {
		r.report(cmp.Or(message, err.Error())) // an error of ours is one sentence for all
		return false
	}
	return true
}

func text[T ~string](r *reader, v *T) bool { return scalar(r, v, parseText, "should be a text") }

func date(r *reader, v *care.Date) { scalar(r, v, (*care.Date).UnmarshalJSON, "") }

func whole(r *reader, v *int) { scalar(r, v, parseWhole, "should be a whole number") }

func wholeOrNil(r *reader, v **int) { scalar(r, v, parseWholeOrNil, "should be a whole number") }

func answer(r *reader, v **bool) { scalar(r, v, parseAnswer, "should be true or false") }

var errType = errors.New("a value of another type")

// parseText reads a text; null changes nothing, as in encoding/json.
func parseText[T ~string](text *T, raw []byte) error {
	switch raw[0] {
	case '"':
		*text = T(unquote(raw))
	case 'n':
	default:
		return errType
	}
	return nil
}

// unquote returns the text of a JSON string. Odd characters are replaced.
func unquote(raw []byte) string {
	if !bytes.ContainsRune(raw, '\\') && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // the error tells of odd characters only
	return string(text)
}

// parseWhole reads a whole number; null changes nothing, as in encoding/json.
func parseWhole(n *int, raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	v, err := strconv.Atoi(string(raw))
	if err == nil {
		*n = v
	}
	return err
}

// parseWholeOrNil reads a whole number that may be missing; null is missing.
func parseWholeOrNil(n **int, raw []byte) error {
	if string(raw) == "null" {
		*n = nil
		return nil
	}
	v, err := strconv.Atoi(string(raw))
	if err == nil {
		*n = &v
	}
	return err
}

// parseAnswer reads an answer that may be missing; null is missing.
func parseAnswer(yes **bool, raw []byte) error {
	switch string(raw) {
	case "null":
		*yes = nil
	case "true", "false":
		*yes = new(raw[0] == 't')
	default:
		return errType
	}
	return nil
}
