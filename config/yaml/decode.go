package yaml

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
	"golang.org/x/text/language"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
)

// Decode reads one file into a pointer, as care.Book.Decode asks for it. What is left out of the file, or written without a value,
// keeps what was there. locate finds the place of a value in the file, as Document.Locate does.
func Decode(file string, text []byte, into any) (locate func(path string) (line, column int, excerpt string), problems []problem.Problem) {
	d := Parse(file, text)
	return d.Locate, d.Decode(into, nil)
}

// Encode writes a value as YAML with two blanks a level.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// Usable reports whether the value that was decoded is worth checking: of a file that is no YAML, empty, or of another kind as a
// whole, nothing is.
func Usable(problems []problem.Problem) bool {
	for _, p := range problems {
		if p.Rule == ruleSyntax || p.Rule == ruleEmpty || p.Rule == "wrong-type" && strings.HasPrefix(p.Message, whole+" ") {
			return false
		}
	}
	return true
}

// Decode puts the document's value into v, a pointer that already holds the defaults, and returns all faults of the file. fill, if
// not nil, is called with a pointer to each new item of a list, to put the item's defaults in place.
//
// The targets are structs with yaml or json tags, maps with text keys, lists, texts, whole numbers, numbers, true or false,
// encoding.TextUnmarshaler, care.Text (one text, or texts by language), and lists of a struct with the tags ",key" and ",value",
// which take the entries of a mapping in their order.
func (d *Document) Decode(v any, fill func(item any)) []problem.Problem {
	switch {
	case d.root != nil:
		r := &decoder{doc: d, fill: fill, open: map[*yaml.Node]bool{}, types: map[reflect.Type]fields{}}
		r.value(d.root, reflect.ValueOf(v).Elem(), whole)
	case len(d.faults) == 0:
		d.add(0, 0, ruleEmpty, "the file is empty", "compare it with the same one of `carebell init`")
	}
	return d.faults
}

// whole is what the value of a whole file is called.
const whole = "the file"

// decoder puts a syntax tree into a Go value that already holds the defaults. It is not the library's own decoder, because that one
// has no place for most faults, and none at all for what a type's UnmarshalText refuses: a marketer wants to see all faults at
// once, each with its place.
type decoder struct {
	doc  *Document
	fill func(item any)
	open map[*yaml.Node]bool // anchors whose aliases are being followed
	// types remembers the fields of structs that were met.
	types map[reflect.Type]fields
	// spent counts the values that were decoded, those behind aliases as often as they are used.
	spent    int
	overdone bool
}

func (d *decoder) problem(n *yaml.Node, rule, message, remedy string) {
	if len(d.open) > 0 && d.doc.refused[n] {
		return // it was reported where the anchor stands
	}
	line, column := position(n)
	d.doc.refused[n] = true
	d.doc.add(line, column, rule, message, remedy)
}

// spend counts values, and reports once that there are too many.
func (d *decoder) spend(n *yaml.Node, values int) bool {
	if d.spent += values; d.spent <= maxSpent {
		return true
	}
	if !d.overdone {
		d.overdone = true
		d.doc.syntax(n.Line, n.Column, fmt.Sprintf("the file comes to more than %d values", maxSpent), "use fewer aliases (*name), or divide it")
	}
	return false
}

// value decodes n into v. name is what the marketer calls it.
func (d *decoder) value(n *yaml.Node, v reflect.Value, name string) {
	if d.doc.full() || !d.spend(n, 1) {
		return
	}
	if anchor, ok := d.doc.missing[[2]int{n.Line, n.Column}]; ok && n.Kind == yaml.ScalarNode {
		d.problem(n, "unknown-name", fmt.Sprintf("%s: there is no &%s above", name, anchor), "")
		return
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.alias(n, v, name)
		return
	case n.Style&yaml.TaggedStyle != 0 || n.Tag == "!":
		d.problem(n, "wrong-type", name+" has a tag ("+clip(n.Tag, 60)+")", "leave the tag out")
		return
	case isNull(n):
		return // nothing was written: the default stays
	}
	if v.Type() == reflect.TypeFor[care.Text]() {
		d.text(n, v, name)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.unmarshal(n, u, name)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), name)
	case reflect.Struct:
		d.object(n, v, name)
	case reflect.Map:
		d.mapping(n, v, name)
	case reflect.Slice:
		if isPairs(v.Type()) {
			d.pairs(n, v, name)
			return
		}
		d.list(n, v, name)
	default:
		d.plain(n, v, name)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isText reports whether a scalar is a text: in quotes, of several lines, or no number and neither true nor false.
func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

func (d *decoder) alias(n *yaml.Node, v reflect.Value, name string) {
	if d.open[n.Alias] {
		d.problem(n, "unknown-name", fmt.Sprintf("%s: &%s stands within itself", name, clip(n.Value, 60)), "write the value out")
		return
	}
	d.open[n.Alias] = true
	d.value(n.Alias, v, name)
	delete(d.open, n.Alias)
}

