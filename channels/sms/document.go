package sms

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"regexp"
	"strings"
)

// document reads what a gateway says as JSON would hold it, so that pointers find things in it.
func document(body []byte, format string, pattern *regexp.Regexp) (any, error) {
	switch format {
	case "xml":
		return readXML(body)
	case "form":
		v, err := url.ParseQuery(strings.TrimSpace(string(body)))
		if err != nil {
			return nil, errors.New("this is no form")
		}
		m := map[string]any{}
		for name := range v {
			m[name] = v.Get(name)
		}
		return m, nil
	case "text":
		m := map[string]any{}
		if pattern == nil {
			return m, nil
		}
		found := pattern.FindSubmatch(body)
		for i, name := range pattern.SubexpNames() {
			if name != "" && found != nil {
				m[name] = string(found[i])
			}
		}
		return m, nil
	}
	return decode(body)
}

// element is an element that is being read.
type element struct {
	fields map[string]any
	text   strings.Builder
}

func (e *element) add(name string, value any) {
	switch before := e.fields[name].(type) {
	case nil:
		e.fields[name] = value
	case []any:
		e.fields[name] = append(before, value)
	default:
		e.fields[name] = []any{before, value}
	}
}

// newXML reads a document as UTF-8, whatever it says that it is in.
func newXML(body []byte) *xml.Decoder {
	in := xml.NewDecoder(bytes.NewReader(body))
	in.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return in
}

// readXML reads XML, SOAP as well: an element is an object of its elements by their local names, with its attributes as @name; one with
// nothing but text is the text; several of one name are an array.
func readXML(body []byte) (any, error) {
	in := newXML(body)
	open := []*element{{fields: map[string]any{}}}
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) && len(open) == 1 && len(open[0].fields) > 0 {
			return open[0].fields, nil
		}
		if err != nil {
			return nil, errors.New("this is no XML")
		}
		last := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{fields: map[string]any{}}
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					e.add("@"+a.Name.Local, a.Value)
				}
			}
			open = append(open, e)
		case xml.CharData:
			last.text.Write(t)
		case xml.EndElement:
			var value any = last.fields
			if len(last.fields) == 0 {
				value = strings.TrimSpace(last.text.String())
			} else if text := strings.TrimSpace(last.text.String()); text != "" {
				last.fields["#text"] = text
			}
			open = open[:len(open)-1]
			open[len(open)-1].add(t.Name.Local, value)
		}
	}
}
