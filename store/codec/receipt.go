package codec

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Rank is how much a receipt says. Receipts come in any order, and what waits for the message must be the one that says most.
func Rank(state care.State) string {
	switch state {
	case care.StateSent:
		return "1"
	case care.StateFailed:
		return "2"
	case care.StateUndelivered:
		return "3"
	case care.StateDelivered:
		return "4"
	}
	return "0"
}

// EncodeEarly writes a receipt as it waits in early: its rank, which scripts compare, the second it was put there, and what it says.
func EncodeEarly(rc *care.Receipt, at time.Time) (string, error) {
	raw, err := json.Marshal(rc)
	return fmt.Sprintf("%s|%d|%s", Rank(rc.State), at.Unix(), raw), err
}

// DecodeEarly reads what EncodeEarly wrote.
func DecodeEarly(raw string) (rc care.Receipt, at time.Time, ok bool) {
	_, rest, _ := strings.Cut(raw, "|")
	second, said, _ := strings.Cut(rest, "|")
	sec, err := strconv.ParseInt(second, 10, 64)
	ok = err == nil && json.Unmarshal([]byte(said), &rc) == nil
	return rc, time.Unix(sec, 0), ok
}
