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
			if r, ok := g.readReceipt(spec, entry); ok {
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

// entries returns the reports of a callback, each as JSON would hold it.
func entries(in *inbound, format, list string) []any {
	switch format {
	case "form":
		return fields(in.form())
	case "query":
		return fields(in.query)
	}
	if in.Method != http.MethodPost {
		return nil
	}
	doc, err := decode(in.body)
	if err != nil {
		return nil
	}
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
	case r.ID == "" && r.ProviderID == "":
		return r, false
	case slices.Contains(spec.Delivered, status):
		r.State = care.StateDelivered
	case slices.Contains(spec.Failed, status):
		r.State = care.StateUndelivered
		if r.Code == "" {
			r.Code = short(status)
		}
		kind, listed := g.meaning[r.Code]
		if !listed || kind == "" {
			kind = carrierCodes.kind(r.Code)
		}
		r.Kind = kind
	case slices.Contains(spec.Pending, status):
		r.State = care.StateSent
	default:
		return r, false
	}
	return r, true
}
