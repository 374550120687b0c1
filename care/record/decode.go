package record

import (
	"cmp"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

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
	switch jsontext.Value(raw).Kind() {
	case jsontext.KindBeginObject, jsontext.KindNull:
	default:
		return nil, nil, false
	}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	r.defects = nil // the last caller has them
	c = new(care.Customer)
	err := jsonv2.Unmarshal(raw, c, r.options)
	return c, r.defects, err == nil
}

// reader is asked by the JSON library about each value. A value of the wrong type is passed over and reported.
type reader struct {
	options jsonv2.Options
	defects []care.Defect
}

// readers are used again, because the library remembers in the options how each type is read.
var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.options = jsonv2.JoinOptions(
		jsonv2.WithUnmarshalers(jsonv2.JoinUnmarshalers(
			scalar(r, (*care.Date).UnmarshalJSON, ""), // an error of ours is one sentence for all, and is reported as it is
			scalar(r, (*care.Birthday).UnmarshalJSON, ""),
			scalar(r, (*care.Window).UnmarshalJSON, ""),
			scalar(r, (*time.Time).UnmarshalJSON, "should be an RFC 3339 time"),
			scalar(r, whole, "should be a whole number"),
			scalar(r, wholeOrNil, "should be a whole number"),
			scalar(r, answerOrNil, "should be true or false"),
			text[string](r),
			text[care.Channel](r),
			jsonv2.UnmarshalFromFunc(r.texts),
			object[care.Preferences](r), object[map[care.Channel]care.Consent](r), object[care.Consent](r), object[care.Hold](r),
			object[care.Vehicle](r), object[care.Reading](r), object[care.Visit](r), object[care.Interval](r), object[care.Warranty](r),
			list[[]string](r), list[[]care.Channel](r), list[[]care.Hold](r), list[[]care.Vehicle](r), list[[]care.Reading](r), list[[]care.Visit](r),
		)),
		// The records that exist were written for encoding/json, so names, doubles and odd characters mean what they mean there.
		jsonv2.MatchCaseInsensitiveNames(true),
		jsonv1.MatchCaseSensitiveDelimiter(true),
		jsonv1.MergeWithLegacySemantics(true),
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
	)
	return r
}}

// scalar reads a value by a function that changes nothing if it fails. Without a message, that of its error is reported.
func scalar[T any](r *reader, read func(v *T, raw []byte) error, message string) *jsonv2.Unmarshalers {
	return jsonv2.UnmarshalFromFunc(func(dec *jsontext.Decoder, v *T) error {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := read(v, raw); err != nil {
			r.report(dec, cmp.Or(message, err.Error()))
		}
		return nil
	})
}

// text reads a text; null changes nothing, as in encoding/json.
func text[T ~string](r *reader) *jsonv2.Unmarshalers {
	return jsonv2.UnmarshalFromFunc(func(dec *jsontext.Decoder, v *T) error {
		switch dec.PeekKind() {
		case jsontext.KindString:
			token, err := dec.ReadToken()
			if err == nil {
				*v = T(token.String())
			}
			return err
		case jsontext.KindNull, jsontext.KindInvalid:
			return dec.SkipValue()
		}
		return r.passOver(dec, "should be a text")
	})
}

// texts reads a list of texts. What is no text has no place in it.
func (r *reader) texts(dec *jsontext.Decoder, texts *[]string) error {
	if dec.PeekKind() != jsontext.KindBeginArray {
		return errors.ErrUnsupported // list[[]string] is asked next
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*texts = []string{}
	for {
		switch dec.PeekKind() {
		case jsontext.KindEndArray:
			_, err := dec.ReadToken()
			return err
		case jsontext.KindString:
			token, err := dec.ReadToken()
			if err != nil {
				return err
			}
			*texts = append(*texts, token.String())
		case jsontext.KindNull:
			if err := dec.SkipValue(); err != nil {
				return err
			}
			*texts = append(*texts, "")
		default:
			if err := r.passOver(dec, "should be a text"); err != nil {
				return err
			}
		}
	}
}

func object[T any](r *reader) *jsonv2.Unmarshalers {
	return composite[T](r, jsontext.KindBeginObject, "should be an object")
}

func list[T any](r *reader) *jsonv2.Unmarshalers {
	return composite[T](r, jsontext.KindBeginArray, "should be a list")
}

// composite looks at what the library reads by its parts. errors.ErrUnsupported leaves it to the library.
func composite[T any](r *reader, begin jsontext.Kind, message string) *jsonv2.Unmarshalers {
	return jsonv2.UnmarshalFromFunc(func(dec *jsontext.Decoder, _ *T) error {
		switch dec.PeekKind() {
		case begin, jsontext.KindNull, jsontext.KindInvalid:
			return errors.ErrUnsupported
		}
		return r.passOver(dec, message)
	})
}

// passOver skips the next value and reports it.
func (r *reader) passOver(dec *jsontext.Decoder, message string) error {
	if err := dec.SkipValue(); err != nil {
		return err
	}
	r.report(dec, message)
	return nil
}

// report says what is wrong with the value that was read last.
func (r *reader) report(dec *jsontext.Decoder, message string) {
	r.defects = append(r.defects, care.Defect{Path: path(dec.StackPointer()), Message: message})
}

// path writes a JSON pointer as $.vehicles[1].sold_on. A field has the name of its Go type's tag, however the record spells it, so
// that what fails closed is known by its path.
func path(pointer jsontext.Pointer) string {
	var b strings.Builder
	b.WriteByte('$')
	t := reflect.TypeFor[care.Customer]()
	for token := range pointer.Tokens() {
		switch t.Kind() {
		case reflect.Struct:
			name, field := fieldNamed(t, token)
			b.WriteString("." + name)
			t = field
		case reflect.Slice:
			b.WriteString("[" + token + "]")
			t = t.Elem()
		default:
			b.WriteString("." + token)
			t = t.Elem()
		}
	}
	return b.String()
}

// fieldNamed returns the name and type of the field that the library reads a member into.
func fieldNamed(t reflect.Type, member string) (string, reflect.Type) {
	found, typ := member, t
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == member || strings.EqualFold(name, member) {
			found, typ = name, f.Type
		}
	}
	return found, typ
}

// whole reads a whole number; null changes nothing, as in encoding/json.
func whole(n *int, raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	v, err := strconv.Atoi(string(raw))
	if err == nil {
		*n = v
	}
	return err
}

// wholeOrNil reads a whole number that may be missing; null is missing.
func wholeOrNil(n **int, raw []byte) error {
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

var errNoAnswer = errors.New("neither true nor false")

// answerOrNil reads an answer that may be missing; null is missing.
func answerOrNil(yes **bool, raw []byte) error {
	switch string(raw) {
	case "null":
		*yes = nil
	case "true", "false":
		*yes = new(raw[0] == 't')
	default:
		return errNoAnswer
	}
	return nil
}
