package sms

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// pointer is a JSON pointer (RFC 6901), split and unescaped.
type pointer []string

func parsePointer(s string) (pointer, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, errors.New("a JSON pointer begins with /")
	}
	var p pointer
	for _, token := range strings.Split(s[1:], "/") {
		for i := range len(token) {
			if token[i] == '~' && (i+1 == len(token) || (token[i+1] != '0' && token[i+1] != '1')) {
				return nil, errors.New("in a JSON pointer ~ is written ~0 and / is written ~1")
			}
		}
		p = append(p, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
	}
	return p, nil
}

// parsePointers reads pointers that stand in for each other: "/a || /b".
func parsePointers(s string) (all []pointer, err error) {
	for _, one := range strings.Split(s, " || ") {
		p, err := parsePointer(one)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// find returns the value at a pointer.
func (p pointer) find(doc any) (any, bool) {
	for _, token := range p {
		switch v := doc.(type) {
		case map[string]any:
			var ok bool
			if doc, ok = v[token]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) || (len(token) > 1 && token[0] == '0') || token[0] == '+' {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// text returns the value at a pointer as text: strings as they are, numbers and booleans as JSON writes them; "" for the rest.
func (p pointer) text(doc any) string {
	if p == nil {
		return ""
	}
	v, _ := p.find(doc)
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// decode reads JSON and keeps numbers as they were written.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("this is no JSON")
	}
	return v, nil
}
