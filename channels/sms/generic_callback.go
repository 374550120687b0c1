package sms

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/carebell/carebell/care"
)

// callback reads receipts and replies as the file describes them. With both described alike, an entry is a receipt if it has a
// status, and a reply if it has a text.
func (g *generic) callback(in *inbound) (*Callback, error) {
	if err := g.trusted(in); err != nil {
		return nil, err
	}
	c := &Callback{ContentType: "text/plain; charset=utf-8"}
	if spec := g.spec.Receipts; spec != nil {
		for _, entry := range entries(in, spec.Format, spec.List) {
			if r, ok := g.readReceipt(spec, entry); ok && r.ID+r.ProviderID != "" {
				c.Receipts = append(c.Receipts, r)
			}
		}
		if len(c.Receipts) > 0 {
			c.Answer = []byte(spec.Answer)
			return c, nil
		}
	}
	if spec := g.spec.Replies; spec != nil {
		for _, entry := range entries(in, spec.Format, spec.List) {
			from, text := at(spec.From, entry), at(spec.Text, entry)
			if from != "" && text != "" {
				c.Replies = append(c.Replies, g.reply(at(spec.ID, entry), from, at(spec.To, entry), text))
			}
		}
		if len(c.Replies) > 0 {
			c.Answer = []byte(spec.Answer)
			return c, nil
		}
	}
	return nil, ErrUnreadable
}

// at reads the value at a pointer that was checked when the file was read.
func at(where string, entry any) string {
	p, err := parsePointer(where)
	if err != nil {
		return ""
	}
	return p.text(entry)
}

// entries returns the reports of a callback, each as JSON would hold it. What our own URL says stands in every form.
func entries(in *inbound, format, list string) []any {
	switch format {
	case "form":
		posted := in.form()
		for name, values := range in.query {
			if _, there := posted[name]; !there && len(posted) > 0 {
				posted[name] = values
			}
		}
		return fields(posted)
	case "query":
		return fields(in.query)
	}
	if in.Method != http.MethodPost {
		return nil
	}
	doc, err := document(in.body, format, nil)
	if err != nil {
		return nil
	}
	return listed(doc, list)
}

// listed returns the entries at a pointer: those of the array there, or what is there.
func listed(doc any, list string) []any {
	p, err := parsePointer(list)
	if err != nil {
		return nil
	}
	found, ok := p.find(doc)
	if !ok {
		return nil
	}
	if all, isList := found.([]any); isList {
		return all
	}
	return []any{found}
}

func fields(v url.Values) []any {
	if len(v) == 0 {
		return nil
	}
	m := make(map[string]any, len(v))
	for name := range v {
		m[name] = v.Get(name)
	}
	return []any{m}
}

func (g *generic) readReceipt(spec *ReceiptSpec, entry any) (care.Receipt, bool) {
	status := at(spec.Status, entry)
	r := g.receipt(at(spec.ID, entry), foreign(at(spec.ProviderID, entry)))
	r.Parts = number(at(spec.Parts, entry))
	r.Code = short(at(spec.Code, entry))
	switch {
	case status == "":
		return r, false
	case slices.Contains(spec.Delivered, status):
		r.State = care.StateDelivered
	case slices.Contains(spec.Pending, status):
		r.State = care.StateSent
	case slices.Contains(spec.Failed, status), slices.Contains(spec.Failed, "*"): // any other
		r.State = care.StateUndelivered
		if r.Code == "" {
			r.Code = short(status)
		}
		kind, listed := g.meaning.find(r.Code)
		if !listed || kind == "" {
			kind = carrierCodes.kind(r.Code)
		}
		r.Kind = kind
	default:
		return r, false
	}
	return r, true
}
