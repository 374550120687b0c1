package config

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/carebell/carebell/care"
)

// decoder puts a syntax tree into a Go value that already holds the defaults. It is not goccy's own decoder, because that one
// stops at the first fault, shows another one each time, and loses the place of what a type's UnmarshalText refuses: a marketer
// wants to see all faults at once, each with its place.
type decoder struct {
	doc      *document
	anchors  map[string]ast.Node
	open     map[string]bool // aliases being followed
	problems []care.Problem
}

// parse reads a file's syntax tree. The parser's panics on hostile input are faults like any other.
func parse(file string, text []byte) (doc *document, problems []care.Problem) {
	// Windows and old Macs end lines their own way, and Notepad begins a file with a byte order mark.
	text = bytes.TrimPrefix(bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")), []byte("\ufeff"))
	doc = &document{file: file, lines: strings.Split(string(text), "\n")}
	syntax := func(line, column int, message, remedy string) []care.Problem {
		return []care.Problem{{
			Severity: care.Fault, Rule: "yaml-syntax", File: file, Line: line, Column: column, Message: message, Remedy: remedy,
			Excerpt: doc.excerpt(line, column),
		}}
	}
	defer func() {
		if recover() != nil {
			doc.tree = nil
			problems = syntax(0, 0, "this is no YAML that can be read", "compare the file with the same one of `carebell init`")
		}
	}()
	for i, l := range doc.lines {
		if indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]; strings.Contains(indent, "\t") && strings.TrimSpace(l) != "" {
			return doc, syntax(i+1, 1+strings.Index(indent, "\t"), "this line is indented with a tab", "indent with blanks")
		}
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		line, column, message := syntaxError(err)
		return doc, syntax(line, column, message, syntaxRemedy(message))
	}
	doc.tree = tree
	if len(tree.Docs) > 1 {
		line, column := position(tree.Docs[1].Body)
		return doc, syntax(line, column, "the file has a second document behind a line of ---", "put it into a file of its own")
	}
	return doc, nil
}

// decode puts the document's value into v, a pointer to a struct with its defaults.
func (d *document) decode(v any) []care.Problem {
	if len(d.tree.Docs) == 0 || d.tree.Docs[0].Body == nil {
		return []care.Problem{{
			Severity: care.Fault, Rule: "empty-file", File: d.file, Message: "the file is empty",
			Remedy: "compare it with the same one of `carebell init`",
		}}
	}
	r := &decoder{doc: d, anchors: map[string]ast.Node{}, open: map[string]bool{}}
	r.value(d.tree.Docs[0].Body, reflect.ValueOf(v).Elem(), whole)
	return r.problems
}

func (d *decoder) problem(n ast.Node, rule, message, remedy string) {
	line, column := position(n)
	d.doc.refuse(n)
	d.problems = append(d.problems, care.Problem{
		Severity: care.Fault, Rule: rule, File: d.doc.file, Line: line, Column: column, Message: message, Remedy: remedy,
		Excerpt: d.doc.excerpt(line, column),
	})
}

// value decodes n into v. name is what the marketer calls it.
func (d *decoder) value(n ast.Node, v reflect.Value, name string) {
	switch x := n.(type) {
	case *ast.AnchorNode:
		d.anchors[x.Name.GetToken().Value] = x.Value
		d.value(x.Value, v, name)
		return
	case *ast.AliasNode:
		d.alias(x, v, name)
		return
	case *ast.TagNode:
		d.problem(n, "wrong-type", name+" has a tag ("+x.Start.Value+")", "leave the tag out")
		return
	case *ast.NullNode:
		return // nothing was written: the default stays
	}
	if v.Type() == reflect.TypeFor[care.Text]() {
		d.text(n, v, name)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if s, ok := d.scalar(n, name, "a text"); ok {
			if err := u.UnmarshalText([]byte(s)); err != nil {
				message, remedy := split2(strings.TrimPrefix(err.Error(), "date: "))
				d.problem(n, "bad-value", name+": "+message, remedy)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		d.value(n, e.Elem(), name)
		v.Set(e)
	case reflect.Struct:
		d.object(n, v, name)
	case reflect.Map:
		d.mapping(n, v, name)
	case reflect.Slice:
		d.list(n, v, name)
	default:
		d.plain(n, v, name)
	}
}

func (d *decoder) alias(x *ast.AliasNode, v reflect.Value, name string) {
	anchor := x.Value.GetToken().Value
	target, ok := d.anchors[anchor]
	if !ok || d.open[anchor] {
		d.problem(x, "unknown-name", fmt.Sprintf("%s: there is no &%s above", name, anchor), "")
		return
	}
	d.open[anchor] = true
	d.value(target, v, name)
	delete(d.open, anchor)
}

// split2 parts an error of package care into what is wrong and what to write.
func split2(s string) (message, remedy string) {
	if message, remedy, ok := strings.Cut(s, ": write "); ok {
		return message, "write " + remedy
	}
	return s, ""
}

// scalar returns a value's text as it was written.
func (d *decoder) scalar(n ast.Node, name, want string) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	d.problem(n, "wrong-type", name+" should be "+want, "")
	return "", false
}

// plain decodes a text, a number, or true or false.
func (d *decoder) plain(n ast.Node, v reflect.Value, name string) {
	want := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Float64: "a number",
	}[v.Kind()]
	s, ok := d.scalar(n, name, want)
	if !ok {
		return
	}
	_, isText := n.(*ast.StringNode)
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
		return
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
	case reflect.Int:
		if i, err := strconv.ParseInt(s, 10, 32); err == nil && !isText {
			v.SetInt(i)
			return
		}
	case reflect.Float64:
		if f, err := strconv.ParseFloat(s, 64); err == nil && !isText && !math.IsInf(f, 0) && !math.IsNaN(f) {
			v.SetFloat(f)
			return
		}
	}
	remedy := ""
	if v.Kind() == reflect.Bool {
		remedy = map[string]string{"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}[strings.ToLower(s)]
	} else if isText && strings.Trim(s, "0123456789.") == "" {
		remedy = "write it without quotes"
	}
	d.problem(n, "wrong-type", name+" should be "+want, remedy)
}

