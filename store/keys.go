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

// The sets of a shard's queue: what waits, by its time; what is claimed, by the end of its lease; what was there when a lease ended. And who of
// its customers has a message claimed.
func dueKey(shard int, lane care.Lane) string { return prefix(shard) + "due:" + lane.String() }

func leasedKey(shard int) string { return prefix(shard) + "leased" }

func suspectsKey(shard int, lane care.Lane) string {
	return prefix(shard) + "suspects:" + lane.String()
}

func busyKey(shard int) string { return prefix(shard) + "busy" }

// messagesKey holds the records of the messages whose first release fell on the UTC day.
func messagesKey(shard, day int) string { return prefix(shard) + "msg:" + dayText(day) }

func ledgerKey(customer string) string { return prefix(care.Shard(customer)) + "ledger:" + customer }

// overlayField is where the overlay stands in a customer's ledger. No occurrence has such an id.
const overlayField = "+"

func timelineKey(customer string) string { return prefix(care.Shard(customer)) + "log:" + customer }

func shardKey(shard int, name string) string { return prefix(shard) + name }

// Keys that exist once lie in the first shard.
func globalKey(name string) string { return prefix(0) + name }

// sentTable counts a day's sent messages by dealer/program.
func sentTable(day int) string { return "sent:" + dayText(day) }

// ref names a message in the sets of its shard: its id, the day of its record, and its customer, separated by |. In leased the lane
// stands before it.
type ref struct {
	id       string
	day      int
	customer string
}

func (r ref) String() string { return r.id + "|" + dayText(r.day) + "|" + r.customer }

// parseRef is the inverse of String.
func parseRef(s string) (ref, bool) {
	id, rest, ok := strings.Cut(s, "|")
	day, customer, ok2 := strings.Cut(rest, "|")
	n, err := strconv.Atoi(day)
	return ref{id, n, customer}, ok && ok2 && err == nil && customer != "" && care.ShardOf(id) >= 0
}

// parseLeased reads a member of leased.
func parseLeased(s string) (lane care.Lane, r ref, ok bool) {
	name, rest, ok := strings.Cut(s, "|")
	lane, known := laneNamed(name)
	r, fine := parseRef(rest)
	return lane, r, ok && known && fine
}

// holder is what busy says of a customer: the message that is claimed, and the token.
func holder(id string, token int64) string { return id + "|" + strconv.FormatInt(token, 10) }

// dayLen is the length of a day in a key or a ledger entry.
const dayLen = 5

// dayOf returns the days from 1970-01-01 to the UTC day of t; days before it and after 99,999 are clamped.
func dayOf(t time.Time) int {
	return min(max(care.DateOf(t.UTC()).Days(), 0), 99999)
}

func dayText(day int) string {
	s := strconv.Itoa(day)
	return "00000"[min(len(s), dayLen):] + s
}

// laneNamed is the inverse of care.Lane.String.
func laneNamed(name string) (care.Lane, bool) {
	channel, class, ok := strings.Cut(name, "-")
	return care.Lane{Channel: care.Channel(channel), Urgent: class == "a"}, ok && care.Channel(channel).Known()
}
