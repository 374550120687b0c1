package codec

import (
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Ref names a message in the sets of its shard: its id, the day of its record, and its customer, separated by |. In leased the lane
// stands before it.
type Ref struct {
	ID       string
	Day      int // days since 1970
	Customer string
}

func (r Ref) String() string { return r.ID + "|" + DayText(r.Day) + "|" + r.Customer }

// ParseRef is the inverse of String.
func ParseRef(s string) (Ref, bool) {
	id, rest, ok := strings.Cut(s, "|")
	day, customer, ok2 := strings.Cut(rest, "|")
	n, err := strconv.Atoi(day)
	return Ref{id, n, customer}, ok && ok2 && err == nil && customer != "" && care.ShardOf(id) >= 0
}

// ParseLeased reads a member of leased: the lane, and the ref behind it.
func ParseLeased(s string) (lane care.Lane, r Ref, ok bool) {
	name, rest, ok := strings.Cut(s, "|")
	lane, known := LaneNamed(name)
	r, fine := ParseRef(rest)
	return lane, r, ok && known && fine
}

// dayLen is the length of a day in a key or a ledger entry.
const dayLen = 5

// DayOf returns the days from 1970-01-01 to the UTC day of t; days before it and after 99,999 are clamped.
func DayOf(t time.Time) int {
	return min(max(care.DateOf(t.UTC()).Days(), 0), 99999)
}

// DayText writes a day as keys, refs and ledger entries have it: five digits.
func DayText(day int) string {
	s := strconv.Itoa(day)
	return "00000"[min(len(s), dayLen):] + s
}

// LaneNamed is the inverse of care.Lane.String.
func LaneNamed(name string) (care.Lane, bool) {
	channel, class, ok := strings.Cut(name, "-")
	return care.Lane{Channel: care.Channel(channel), Urgent: class == "a"}, ok && care.Channel(channel).Known()
}
