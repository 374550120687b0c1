package codec

import (
	"fmt"
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

// Destination says which set a message stands in by its state, "" = none, and with what score.
func Destination(r *care.Record, next, now time.Time) (set string, at int64, err error) {
	switch r.State {
	case care.StateDue, care.StateRetry:
		if next.IsZero() {
			next = now
		}
		return "due:" + care.LaneOf(r.Channel, r.Class).String(), Score(next), nil
	case care.StateUncertain:
		return "uncertain", r.UpdatedAt.UnixMilli(), nil
	case care.StateFailed:
		return "failed", r.UpdatedAt.UnixMilli(), nil
	case care.StateSent, care.StateDelivered, care.StateUndelivered, care.StateExpired, care.StateSkipped:
		return "", 0, nil
	}
	return "", 0, fmt.Errorf("message %s cannot end as %q", r.ID, r.State)
}

// Score is a time as due has it: milliseconds of the daemon's clock, rounded up.
func Score(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }
