// Package addresses keeps what is known of phone numbers and mailboxes by their keyed hashes: who can be reached at one, and its
// owner's last word against messages, whether anybody is there, and whether it is an erased customer's.
//
// What it promises: no address stands in Redis; what is damaged is never overwritten and counts as a no; nobody who was erased is led to.
package addresses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// batch is how many links are written at a time.
const batch = 1000

// Config says where addresses are kept, and by what.
type Config struct {
	Client redis.UniversalClient
	Key    func(shard int, name string) string
	// Change changes a field of a hash by compare-and-set.
	Change func(ctx context.Context, key, field string, fn func(old []byte) ([]byte, error)) error
	// Erased says which of the customers have a tombstone.
	Erased func(ctx context.Context, customers []string) (map[string]bool, error)
	Clock  func() time.Time
	Log    *slog.Logger
}

// Index keeps addresses. It is safe for any number of goroutines.
type Index struct {
	cfg Config
	of  func(*care.Customer) []care.AddressHash // nil = nothing is known of customers' addresses
}

// New returns an index.
func New(cfg Config) *Index { return &Index{cfg: cfg} }

// run sends a pipeline; an empty one costs nothing, and a key that is not there is no error.
func run(ctx context.Context, pipe redis.Pipeliner) error {
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}

// The index from addresses to customers is a hash per bucket of addresses: small hashes of a few dozen take a quarter of the memory that a key
// for each address would. A field is an address and one of its customers, so that nobody who adds one has to read who was there.

// Link says that a customer can be reached at an address, which is kept as a keyed hash only (contact.Hash).
type Link struct{ Hash, Customer string }

// bucket returns the bucket of a hash, and how the fields of the address begin there.
func (x *Index) bucket(hash string) (key, address string) {
	const head, tail = 4, 16
	cut := min(head, len(hash))
	return x.cfg.Key(care.Shard(hash), "addr:"+hash[:cut]), hash[cut:min(cut+tail, len(hash))] + "|"
}

// Link adds customers to the index, for replies and bounces that name nothing but an address. A customer who has left an address stays
// in it: whoever uses the index compares it with the record. One who was erased is not added.
func (x *Index) Link(ctx context.Context, links []Link) error {
	for chunk := range slices.Chunk(links, batch) {
		pipe := x.cfg.Client.Pipeline()
		customers := make([]string, len(chunk))
		for i, l := range chunk {
			key, address := x.bucket(l.Hash)
			pipe.HSet(ctx, key, address+l.Customer, "")
			customers[i] = l.Customer
		}
		if err := run(ctx, pipe); err != nil {
			return fmt.Errorf("link addresses: %w", err)
		}
		// Written first, looked at afterwards: of an erasure at the same time either this sees the tombstone, or the erasure the link.
		erased, err := x.cfg.Erased(ctx, customers)
		if err != nil {
			return err
		}
		for _, l := range chunk {
			if !erased[l.Customer] {
				continue
			}
			if err := x.Unlink(ctx, l.Customer, []string{l.Hash}); err != nil {
				return fmt.Errorf("link addresses: %w", err)
			}
		}
	}
	return nil
}

