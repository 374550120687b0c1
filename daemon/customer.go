package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/store"
)

// Dossier is everything carebell holds of a customer, in words that the customer can read: the answer to a request for access or
// portability (PIPL art. 45, GDPR arts. 15 and 20).
type Dossier struct {
	ExportedAt time.Time         `json:"exported_at"`
	Customer   string            `json:"customer"`
	Record     json.RawMessage   `json:"record"`               // care:customer:<id> as the dealership's systems wrote it; null = none
	Unreadable string            `json:"unreadable,omitempty"` // the record as text where it is no JSON
	Defects    []care.Defect     `json:"defects,omitempty"`    // what of it cannot be used
	Overlay    *care.Overlay     `json:"overlay"`              // what the customer told us and what we found out; null = nothing
	Addresses  []string          `json:"address_fingerprints"` // keyed hashes under which replies and bounces find the customer
	Ledger     []LedgerLine      `json:"ledger"`               // what became of every message of the last 400 days
	Notes      []care.EventEntry `json:"timeline"`             // answers, opt-outs and what operators did
	Messages   []care.Record     `json:"messages"`             // how each was delivered, as long as records are kept
	Purposes   map[string]string `json:"purposes"`             // why each part is kept
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
	"messages":             "proof of what was handed to which provider when, without its text; kept for CARE_RETENTION",
}

// Customer gathers everything that is held of a customer. It fails if there is nothing at all.
func (e *Env) Customer(ctx context.Context, id string) (*Dossier, error) {
	st, err := e.openFor(ctx, id)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return e.dossier(ctx, st, id)
}

func (e *Env) openFor(ctx context.Context, id string) (*store.Store, error) {
	if !care.ValidID(id) {
		return nil, fmt.Errorf("%q is no customer id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -", id)
	}
	return e.open(ctx)
}

func (e *Env) dossier(ctx context.Context, st *store.Store, id string) (*Dossier, error) {
	d := &Dossier{ExportedAt: e.Now().UTC().Truncate(time.Second), Customer: id, Purposes: purposes, Addresses: []string{}, Ledger: []LedgerLine{}, Notes: []care.EventEntry{}}
	facts, err := st.Facts(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	d.facts = facts[0]
	d.Defects, d.Overlay = d.facts.Defects, d.facts.Overlay
	raw, err := rawRecord(ctx, st, id)
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
	timeline, err := st.Timeline(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, entry := range timeline {
		if _, message := d.facts.Ledger[entry.ID]; !message || entry.Kind != "" {
			d.Notes = append(d.Notes, entry)
		}
	}
	if d.Messages, err = st.Messages(ctx, store.Filter{Customer: id, Limit: 100_000}); err != nil {
		return nil, err
	}
	if d.Addresses, err = e.fingerprints(ctx, st, d.facts); err != nil {
		return nil, err
	}
	if len(raw) == 0 && d.Overlay == nil && len(d.Ledger)+len(d.Notes)+len(d.Messages) == 0 {
		return nil, fmt.Errorf("%w: nothing is held of %s", errNoCustomer, id)
	}
	return d, nil
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

// fingerprints returns the keyed hashes of the customer's addresses that lead to the customer.
func (e *Env) fingerprints(ctx context.Context, st *store.Store, f *care.Facts) ([]string, error) {
	out := []string{}
	if f.Customer == nil {
		return out, nil
	}
	checked, err := e.check("")
	if err != nil {
		return out, nil //nolint:nilerr // without a book there is no country to read the number by; the rest is still owed
	}
	d := checked.Planner.Dealer(f.Customer)
	if d == nil {
		return out, nil
	}
	for _, ch := range care.Channels {
		to, ok := address(ch, f.Customer, d)
		if !ok || !ch.ToPerson() {
			continue
		}
		hash := contact.Hash(e.hashKey(), to)
		ids, err := st.ByAddress(ctx, hash)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ids, f.ID) {
			out = append(out, hash)
		}
	}
	return out, nil
}

// Erasure says what an erasure did.
type Erasure struct {
	Customer string `json:"customer"`
	Dropped  int    `json:"dropped"`  // messages that were waiting
	Overlay  bool   `json:"overlay"`  // there was one; only the tombstone is left of it
	Record   string `json:"record"`   // "emptied", "kept" or "none"
	Kept     int    `json:"messages"` // entries of the ledger that stay until they are too old: ids and states, nothing personal
}

// Erase takes a customer out of carebell's own state for good (PIPL art. 47, GDPR art. 17): what waits in the queue ends, what the
// customer told us goes, and a tombstone keeps them from being served again, also when the record comes back. Of the record, which
// belongs to the dealership's system, nothing but the id is left if record is set.
func (e *Env) Erase(ctx context.Context, id string, record bool) (*Erasure, error) {
	checked, err := e.check("")
	if err != nil {
		return nil, err
	}
	st, err := e.openFor(ctx, id)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	d, err := e.dossier(ctx, st, id)
	if err != nil {
		return nil, err
	}
	out := &Erasure{Customer: id, Overlay: d.Overlay != nil, Record: "kept"}
	// The tombstone comes first: from here on nothing is planned and the check at sending refuses what is claimed already.
	err = st.UpdateOverlay(ctx, id, func(o *care.Overlay) error {
		*o = care.Overlay{Erased: true}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if out.Dropped, err = e.dropAll(ctx, checked, st, id); err != nil {
		return nil, err
	}
	out.Kept = len(d.Ledger)
	switch {
	case len(d.Record) == 0 && d.Unreadable == "":
		out.Record = "none"
	case record:
		out.Record = "emptied"
		err = emptyRecord(ctx, st, id)
	}
	return out, err
}

// dropAll ends everything that waits for an erased customer.
func (e *Env) dropAll(ctx context.Context, checked *Checked, st *store.Store, id string) (int, error) {
	facts, err := st.Facts(ctx, []string{id})
	if err != nil {
		return 0, err
	}
	change := checked.Planner.Changes(facts[0], nil, e.Now())
	if change.Empty() {
		return 0, nil
	}
	_, err = st.Apply(ctx, []care.Change{change})
	return len(change.Drop), err
}

var errRecord = errors.New("the record could not be emptied")

// emptyRecord leaves nothing but the id in a record, and tells care:changes.
func emptyRecord(ctx context.Context, st *store.Store, id string) error {
	empty, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		return err
	}
	results, err := st.Merge(ctx, []string{id}, func(int, []byte) ([]byte, error) { return empty, nil })
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		return fmt.Errorf("%w, all else is done: %w", errRecord, err)
	}
	return nil
}
