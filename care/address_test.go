package care_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

// TestTheLastWordOfAnAddressCounts: whatever came before, a no that came last stops, and a yes that came last lifts; what is older than the
// last word changes nothing.
func TestTheLastWordOfAnAddressCounts(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var a care.AddressState
		at, stopped := start, false
		for range rapid.IntRange(1, 20).Draw(t, "words") {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Hour}).Draw(t, "later"))
			switch rapid.IntRange(0, 3).Draw(t, "word") {
			case 0:
				a.Refuse(care.Stop{At: at, Source: "sms"})
				stopped = true
			case 1:
				if a.Stopped() {
					a.Agree(care.Stop{At: at, Source: "sms"})
				}
				stopped = false
			case 2: // a yes of long ago
				a.Agree(care.Stop{At: start.AddDate(-1, 0, 0)})
				if a.Stop.At.IsZero() {
					a.Grant = care.Stop{}
				}
			case 3: // a no of long ago
				a.Refuse(care.Stop{At: start.AddDate(-1, 0, 0)})
				if a.Stop.At.Before(start) && a.Grant.At.IsZero() {
					a.Stop = care.Stop{}
				}
			}
			if a.Stopped() != stopped {
				t.Fatalf("stopped %t, want %t: %+v", a.Stopped(), stopped, a)
			}
		}
	})
}

func TestWhatAnAddressTellsOfACustomer(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 11, 30, hour, 0, 0, 0, time.UTC) }
	word := func(hour int) care.Stop { return care.Stop{At: at(hour), Source: "sms"} }
	phone := care.AddressHash{Channel: care.SMS, Hash: "h"}
	for name, tt := range map[string]struct {
		own             *care.Overlay
		address         care.AddressState
		stopped, erased bool
		dead            bool
	}{
		"nothing":                    {nil, care.AddressState{}, false, false, false},
		"a no":                       {nil, care.AddressState{Stop: word(9)}, true, false, false},
		"a no that was taken back":   {nil, care.AddressState{Stop: word(9), Grant: word(10)}, false, false, false},
		"a no beside other wishes":   {&care.Overlay{Holds: []care.Hold{{Reason: "complaint"}}}, care.AddressState{Stop: word(9)}, true, false, false},
		"the customer's own no":      {&care.Overlay{Stops: map[string]care.Stop{"sms": word(9)}}, care.AddressState{}, true, false, false},
		"their own no, a later yes":  {&care.Overlay{Stops: map[string]care.Stop{"sms": word(9)}}, care.AddressState{Stop: word(9), Grant: word(10)}, false, false, false},
		"their own no after the yes": {&care.Overlay{Stops: map[string]care.Stop{"sms": word(11)}}, care.AddressState{Stop: word(9), Grant: word(10)}, true, false, false},
		"their own yes after the no": {&care.Overlay{Grants: map[string]care.Stop{"sms": word(10)}}, care.AddressState{Stop: word(9)}, false, false, false},
		"their own yes before":       {&care.Overlay{Grants: map[string]care.Stop{"sms": word(8)}}, care.AddressState{Stop: word(9)}, true, false, false},
		"a no of everything":         {&care.Overlay{Stops: map[string]care.Stop{"*": word(9)}}, care.AddressState{Stop: word(9), Grant: word(10)}, true, false, false},
		"dead":                       {nil, care.AddressState{Dead: care.Suppression{Reason: "5.1.1", At: at(9)}}, false, false, true},
		"an erased customer's":       {nil, care.AddressState{Erased: at(9)}, false, true, false},
		"had it before":              {nil, care.AddressState{Erased: at(9), Served: []string{"C1"}}, false, false, false},
	} {
		f := &care.Facts{ID: "C1", Customer: &care.Customer{ID: "C1"}, Overlay: tt.own}
		f.Learn(phone, &tt.address)
		if f.Overlay.Stopped(care.SMS, care.Service, "t", "p") != tt.stopped || f.AddressErased != tt.erased || f.Overlay.Dead(phone) != tt.dead {
			t.Errorf("%s: overlay %+v, erased %t", name, f.Overlay, f.AddressErased)
		}
		if f.Overlay.Stopped(care.Email, care.Service, "t", "p") != (name == "a no of everything") {
			t.Errorf("%s: e-mail is stopped too", name)
		}
	}
}

func TestErasedAddressesServeWhoWasThere(t *testing.T) {
	t.Parallel()
	var a care.AddressState
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	a.Erase("C1", []string{"C1", "C2"}, now)
	a.Erase("C3", []string{"C4"}, now) // came later: whom it names was not there at the first
	for id, served := range map[string]bool{"C1": false, "C2": true, "C3": false, "C4": false} {
		f := &care.Facts{ID: id, Customer: &care.Customer{ID: id}}
		f.Learn(care.AddressHash{Channel: care.SMS, Hash: "h"}, &a)
		if f.AddressErased == served {
			t.Errorf("%s: served %t", id, !f.AddressErased)
		}
	}
	if !a.Allow("C4") || a.Allow("C4") || a.Allow("C2") {
		t.Errorf("allowed: %v", a.Served)
	}
	a.Erase("C2", nil, now)
	if f := (&care.Facts{ID: "C2", Customer: &care.Customer{}}); true {
		if f.Learn(care.AddressHash{Hash: "h"}, &a); !f.AddressErased {
			t.Error("one who was erased too is served")
		}
	}
}
