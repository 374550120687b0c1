package intake

import (
	"hash/maphash"
	"math/bits"

	"github.com/carebell/carebell/care"
)

// seen counts customers and vehicles once, by a hash of 64 bits: a million of each take some 30 MB.
type seen struct {
	seed                maphash.Seed
	customers, vehicles hashes
}

func newSeen() seen { return seen{seed: maphash.MakeSeed()} }

func (s *seen) add(customer, vehicle string) {
	c := maphash.String(s.seed, customer)
	s.customers.add(c)
	if vehicle != "" {
		s.vehicles.add(c*31 + maphash.String(s.seed, vehicle))
	}
}

// IDs are the customers that files name, in rows that are taken and in others. They are kept as hashes.
type IDs struct {
	seed       maphash.Seed
	set        hashes
	Unreadable int // rows without an id that can be read
}

// NewIDs returns an empty set.
func NewIDs() *IDs { return &IDs{seed: maphash.MakeSeed()} }

func (s *IDs) add(id string) {
	switch {
	case s == nil:
	case care.ValidID(id):
		s.set.add(maphash.String(s.seed, id))
	default:
		s.Unreadable++
	}
}

// Has reports whether a file named the customer.
func (s *IDs) Has(id string) bool { return s.set.has(maphash.String(s.seed, id)) }

// Len is how many customers were named.
func (s *IDs) Len() int { return s.set.n }

// hashes is a set of random numbers. A map takes twice the memory, and all at once when it grows; this one grows in 256 parts.
type hashes struct {
	parts [256]part
	n     int
}

// part is an open table: a number stands at its place or, if that is taken, behind it. 0 is a free place.
type part struct {
	cells []uint64
	n     int
}

func (s *hashes) add(h uint64) {
	h |= 1 << 8 // never 0, and neither the part nor the place in it hangs on this bit alone
	if s.parts[h&0xff].add(h) {
		s.n++
	}
}

func (s *hashes) has(h uint64) bool {
	h |= 1 << 8
	p := &s.parts[h&0xff]
	return len(p.cells) > 0 && p.cells[p.find(h)] == h
}

func (p *part) add(h uint64) bool {
	if p.n*4 >= len(p.cells)*3 {
		old := p.cells
		p.cells = make([]uint64, max(16, len(old)*3/2))
		for _, h := range old {
			if h != 0 {
				p.cells[p.find(h)] = h
			}
		}
	}
	at := p.find(h)
	if p.cells[at] != 0 {
		return false
	}
	p.cells[at] = h
	p.n++
	return true
}

// find returns where h stands, or the free place where it would.
func (p *part) find(h uint64) int {
	high, _ := bits.Mul64(h, uint64(len(p.cells)))
	at := int(high)
	for p.cells[at] != 0 && p.cells[at] != h {
		if at++; at == len(p.cells) {
			at = 0
		}
	}
	return at
}
