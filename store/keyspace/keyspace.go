// Package keyspace names carebell's keys in Redis. docs/redis.md describes each.
package keyspace

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
	CustomerPrefix = "care:customer:" // and the id: a customer's record
	Changes        = "care:changes"   // stream of ids of customers whose record changed
	Signals        = "care:signals"   // stream of what other systems say of customers

	ChangesKept = 1_000_000 // the length to which Changes is trimmed, about
)

// Customer is the key of a customer's record.
func Customer(id string) string { return CustomerPrefix + id }

// Tag is the hash tag of a shard.
func Tag(shard int) string { return tags[shard] }

// Space is where a store keeps queue, ledgers, records and events: "care:", or "care:trial:" for a trial, so that what is tried out is
// never taken for what customers got. Customers and what they decided, addresses and operators' stops are the same for both.
type Space string

// The spaces.
const (
	Shared Space = "care:"
	Trial  Space = "care:trial:"
)

// Prefix starts every key of a shard.
func (k Space) Prefix(shard int) string { return string(k) + "{" + tags[shard] + "}:" }

// Fence holds the last fencing token of the shard. Every script is given it as KEYS[1] and takes the other keys' prefix from
// it: they all lie in its slot.
func (k Space) Fence(shard int) string { return k.Prefix(shard) + "fence" }

// Due holds what waits in a lane, by its time.
func (k Space) Due(shard int, lane care.Lane) string {
	return k.Prefix(shard) + "due:" + lane.String()
}

// Leased holds what is claimed, by the end of its lease.
func (k Space) Leased(shard int) string { return k.Prefix(shard) + "leased" }

// Suspects holds what was claimed when its lease ended.
func (k Space) Suspects(shard int, lane care.Lane) string {
	return k.Prefix(shard) + "suspects:" + lane.String()
}

// Busy says which of the customers have a message claimed.
func (k Space) Busy(shard int) string { return k.Prefix(shard) + "busy" }

// Messages holds the records of the messages whose first release fell on the UTC day.
func (k Space) Messages(shard, day int) string {
	return k.Prefix(shard) + "msg:" + codec.DayText(day)
}

// Ledger is the customer's hash of what became of each occurrence. The overlay stands in the shared one.
func (k Space) Ledger(customer string) string {
	return k.Prefix(care.Shard(customer)) + "ledger:" + customer
}

// Timeline is the list of what happened with a customer beside messages.
func (k Space) Timeline(customer string) string {
	return k.Prefix(care.Shard(customer)) + "log:" + customer
}

// Shard names any other key of a shard.
func (k Space) Shard(shard int, name string) string { return k.Prefix(shard) + name }

// Global names keys that exist once: they lie in the first shard.
func (k Space) Global(name string) string { return k.Prefix(0) + name }

// Tasks is a sorted set of the tasks that nobody has ticked off; the score is when they came up, in milliseconds.
func (k Space) Tasks() string { return k.Global("tasks") }

// Parked holds a receipt for a provider's id whose message is not known yet. Each has a life of its own: a gateway's account that is shared
// with another system brings receipts for ever that belong to no message of ours.
func (k Space) Parked(provider string) string {
	return k.Shard(care.Shard(provider), "parked:"+provider)
}

// Events is the stream of care.EventEntry.
func (k Space) Events() string { return string(k) + "events" }

// SentTable counts a day's sent messages by dealer/program.
func SentTable(day int) string { return "sent:" + codec.DayText(day) }
