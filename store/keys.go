package store

import (
	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// tags are the hash tags of the shards. Their slots lie in different sixteenths of the 16,384, so a cluster of up to 16 masters
// carries the load evenly.
var tags = [care.Shards]string{
	"113", "003", "333", "223", "553", "443", "773", "663", "265", "375", "045", "155", "985", "895", "405", "515",
}

// Keys outside the shards: what the dealership's systems write and read.
const (
	customerPrefix = "care:customer:"
	changesKey     = "care:changes" // stream of ids of customers whose record changed
)

func customerKey(id string) string { return customerPrefix + id }

// keyspace is where a store keeps queue, ledgers, records and events: "care:", or "care:trial:" for a trial, so that what is tried out is
// never taken for what customers got. Customers and what they decided, addresses and operators' stops are the same for both.
type keyspace string

const (
	shared keyspace = "care:"
	trial  keyspace = "care:trial:"
)

// prefix starts every key of a shard.
func (k keyspace) prefix(shard int) string { return string(k) + "{" + tags[shard] + "}:" }

// fence holds the last fencing token of the shard. Every script is given it as KEYS[1] and takes the other keys' prefix from
// it: they all lie in its slot.
func (k keyspace) fence(shard int) string { return k.prefix(shard) + "fence" }

// The sets of a shard's queue: what waits, by its time; what is claimed, by the end of its lease; what was there when a lease ended. And who of
// its customers has a message claimed.
func (k keyspace) due(shard int, lane care.Lane) string {
	return k.prefix(shard) + "due:" + lane.String()
}

func (k keyspace) leased(shard int) string { return k.prefix(shard) + "leased" }

func (k keyspace) suspects(shard int, lane care.Lane) string {
	return k.prefix(shard) + "suspects:" + lane.String()
}

func (k keyspace) busy(shard int) string { return k.prefix(shard) + "busy" }

// messages holds the records of the messages whose first release fell on the UTC day.
func (k keyspace) messages(shard, day int) string {
	return k.prefix(shard) + "msg:" + codec.DayText(day)
}

// ledger is the customer's hash of what became of each occurrence. The overlay stands in the shared one.
func (k keyspace) ledger(customer string) string {
	return k.prefix(care.Shard(customer)) + "ledger:" + customer
}

func (k keyspace) timeline(customer string) string {
	return k.prefix(care.Shard(customer)) + "log:" + customer
}

func (k keyspace) shard(shard int, name string) string { return k.prefix(shard) + name }

// global names keys that exist once: they lie in the first shard.
func (k keyspace) global(name string) string { return k.prefix(0) + name }

// events is the stream of care.EventEntry.
func (k keyspace) events() string { return string(k) + "events" }

// sentTable counts a day's sent messages by dealer/program.
func sentTable(day int) string { return "sent:" + codec.DayText(day) }
