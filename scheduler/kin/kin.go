// Package kin finds who shares an address or a car with whom, for many customers at once. It promises that its size is bounded: twelve
// bytes for each address and car, each id once. It does not know what the keys stand for.
package kin

import (
	"slices"
	"sort"
	"strings"
	"sync"
)

// Index is who shares a key with whom. It is built by adding everybody once. Safe for many goroutines.
type Index struct {
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

// New returns an index of nobody.
func New() *Index {
	return &Index{recent: map[uint64][]string{}, groups: map[string][]string{}}
}

// Add takes a customer in.
func (k *Index) Add(id string, keys []uint64) {
	if len(keys) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		for _, key := range keys {
			if list := k.recent[key]; !slices.Contains(list, id) && len(list) <= mostSharers {
				k.recent[key] = append(list, id)
			}
		}
		return
	}
	k.names = append(k.names, id...)
	k.ends = append(k.ends, uint32(len(k.names)))
	for _, key := range keys {
		k.keys, k.who = append(k.keys, key), append(k.who, uint32(len(k.ends)-1))
	}
}

// Len is of sort.Interface: keys in order, with who has them.
func (k *Index) Len() int { return len(k.keys) }

// Less is of sort.Interface.
func (k *Index) Less(i, j int) bool { return k.keys[i] < k.keys[j] }

// Swap is of sort.Interface.
func (k *Index) Swap(i, j int) {
	k.keys[i], k.keys[j] = k.keys[j], k.keys[i]
	k.who[i], k.who[j] = k.who[j], k.who[i]
}

// Close finds the groups. Who is added later belongs to none; Of knows them.
func (k *Index) Close() {
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

func (k *Index) name(i uint32) string { return string(k.bytes(i)) }

func (k *Index) bytes(i uint32) []byte {
	from := uint32(0)
	if i > 0 {
		from = k.ends[i-1]
	}
	return k.names[from:k.ends[i]]
}

// first returns the place of a key, or where it would be.
func (k *Index) first(key uint64) int {
	at, _ := slices.BinarySearch(k.keys, key)
	return at
}

// In reports whether a customer belongs to a group.
func (k *Index) In(id string) bool { return k != nil && k.groups[id] != nil }

// Groups returns every group.
func (k *Index) Groups() [][]string {
	var out [][]string
	for id, group := range k.groups {
		if group[0] == id {
			out = append(out, group)
		}
	}
	slices.SortFunc(out, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// Stale reports whether so much was added since the index was closed that it is worth being built anew.
func (k *Index) Stale() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.recent) > 1000+len(k.keys)/8
}

// Meet takes a customer into a closed index, as far as it does not know the keys as this one's, and returns what Of does.
func (k *Index) Meet(id string, keys []uint64) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	shared := k.groups[id] != nil
	for _, key := range keys {
		mine, others := slices.Contains(k.recent[key], id), len(k.recent[key])
		for i := k.first(key); i < len(k.keys) && k.keys[i] == key && others <= mostSharers; i++ {
			mine = mine || string(k.bytes(k.who[i])) == id
			others++
		}
		if !mine && others <= mostSharers {
			k.recent[key] = append(k.recent[key], id)
			others++
		}
		shared = shared || others > 1
	}
	if !shared {
		return nil
	}
	return k.of(id, keys)
}

// Of returns the ids of those who share an address or a car with a customer as the record is now.
func (k *Index) Of(id string, keys []uint64) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.of(id, keys)
}

// sharers returns who has a key.
func (k *Index) sharers(key uint64) []string {
	var ids []string
	from := k.first(key)
	for i := from; i < len(k.keys) && k.keys[i] == key && i-from <= mostSharers; i++ {
		ids = append(ids, k.name(k.who[i]))
	}
	return append(ids, k.recent[key]...)
}

func (k *Index) of(id string, keys []uint64) []string {
	out := slices.Clone(k.groups[id])
	for _, key := range keys {
		if ids := k.sharers(key); len(ids) <= mostSharers {
			out = append(out, ids...)
		}
	}
	slices.Sort(out)
	out = slices.DeleteFunc(slices.Compact(out), func(other string) bool { return other == id })
	return out[:min(len(out), mostKin)]
}
