package scheduler

import (
	"hash/fnv"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/carebell/carebell/care"
)

// Kin is who shares an address or a car with whom: their messages depend on each other, so they are planned together. It is built by
// adding everybody once; it keeps twelve bytes for each address and car, and each id once. Safe for many goroutines.
type Kin struct {
	planner *Planner

	mu     sync.Mutex
	names  []byte   // all ids, one after the other
	ends   []uint32 // where each ends
	keys   []uint64 // of addresses and cars, in order once they are closed
	who    []uint32 // whose each is: the place in ends
	closed bool
	recent map[uint64][]string // who was added later
	groups map[string][]string // id → all of its group, itself among them; only of groups of two and more
}

const (
	mostSharers = 32 // a number that more customers have is nobody's own: a switchboard, or a filler
	mostKin     = 64 // customers that are planned together
)

// NewKin returns a record of nobody.
func (p *Planner) NewKin() *Kin {
	return &Kin{planner: p, recent: map[uint64][]string{}, groups: map[string][]string{}}
}

// Add takes a customer in.
func (k *Kin) Add(f *care.Facts) {
	keys := k.keysOf(f)
	if len(keys) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		for _, key := range keys {
			if list := k.recent[key]; !slices.Contains(list, f.ID) && len(list) <= mostSharers {
				k.recent[key] = append(list, f.ID)
			}
		}
		return
	}
	k.names = append(k.names, f.ID...)
	k.ends = append(k.ends, uint32(len(k.names)))
	for _, key := range keys {
		k.keys, k.who = append(k.keys, key), append(k.who, uint32(len(k.ends)-1))
	}
}

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

// Sort, for sort.Interface: keys in order, with who has them.
func (k *Kin) Len() int           { return len(k.keys) }
func (k *Kin) Less(i, j int) bool { return k.keys[i] < k.keys[j] }
func (k *Kin) Swap(i, j int) {
	k.keys[i], k.keys[j] = k.keys[j], k.keys[i]
	k.who[i], k.who[j] = k.who[j], k.who[i]
}

// Close finds the groups. Who is added later belongs to none; Of knows them.
func (k *Kin) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	sort.Sort(k)
	parent := map[uint32]uint32{}
	root := func(i uint32) uint32 {
		for {
			up, ok := parent[i]
			if !ok || up == i {
				return i
			}
			i = up
		}
	}
	for lo := 0; lo < len(k.keys); {
		hi := lo + 1
		for hi < len(k.keys) && k.keys[hi] == k.keys[lo] {
			hi++
		}
		if n := hi - lo; n > 1 && n <= mostSharers {
			for i := lo + 1; i < hi; i++ {
				if a, b := root(k.who[lo]), root(k.who[i]); a != b {
					parent[max(a, b)] = min(a, b)
				}
				parent[k.who[lo]], parent[k.who[i]] = root(k.who[lo]), root(k.who[i])
			}
		}
		lo = hi
	}
	members := map[uint32][]string{}
	for i := range parent {
		at := root(i)
		members[at] = append(members[at], k.name(i))
	}
	for _, ids := range members {
		slices.Sort(ids)
		for part := range slices.Chunk(slices.Compact(ids), mostKin) { // a scan may meet a customer twice
			for _, id := range part {
				if len(part) > 1 {
					k.groups[id] = part
				}
			}
		}
	}
}

func (k *Kin) name(i uint32) string {
	from := uint32(0)
	if i > 0 {
		from = k.ends[i-1]
	}
	return string(k.names[from:k.ends[i]])
}

// In reports whether a customer belongs to a group.
func (k *Kin) In(id string) bool { return k != nil && k.groups[id] != nil }

// Groups returns every group.
func (k *Kin) Groups() [][]string {
	var out [][]string
	for id, group := range k.groups {
		if group[0] == id {
			out = append(out, group)
		}
	}
	slices.SortFunc(out, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// Of returns the ids of those who share an address or a car with a customer as the record is now.
func (k *Kin) Of(f *care.Facts) []string {
	if k == nil {
		return nil
	}
	keys := k.keysOf(f)
	k.mu.Lock()
	defer k.mu.Unlock()
	out := slices.Clone(k.groups[f.ID])
	for _, key := range keys {
		var ids []string
		from := sort.Search(len(k.keys), func(i int) bool { return k.keys[i] >= key })
		for i := from; i < len(k.keys) && k.keys[i] == key && i-from <= mostSharers; i++ {
			ids = append(ids, k.name(k.who[i]))
		}
		if ids = append(ids, k.recent[key]...); len(ids) <= mostSharers {
			out = append(out, ids...)
		}
	}
	slices.Sort(out)
	out = slices.DeleteFunc(slices.Compact(out), func(id string) bool { return id == f.ID })
	return out[:min(len(out), mostKin)]
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
