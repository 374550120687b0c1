package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
)

// Dossier is everything carebell holds of a customer, in words that the customer can read: the answer to a request for access or
// portability (PIPL art. 45, GDPR arts. 15 and 20).
type Dossier struct {
	ExportedAt time.Time         `json:"exported_at"`
	Customer   string            `json:"customer"`
	Record     json.RawMessage   `json:"record"`                      // care:customer:<id> as the dealership's systems wrote it; null = none
	Unreadable string            `json:"unreadable,omitempty"`        // the record as text where it is no JSON
	Defects    []care.Defect     `json:"defects,omitempty"`           // what of it cannot be used
	Overlay    *care.Overlay     `json:"overlay"`                     // what the customer told us and what we found out; null = nothing
	Withheld   bool              `json:"address_of_erased,omitempty"` // an address is that of somebody who was erased: nothing goes until an operator allows it
	Addresses  []string          `json:"address_fingerprints"`        // keyed hashes under which replies and bounces find the customer
	Ledger     []LedgerLine      `json:"ledger"`                      // what became of every message of the last 400 days
	Notes      []care.EventEntry `json:"timeline"`                    // answers, opt-outs and what operators did
	Messages   []care.Record     `json:"messages"`                    // how each was delivered, as long as records are kept
	Purposes   map[string]string `json:"purposes"`                    // why each part is kept
	facts      *care.Facts
}

// LedgerLine is an entry of the ledger with its names written out.
type LedgerLine struct {
	ID      string       `json:"id"`
	State   care.State   `json:"state"`
	At      time.Time    `json:"at"`
	Class   care.Class   `json:"class,omitempty"`
	Channel care.Channel `json:"channel,omitempty"`
	Program string       `json:"program,omitempty"`
	Step    string       `json:"step,omitempty"`
	Vehicle string       `json:"vehicle,omitempty"`
	Cycle   string       `json:"cycle,omitempty"`
	On      care.Date    `json:"on"`
	Reason  string       `json:"reason,omitempty"`
	Merged  string       `json:"merged_into,omitempty"`
}

var purposes = map[string]string{
	"record":               "written by the dealership's own systems; carebell reads it to know what is due and how to reach the customer, and never changes it",
	"overlay":              "opt-outs, opt-ins, wishes, mileage and answers that the customer gave to carebell; dead addresses as keyed fingerprints only",
	"address_fingerprints": "so that a reply or a bounce, which names nothing but an address, finds its customer; the address cannot be read from it",
	"ledger":               "so that no message goes twice; 400 days",
	"timeline":             "so that an advisor can say what happened; 400 days",
	"messages":             "proof of what was given to which provider when, without its text; kept for CARE_RETENTION",
}

