package feedback

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// TestWhatIsSaidOfTheRedirectIsNoCustomers: what becomes of the one address says nothing of those whom the messages were for.
func TestWhatIsSaidOfTheRedirectIsNoCustomers(t *testing.T) {
	t.Parallel()
	redirect := Redirect{care.Email: "Me@Example.com", care.SMS: "+8613912345678"}
	for _, tt := range []struct {
		ch   care.Channel
		to   string
		want care.Kind
	}{
		{care.Email, "me@example.com", ""},
		{care.Email, "wang@example.com", care.KindRecipient},
		{care.Email, "", care.KindRecipient},
		{care.SMS, "13912345678", care.KindRecipient}, // a number without its country may be anybody's
		{care.SMS, "+8613912345678", ""},
		{care.SMS, "+8613812345678", care.KindRecipient},
	} {
		got := redirect.Strip([]care.Receipt{{Channel: tt.ch, To: tt.to, Kind: care.KindRecipient}})
		if got[0].Kind != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.ch, tt.to, got[0].Kind, tt.want)
		}
	}
}

func TestFingerprintsOfReportedAddresses(t *testing.T) {
	t.Parallel()
	hash := func(ch care.Channel, address string) string { return HashOf([]byte("0123456789"), ch, address) }
	if a, b := hash(care.Email, "Wang@EXAMPLE.com"), hash(care.Email, "Wang@example.com"); a == "" || a != b {
		t.Errorf("%q and %q", a, b)
	}
	if a, b := hash(care.SMS, "+86 138 0013 8000"), hash(care.SMS, "+8613800138000"); a == "" || a != b {
		t.Errorf("%q and %q", a, b)
	}
	for _, bad := range []string{"?", "wang"} {
		if got := hash(care.Email, bad); got != "" {
			t.Errorf("%q has the fingerprint %q", bad, got)
		}
	}
	if got := hash(care.Webhook, "https://x"); got != "" {
		t.Errorf("an endpoint has the fingerprint %q", got)
	}
}

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