// unmarshal decodes what a type reads by itself.
func (d *decoder) unmarshal(n *yaml.Node, u encoding.TextUnmarshaler, name string) {
	s, ok := d.scalar(n, name, "a text")
	if !ok {
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		message, remedy := divide(strings.TrimPrefix(err.Error(), "date: "))
		d.problem(n, "bad-value", name+": "+message, clip(remedy, 200))
	}
}

// divide parts an error of package care into what is wrong and what to write.
func divide(s string) (message, remedy string) {
	if message, remedy, ok := strings.Cut(s, ": write "); ok {
		return message, "write " + remedy
	}
	return s, ""
}

// scalar returns a value's text as it was written.
func (d *decoder) scalar(n *yaml.Node, name, want string) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		return n.Value, true
	}
	d.problem(n, "wrong-type", name+" should be "+want, d.braces(n))
	return "", false
}

// braces is the remedy for a value that begins with a tag of a template: for YAML {{ begins a mapping.
func (d *decoder) braces(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 || n.Content[0].Kind != yaml.MappingNode {
		return ""
	}
	return `put it into quotes: "{{ … }}"`
}

// plain decodes a text, a number, or true or false.
func (d *decoder) plain(n *yaml.Node, v reflect.Value, name string) {
	want := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Float64: "a number",
	}[v.Kind()]
	s, ok := d.scalar(n, name, want)
	if !ok {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
		return
	case reflect.Bool:
		if n.ShortTag() == "!!bool" {
			v.SetBool(strings.EqualFold(s, "true"))
			return
		}
	case reflect.Int:
		if i, err := strconv.ParseInt(s, 10, 32); err == nil && !isText(n) {
			v.SetInt(i)
			return
		}
	case reflect.Float64:
		if f, err := strconv.ParseFloat(s, 64); err == nil && !isText(n) && !math.IsInf(f, 0) && !math.IsNaN(f) {
			v.SetFloat(f)
			return
		}
	}
	remedy := ""
	if v.Kind() == reflect.Bool {
		remedy = map[string]string{"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}[strings.ToLower(s)]
	} else if isText(n) && s != "" && strings.Trim(s, "0123456789.") == "" {
		remedy = "write it without quotes"
	}
	d.problem(n, "wrong-type", name+" should be "+want, remedy)
}

// entry is one name and value of a mapping.
type entry struct {
	name  string
	key   *yaml.Node
	value *yaml.Node
}

// entries lists a mapping's entries. A key that is there twice counts once: Parse has reported the other.
func (d *decoder) entries(n *yaml.Node, name string) ([]entry, bool) {
	if n.Kind != yaml.MappingNode {
		remedy := ""
		if before, after, ok := strings.Cut(n.Value, "："); ok && n.Kind == yaml.ScalarNode {
			remedy = fmt.Sprintf("write the colon of the Latin script and a blank behind it: %s: %s", clip(before, 40), clip(strings.TrimSpace(after), 40))
		} else if before, after, ok := strings.Cut(n.Value, " = "); ok && n.Kind == yaml.ScalarNode {
			first, _, _ := strings.Cut(after, " ")
			remedy = fmt.Sprintf("write %s: %s", clip(before, 40), clip(first, 40))
		} else if before, after, ok := strings.Cut(n.Value, ":"); ok && isText(n) && after != "" {
			remedy = fmt.Sprintf("put a blank behind the colon: %s: %s", clip(before, 40), clip(after, 40))
		}
		d.problem(n, "wrong-type", name+" should have fields of its own (field: value)", remedy)
		return nil, false
	}
	if len(n.Content) == 0 {
		return nil, true
	}
	all := make([]entry, 0, len(n.Content)/2)
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge":
			d.problem(k, "unknown-field", "<< is not understood here", "write the fields out")
		case k.Kind != yaml.ScalarNode:
			d.problem(k, "wrong-type", "the name of a field should be a plain word", d.braces(n))
		case k.Style&yaml.TaggedStyle != 0:
			d.problem(k, "wrong-type", "the name of a field has a tag ("+clip(k.Tag, 60)+")", "leave the tag out")
		case !seen[k.Value]:
			seen[k.Value] = true
			all = append(all, entry{k.Value, k, n.Content[i+1]})
		}
	}
	return all, true
}

// fieldName is the field's name in a file; types that customer records share with it have only a JSON name.
func fieldName(f reflect.StructField) string {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok {
		tag = f.Tag.Get("json")
	}
	tag, _, _ = strings.Cut(tag, ",")
	if tag == "-" {
		return ""
	}
	return tag
}

// fields are the fields of a struct by their names.
type fields struct {
	index map[string]int
	names []string
}

func (d *decoder) fieldsOf(t reflect.Type) fields {
	if known, ok := d.types[t]; ok {
		return known
	}
	known := fields{index: map[string]int{}}
	for i := range t.NumField() {
		if f := fieldName(t.Field(i)); f != "" {
			known.index[f] = i
			known.names = append(known.names, f)
		}
	}
	d.types[t] = known
	return known
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, name string) {
	all, ok := d.entries(n, name)
	if !ok {
		return
	}
	known := d.fieldsOf(v.Type())
	for _, e := range all {
		i, ok := known.index[e.name]
		if !ok && d.doc.full() {
			return
		}
		if !ok {
			d.problem(e.key, "unknown-field", fmt.Sprintf("unknown field %q", clip(e.name, 60)), Suggest(e.name, known.names))
			continue
		}
		d.value(e.value, v.Field(i), e.name)
	}
}

