package scheduler

import (
	"hash/fnv"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler/kin"
)

// Kin is who shares an address or a car with whom: their messages depend on each other, so they are planned together.
type Kin struct {
	*kin.Index
	planner *Planner
}

// NewKin returns a record of nobody.
func (p *Planner) NewKin() *Kin { return &Kin{kin.New(), p} }

// Add takes a customer in.
func (k *Kin) Add(f *care.Facts) { k.Index.Add(f.ID, k.keysOf(f)) }

// Meet takes in what is new of a customer after the record was closed, and returns what Of does.
func (k *Kin) Meet(f *care.Facts) []string { return k.Index.Meet(f.ID, k.keysOf(f)) }

// Of returns the ids of those who share an address or a car with a customer as the record is now.
func (k *Kin) Of(f *care.Facts) []string { return k.Index.Of(f.ID, k.keysOf(f)) }

// keysOf names a customer's addresses and cars by 64 bits each.
func (k *Kin) keysOf(f *care.Facts) []uint64 {
	r := k.planner.begin(f, Request{})
	if r == nil {
		return nil
	}
	defer r.end()
	keys := make([]uint64, 0, 4)
	add := func(kind, name string) {
		h := fnv.New64a()
		h.Write([]byte(kind))
		h.Write([]byte(name))
		keys = append(keys, h.Sum64())
	}
	for _, ch := range care.Channels {
		if address, ok := r.address(ch); ok && ch.ToPerson() {
			add(string(ch), address)
		}
	}
	for i := range f.Customer.Vehicles {
		if car := CarOf(r.dealer.Dealer.Dealer, f.Customer.Vehicles[i].ID); car != "" {
			add("car", car)
		}
	}
	return keys
}

// CarOf names a car for all who may have it: by its VIN everywhere, by another number within a dealer.
func CarOf(dealer, vehicle string) string {
	id := strings.ToUpper(strings.TrimSpace(vehicle))
	if len(id) == 17 && !strings.ContainsAny(id, "IOQ") || id == "" {
		return id
	}
	return dealer + "/" + id
}

// Together makes those who belong together known to each other.
func Together(group []*care.Facts) {
	for i, f := range group {
		f.Others = slices.Concat(group[:i], group[i+1:])
	}
}

// movedOn returns when a customer's car went to another by that one's record: the car was delivered to them later, and they are no
// household. No date if it did not.
func movedOn(f *care.Facts, v *care.Vehicle) (on care.Date) {
	if v.DeliveredOn.IsZero() || f.Customer == nil {
		return on
	}
	mine := CarOf(f.Customer.Dealer, v.ID)
	for _, other := range f.Others {
		c := other.Customer
		if c == nil || f.Customer.Household != "" && c.Household == f.Customer.Household {
			continue
		}
		for i := range c.Vehicles {
			if w := &c.Vehicles[i]; CarOf(c.Dealer, w.ID) == mine && w.DeliveredOn.After(v.DeliveredOn) && (on.IsZero() || w.DeliveredOn.Before(on)) {
				on = w.DeliveredOn
			}
		}
	}
	return on
}