// Customer gathers everything that is held of a customer. It fails if there is nothing at all.
func (s *Service) Customer(ctx context.Context, who care.Principal, id string) (*Dossier, error) {
	if !care.ValidID(id) {
		return nil, fmt.Errorf("%q is no customer id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -", id)
	}
	d := &Dossier{ExportedAt: s.Now().UTC().Truncate(time.Second), Customer: id, Purposes: purposes, Addresses: []string{}, Ledger: []LedgerLine{}, Notes: []care.EventEntry{}}
	facts, err := s.Store.Facts(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	d.facts = facts[0]
	if visible, err := s.visible(who, d.facts.Customer); err != nil {
		return nil, err
	} else if !visible {
		return nil, nothingHeld(id)
	}
	d.Defects, d.Overlay, d.Withheld = d.facts.Defects, d.facts.Overlay, d.facts.AddressErased
	raw, err := rawRecord(ctx, s.Store, id)
	if err != nil {
		return nil, err
	}
	if d.Record = raw; len(raw) > 0 && !json.Valid(raw) {
		d.Record, d.Unreadable = nil, string(raw)
	}
	for entry, l := range d.facts.Ledger {
		d.Ledger = append(d.Ledger, LedgerLine{
			ID: entry, State: l.State, At: l.At, Class: l.Class, Channel: l.Channel, Program: l.Program, Step: l.Step, Vehicle: l.Vehicle,
			Cycle: l.Cycle, On: l.On, Reason: l.Reason, Merged: l.Merged,
		})
	}
	slices.SortFunc(d.Ledger, func(a, b LedgerLine) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	timeline, err := s.Store.Timeline(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, entry := range timeline {
		if _, message := d.facts.Ledger[entry.ID]; !message || entry.Kind != "" {
			d.Notes = append(d.Notes, entry)
		}
	}
	if d.Messages, err = s.Store.Messages(ctx, store.Filter{Customer: id, Limit: 100_000}); err != nil {
		return nil, err
	}
	if d.Addresses, err = s.fingerprints(ctx, d.facts); err != nil {
		return nil, err
	}
	if len(raw) == 0 && d.Overlay == nil && len(d.Ledger)+len(d.Notes)+len(d.Messages) == 0 {
		return nil, nothingHeld(id)
	}
	return d, nil
}

func nothingHeld(id string) error {
	return fmt.Errorf("%w: nothing is held of %s", insight.ErrNoCustomer, id)
}

// visible reports whether the principal may see a customer. Who sees everybody needs no book for that.
func (s *Service) visible(who care.Principal, customer *care.Customer) (bool, error) {
	if who.All() {
		return true, nil
	}
	book, err := s.Book()
	if err != nil {
		return false, err
	}
	return book.Visible(who, customer), nil
}

// rawRecord reads a record as it was written, with the fields that carebell does not know.
func rawRecord(ctx context.Context, st *store.Store, id string) ([]byte, error) {
	var raw []byte
	results, err := st.Merge(ctx, []string{id}, func(_ int, old []byte) ([]byte, error) {
		raw = slices.Clone(old)
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return raw, results[0].Err
}

// hashesOf returns the keyed hashes of the customer's addresses. Without a readable record and its dealer there are none.
func hashesOf(book *carebook.Compiled, f *care.Facts) []string {
	if f.Customer == nil {
		return nil
	}
	var out []string
	for _, at := range book.Addresses(f.Customer) {
		out = append(out, at.Hash)
	}
	return out
}

// fingerprints returns the keyed hashes of the customer's addresses that lead to the customer.
func (s *Service) fingerprints(ctx context.Context, f *care.Facts) ([]string, error) {
	out := []string{}
	book, err := s.Book()
	if err != nil {
		return out, nil //nolint:nilerr // without a book there is no country to read the number by; the rest is still owed
	}
	for _, hash := range hashesOf(book, f) {
		ids, err := s.Store.ByAddress(ctx, hash)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ids, f.ID) {
			out = append(out, hash)
		}
	}
	return out, nil
}

// eraseAddresses remembers the addresses of a customer who is erased, as hashes, and who else has them today: they are served on, and whoever
// comes with one later is not.
func (s *Service) eraseAddresses(ctx context.Context, id string, hashes []string) error {
	if len(hashes) == 0 {
		return nil
	}
	others, err := s.Store.WhoHas(ctx, hashes)
	for _, hash := range hashes {
		if err == nil {
			err = s.Store.UpdateAddress(ctx, hash, func(a *care.AddressState) { a.Erase(id, others[hash], s.Now().UTC()) })
		}
	}
	return err
}

// Allow lets a customer be served whose record came with the address of somebody who was erased. It reports whether that changes anything.
func (s *Service) Allow(ctx context.Context, who care.Principal, id string) (changed bool, err error) {
	book, err := s.Book()
	if err != nil {
		return false, err
	}
	d, err := s.Customer(ctx, who, id)
	if err != nil {
		return false, err
	}
	if d.Overlay != nil && d.Overlay.Erased {
		return false, fmt.Errorf("%s was erased under this id, which cannot be taken back: a customer who comes again needs another id", id)
	}
	for _, hash := range hashesOf(book, d.facts) {
		if err := s.Store.UpdateAddress(ctx, hash, func(a *care.AddressState) { changed = a.Allow(id) || changed }); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// Erasure says what an erasure did.
type Erasure struct {
	Customer string `json:"customer"`
	Waiting  int    `json:"waiting"`  // messages that were waiting and will not go
	Sending  int    `json:"sending"`  // messages that were being sent just then and cannot be called back
	Entries  int    `json:"entries"`  // of the ledger, deleted
	Messages int    `json:"messages"` // records of messages, deleted
	Notes    int    `json:"notes"`    // of the timeline, deleted
	Kept     int    `json:"kept"`     // opt-outs and dead addresses in the tombstone
	Record   string `json:"record"`   // "deleted", "kept" or "none"
	Unread   bool   `json:"unread"`   // no address could be read: fingerprints of addresses may stay
}

// Erase takes a customer out of Redis for good (PIPL art. 47, GDPR art. 17): what waits in the queue, what became of their messages,
// and what they told us. A tombstone keeps them from being served again, also when the record comes back, with the opt-outs and
// the dead addresses (as hashes), which the law wants kept. The record, which belongs to the dealership's system, is deleted if
// record is set. The care book must be whole: without its dealers' countries numbers cannot be read.
func (s *Service) Erase(ctx context.Context, who care.Principal, id string, record bool) (*Erasure, error) {
	book, err := s.Book()
	if err != nil {
		return nil, err
	}
	d, err := s.Customer(ctx, who, id)
	if err != nil {
		return nil, err
	}
	hashes := hashesOf(book, d.facts)
	if err := s.eraseAddresses(ctx, id, hashes); err != nil {
		return nil, err
	}
	if err := s.Store.Erase(ctx, id, hashes, record); err != nil {
		return nil, err
	}
	out := &Erasure{
		Customer: id, Entries: len(d.Ledger), Messages: len(d.Messages), Notes: len(d.Notes), Record: "kept", Unread: len(hashes) == 0,
	}
	for _, l := range d.Ledger {
		switch l.State {
		case care.StateDue, care.StateRetry, care.StateClaimed:
			out.Waiting++
		case care.StateSending:
			out.Sending++
		}
	}
	if d.Overlay != nil {
		out.Kept = len(d.Overlay.Stops) + len(d.Overlay.Suppressed)
	}
	switch {
	case len(d.Record) == 0 && d.Unreadable == "":
		out.Record = "none"
	case record:
		out.Record = "deleted"
	}
	return out, nil
}