// entry is one name and value of a mapping.
type entry struct {
	name  string
	key   ast.Node
	value ast.Node
}

func (d *decoder) entries(n ast.Node, name string) ([]entry, bool) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.problem(n, "wrong-type", name+" should have fields of its own (field: value)", "")
		return nil, false
	}
	var all []entry
	for it := m.MapRange(); it.Next(); {
		if it.Key().IsMergeKey() {
			d.problem(it.Key(), "unknown-field", "<< is not understood here", "write the fields out")
			continue
		}
		k := it.Key().GetToken().Value
		all = append(all, entry{k, it.Key(), it.Value()})
	}
	return all, true
}

// fieldName is the field's name in a book; types that customer records share with it have only a JSON name.
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

func (d *decoder) object(n ast.Node, v reflect.Value, name string) {
	all, ok := d.entries(n, name)
	if !ok {
		return
	}
	fields := map[string]int{}
	var known []string
	for i := range v.NumField() {
		if f := fieldName(v.Type().Field(i)); f != "" {
			fields[f] = i
			known = append(known, f)
		}
	}
	for _, e := range all {
		i, ok := fields[e.name]
		if !ok {
			d.problem(e.key, "unknown-field", fmt.Sprintf("unknown field %q", e.name), suggest(e.name, known))
			continue
		}
		d.value(e.value, v.Field(i), e.name)
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, name string) {
	none := v.Type() == reflect.TypeFor[map[string]care.Window]() || v.Type() == reflect.TypeFor[map[string]care.Cap]()
	if s, ok := n.(*ast.StringNode); ok && none && s.Value == "none" {
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
	for _, e := range all {
		if s, ok := e.value.(*ast.StringNode); ok && none && s.Value == "none" {
			if e.name == "default" {
				// None for any: what the defaults say of single ones goes too, unless the book names them.
				for _, k := range v.MapKeys() {
					if !contains(all, k.String()) {
						v.SetMapIndex(k, reflect.Value{})
					}
				}
			}
			v.SetMapIndex(reflect.ValueOf(e.name), reflect.Zero(v.Type().Elem()))
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if n, ok := e.value.(*ast.IntegerNode); ok && item.Type() == reflect.TypeFor[care.Cap]() {
			d.problem(n, "wrong-type", name+"."+e.name+" is a bare number", fmt.Sprintf("write {per_week: %s}", n.GetToken().Value))
			continue
		}
		d.value(e.value, item, name+"."+e.name)
		v.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), item)
	}
}

func contains(all []entry, name string) bool {
	for _, e := range all {
		if e.name == name {
			return true
		}
	}
	return false
}

func (d *decoder) list(n ast.Node, v reflect.Value, name string) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		remedy := ""
		if t, ok := n.(*ast.StringNode); ok {
			remedy = fmt.Sprintf("write [%s]", t.Value)
		}
		d.problem(n, "wrong-type", name+" should be a list", remedy)
		return
	}
	items := reflect.MakeSlice(v.Type(), 0, len(s.Values))
	for i, item := range s.Values {
		e := reflect.New(v.Type().Elem()).Elem()
		if p, ok := e.Addr().Interface().(**care.Dealer); ok {
			*p = defaultDealer()
			d.value(item, e.Elem(), fmt.Sprintf("%s %d", name, i+1))
		} else {
			d.value(item, e, fmt.Sprintf("%s, no. %d", name, i+1))
		}
		items = reflect.Append(items, e)
	}
	v.Set(items)
}

// text decodes one string for all locales, or a map by locale.
func (d *decoder) text(n ast.Node, v reflect.Value, name string) {
	if _, ok := n.(ast.MapNode); !ok {
		if s, ok := d.scalar(n, name, "a text, or texts by language: {zh-CN: …, en: …}"); ok {
			v.Set(reflect.ValueOf(care.Text{"": s}))
		}
		return
	}
	all, _ := d.entries(n, name)
	t := care.Text{}
	for _, e := range all {
		if !isLocale(e.name) {
			d.problem(e.key, "bad-value", fmt.Sprintf("%s: %q is no language", name, e.name), "write zh-CN, en, en-GB or the like")
			continue
		}
		if s, ok := d.scalar(e.value, name+"."+e.name, "a text"); ok {
			t[e.name] = s
		}
	}
	v.Set(reflect.ValueOf(t))
}

// whole is what the value of a whole file is called.
const whole = "the file"