// ByAddress returns the customers of an address's hash, in the order of their ids.
func (x *Index) ByAddress(ctx context.Context, hash string) ([]string, error) {
	key, address := x.bucket(hash)
	fields, err := x.cfg.Client.HKeys(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("look an address up: %w", err)
	}
	var out []string
	for _, f := range fields {
		if customer, ok := strings.CutPrefix(f, address); ok {
			out = append(out, customer)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Unlink takes a customer off addresses.
func (x *Index) Unlink(ctx context.Context, customer string, hashes []string) error {
	pipe := x.cfg.Client.Pipeline()
	for _, hash := range hashes {
		if hash != "" {
			key, address := x.bucket(hash)
			pipe.HDel(ctx, key, address+customer)
		}
	}
	return run(ctx, pipe)
}

// ErrDamaged says that a field cannot be read.
var ErrDamaged = errors.New("what is known of the address is damaged (a field of care:{…}:addresses)")

func (x *Index) key(hash string) string { return x.cfg.Key(care.Shard(hash), "addresses") }

// AddressesOf returns the hashes of a customer's addresses.
func (x *Index) AddressesOf(c *care.Customer) []care.AddressHash {
	if x.of == nil {
		return nil
	}
	return x.of(c)
}

// UpdateAddress changes what is known of an address, whoever has it. fn gets it as it is (never nil) and may be called again when
// another change came between. What is damaged is not overwritten: there may be an opt-out in it.
func (x *Index) UpdateAddress(ctx context.Context, hash string, fn func(*care.AddressState)) error {
	err := x.cfg.Change(ctx, x.key(hash), hash, func(old []byte) ([]byte, error) {
		a := new(care.AddressState)
		if len(old) > 0 && json.Unmarshal(old, a) != nil {
			return nil, ErrDamaged
		}
		fn(a)
		return json.Marshal(a)
	})
	if err != nil {
		return fmt.Errorf("an address: %w", err)
	}
	return nil
}

// Address returns what is known of an address; it is never nil.
func (x *Index) Address(ctx context.Context, hash string) (*care.AddressState, error) {
	raw, err := x.cfg.Client.HGet(ctx, x.key(hash), hash).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("an address: %w", err)
	}
	return x.read(ctx, raw), nil
}

// read reads a field. A damaged one counts as a no: there may have been one in it.
func (x *Index) read(ctx context.Context, raw string) *care.AddressState {
	a := new(care.AddressState)
	if raw != "" && json.Unmarshal([]byte(raw), a) != nil {
		x.cfg.Log.ErrorContext(ctx, ErrDamaged.Error())
		return &care.AddressState{Stop: care.Stop{At: x.cfg.Clock(), Source: "damaged"}}
	}
	return a
}

// ReadAddresses has Facts and Scan read what is known of customers' addresses, whose hashes fn returns: how a number is read depends on the
// care book. It is called before anything else.
func (x *Index) ReadAddresses(fn func(*care.Customer) []care.AddressHash) { x.of = fn }

// HashKey returns the fingerprint of the key that addresses are hashed with, "" if there is none yet. With a fingerprint to keep, it becomes
// that one if there is none.
func (x *Index) HashKey(ctx context.Context, keep string) (string, error) {
	const what = "the fingerprint of the addresses' key: %w"
	have, err := x.cfg.Client.Get(ctx, x.cfg.Key(0, "addresses:key")).Result()
	switch {
	case err == nil:
		return have, nil
	case !errors.Is(err, redis.Nil):
		return "", fmt.Errorf(what, err)
	case keep == "":
		return "", nil
	}
	if err := x.cfg.Client.SetNX(ctx, x.cfg.Key(0, "addresses:key"), keep, 0).Err(); err != nil {
		return "", fmt.Errorf(what, err)
	}
	have, err = x.cfg.Client.Get(ctx, x.cfg.Key(0, "addresses:key")).Result()
	if err != nil {
		return "", fmt.Errorf(what, err)
	}
	return have, nil
}

// Learn adds to the facts what is known of the customers' addresses: one round trip per Redis node.
func (x *Index) Learn(ctx context.Context, facts []*care.Facts) error {
	if x.of == nil {
		return nil
	}
	type owner struct {
		facts *care.Facts
		at    care.AddressHash
	}
	var fields [care.Shards][]string
	var owners [care.Shards][]owner
	for _, f := range facts {
		if f.Customer == nil {
			continue
		}
		for _, at := range x.of(f.Customer) {
			shard := care.Shard(at.Hash)
			fields[shard], owners[shard] = append(fields[shard], at.Hash), append(owners[shard], owner{f, at})
		}
	}
	pipe := x.cfg.Client.Pipeline()
	var found [care.Shards]*redis.SliceCmd
	for shard := range fields {
		if len(fields[shard]) > 0 {
			found[shard] = pipe.HMGet(ctx, x.cfg.Key(shard, "addresses"), fields[shard]...)
		}
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("read addresses: %w", err)
	}
	for shard, cmd := range found {
		if cmd == nil {
			continue
		}
		if err := cmd.Err(); err != nil {
			return fmt.Errorf("read addresses: %w", err) // of a wrong type: nobody may be written to
		}
		for i, v := range cmd.Val() {
			if raw, ok := v.(string); ok && raw != "" {
				owners[shard][i].facts.Learn(owners[shard][i].at, x.read(ctx, raw))
			}
		}
	}
	return nil
}