// isNone reports whether the word none was written.
func isNone(n *yaml.Node) bool { return isText(n) && n.Value == "none" }

// mapping decodes a mapping by names. For quiet hours and caps the word none stands for no limit at all.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, name string) {
	limits := v.Type() == reflect.TypeFor[map[string]care.Window]() || v.Type() == reflect.TypeFor[map[string]care.Cap]()
	if limits && isNone(n) {
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("default"), reflect.Zero(v.Type().Elem()))
		return
	}
	all, ok := d.entries(n, name)
	if !ok {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	room := d.room(v.Type().Elem())
	for _, e := range all {
		if !d.spend(e.value, room) {
			return
		}
		if limits && isNone(e.value) {
			if e.name == "default" {
				// None for any: what the defaults say of single ones goes too, unless the book names them.
				for _, k := range v.MapKeys() {
					if !slices.ContainsFunc(all, func(e entry) bool { return e.name == k.String() }) {
						v.SetMapIndex(k, reflect.Value{})
					}
				}
			}
			v.SetMapIndex(reflect.ValueOf(e.name), reflect.Zero(v.Type().Elem()))
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		called := name + "." + clip(e.name, 60)
		if item.Type() == reflect.TypeFor[care.Cap]() && e.value.ShortTag() == "!!int" {
			d.problem(e.value, "wrong-type", called+" is a bare number", fmt.Sprintf("write {per_week: %s}", clip(e.value.Value, 40)))
			continue
		}
		d.value(e.value, item, called)
		v.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), item)
	}
}

// isPairs reports whether a list takes the entries of a mapping in their order.
func isPairs(t reflect.Type) bool {
	e := t.Elem()
	return e.Kind() == reflect.Struct && e.NumField() == 2 && e.Field(0).Tag.Get("yaml") == ",key" && e.Field(1).Tag.Get("yaml") == ",value"
}

func (d *decoder) pairs(n *yaml.Node, v reflect.Value, name string) {
	all, ok := d.entries(n, name)
	if !ok {
		return
	}
	items := reflect.MakeSlice(v.Type(), 0, len(all))
	for _, e := range all {
		pair := reflect.New(v.Type().Elem()).Elem()
		pair.Field(0).SetString(e.name)
		d.value(e.value, pair.Field(1), name+"."+clip(e.name, 60))
		items = reflect.Append(items, pair)
	}
	v.Set(items)
}

// room is how many values an item of a list or mapping counts for: what takes more memory than a text counts for more.
func (d *decoder) room(t reflect.Type) int {
	if t.Kind() != reflect.Pointer {
		return int(t.Size() / 64)
	}
	if d.fill != nil {
		return 20 + int(t.Elem().Size()/64)
	}
	return int(t.Elem().Size() / 64)
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, name string) {
	if n.Kind != yaml.SequenceNode {
		remedy := ""
		if isText(n) {
			if remedy = fmt.Sprintf("write [%s]", clip(n.Value, 60)); strings.HasPrefix(n.Value, "-") {
				remedy = "put a blank behind each -"
			}
		}
		d.problem(n, "wrong-type", name+" should be a list", remedy)
		return
	}
	dear := d.fill != nil && v.Type().Elem().Kind() == reflect.Pointer
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	room := d.room(v.Type().Elem())
	for i, item := range n.Content {
		if !d.spend(item, room) {
			items = items.Slice(0, i)
			break
		}
		e := items.Index(i)
		called := fmt.Sprintf("%s, no. %d", name, i+1)
		if dear {
			e.Set(reflect.New(e.Type().Elem()))
			d.fill(e.Interface())
			called = fmt.Sprintf("%s %d", name, i+1)
		}
		d.value(item, e, called)
	}
	v.Set(items)
}

// text decodes one string for all languages, or a map by language.
func (d *decoder) text(n *yaml.Node, v reflect.Value, name string) {
	if n.Kind != yaml.MappingNode {
		if s, ok := d.scalar(n, name, "a text, or texts by language: {zh-CN: …, en: …}"); ok {
			v.Set(reflect.ValueOf(care.Text{"": s}))
		}
		return
	}
	all, _ := d.entries(n, name)
	t := care.Text{}
	for _, e := range all {
		if !IsLocale(e.name) {
			d.problem(e.key, "bad-value", fmt.Sprintf("%s: %q is no language", name, clip(e.name, 60)), "write zh-CN, en, en-GB or the like")
			continue
		}
		var s string
		d.value(e.value, reflect.ValueOf(&s).Elem(), name+"."+e.name)
		t[e.name] = s
	}
	v.Set(reflect.ValueOf(t))
}

// IsLocale reports whether s is a BCP 47 tag, such as zh-CN.
func IsLocale(s string) bool {
	if len(s) > 35 { // RFC 5646 section 4.4.1
		return false
	}
	_, err := language.Parse(s)
	return err == nil && !strings.Contains(s, "_")
}
