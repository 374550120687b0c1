package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
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

// The keys of a lane's queue; see slot.go.
func dueKey(shard int, lane care.Lane) string { return prefix(shard) + "due:" + lane.String() }

func slotKey(shard int, lane care.Lane, slot string) string {
	return prefix(shard) + "slot:" + lane.String() + ":" + slot
}

func lateKey(shard int, lane care.Lane) string { return prefix(shard) + "late:" + lane.String() }

// messagesKey holds the records of the messages whose first release fell on the UTC day.
func messagesKey(shard, day int) string { return prefix(shard) + "msg:" + dayText(day) }

func ledgerKey(customer string) string { return prefix(care.Shard(customer)) + "ledger:" + customer }

// overlayField is where the overlay stands in a customer's ledger. No occurrence has such an id.
const overlayField = "+"

func timelineKey(customer string) string { return prefix(care.Shard(customer)) + "log:" + customer }

func shardKey(shard int, name string) string { return prefix(shard) + name }

// Keys that exist once lie in the first shard.
func globalKey(name string) string { return prefix(0) + name }

// sentKey counts a day's sent messages by dealer/program.
func sentKey(shard, day int) string { return prefix(shard) + "sent:" + dayText(day) }

// What stands in a list of messages says where its message is: 26 characters of id, 5 of the day of its record, and then, in held and failed, the
// customer, but in a queue, and in a hand, the record itself. So a claim has all it needs without looking a record up.
const (
	idLen  = 26
	dayLen = 5
	restAt = idLen + dayLen
)

func member(id string, day int, rest string) string { return id + dayText(day) + rest }

func splitMember(m string) (id string, day int, rest string, ok bool) {
	if len(m) <= restAt || care.ShardOf(m[:idLen]) < 0 {
		return "", 0, "", false
	}
	day, err := strconv.Atoi(m[idLen:restAt])
	return m[:idLen], day, m[restAt:], err == nil
}

// dayOf returns the days from 1970-01-01 to the UTC day of t; days before it and after 99,999 are clamped.
func dayOf(t time.Time) int {
	return min(max(care.DateOf(t.UTC()).Days(), 0), 99999)
}

func dayText(day int) string {
	s := strconv.Itoa(day)
	return "00000"[min(len(s), dayLen):] + s
}

// The keys of what is in hand; see hand.go.
func flightKey(shard int) string { return prefix(shard) + "flight" }

func handsKey(shard int) string { return prefix(shard) + "hands" }

func handKey(shard int, token string) string { return prefix(shard) + "hand:" + token }

// laneNamed is the inverse of care.Lane.String.
func laneNamed(name string) (care.Lane, bool) {
	channel, class, ok := strings.Cut(name, "-")
	return care.Lane{Channel: care.Channel(channel), Urgent: class == "a"}, ok && care.Channel(channel).Known()
}
