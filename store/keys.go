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
	eventsKey      = "care:events"  // stream of care.EventEntry
)

func customerKey(id string) string { return customerPrefix + id }

// prefix starts every key of a shard.
func prefix(shard int) string { return "care:{" + tags[shard] + "}:" }

// fenceKey holds the last fencing token of the shard. Every script is given it as KEYS[1] and takes the other keys' prefix from
// it: they all lie in its slot.
func fenceKey(shard int) string { return prefix(shard) + "fence" }

// The sets of a shard's queue: what waits, by its time; what is claimed, by the end of its lease; what was there when a lease ended. And who of
// its customers has a message claimed.
func dueKey(shard int, lane care.Lane) string { return prefix(shard) + "due:" + lane.String() }

func leasedKey(shard int) string { return prefix(shard) + "leased" }

func suspectsKey(shard int, lane care.Lane) string {
	return prefix(shard) + "suspects:" + lane.String()
}

func busyKey(shard int) string { return prefix(shard) + "busy" }

// messagesKey holds the records of the messages whose first release fell on the UTC day.
func messagesKey(shard, day int) string { return prefix(shard) + "msg:" + codec.DayText(day) }

func ledgerKey(customer string) string { return prefix(care.Shard(customer)) + "ledger:" + customer }

func timelineKey(customer string) string { return prefix(care.Shard(customer)) + "log:" + customer }

func shardKey(shard int, name string) string { return prefix(shard) + name }

// Keys that exist once lie in the first shard.
func globalKey(name string) string { return prefix(0) + name }

// sentTable counts a day's sent messages by dealer/program.
func sentTable(day int) string { return "sent:" + codec.DayText(day) }
