package daemon

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

func TestMessagesThatDidNotArrive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	ago := func(days int, state care.State, ch care.Channel) care.LedgerEntry {
		return care.LedgerEntry{State: state, At: now.AddDate(0, 0, -days), Channel: ch}
	}
	for name, tt := range map[string]struct {
		ledger care.Ledger
		want   int
	}{
		"the first": {care.Ledger{"me": ago(0, care.StateUndelivered, care.SMS)}, 1},
		"the third": {care.Ledger{"me": ago(0, care.StateUndelivered, care.SMS), "a": ago(9, care.StateUndelivered, care.SMS), "b": ago(20, care.StateUndelivered, care.SMS)}, 3},
		"one of them is old, one by e-mail, one only sent": {care.Ledger{
			"me": ago(0, care.StateUndelivered, care.SMS), "a": ago(31, care.StateUndelivered, care.SMS), "b": ago(2, care.StateUndelivered, care.Email), "c": ago(1, care.StateSent, care.SMS),
		}, 1},
		"the ledger does not know yet": {care.Ledger{"me": ago(0, care.StateSent, care.SMS), "a": ago(9, care.StateUndelivered, care.SMS)}, 2},
		"one arrived in between":       {care.Ledger{"me": ago(0, care.StateUndelivered, care.SMS), "b": ago(5, care.StateDelivered, care.SMS), "a": ago(9, care.StateUndelivered, care.SMS)}, 1},
		"another one arrived, by e-mail": {care.Ledger{
			"me": ago(0, care.StateUndelivered, care.SMS), "b": ago(5, care.StateDelivered, care.Email), "a": ago(9, care.StateUndelivered, care.SMS),
		}, 2},
	} {
		if got := notReached(tt.ledger, "me", care.SMS, now); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
