package feedback

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// taken keeps receipts.
type taken struct{ all []care.Receipt }

func (t *taken) Receipts(_ context.Context, receipts []care.Receipt) error {
	t.all = append(t.all, receipts...)
	return nil
}

// TestOneGatewayDoesNotSpeakForAnother: a receipt counts only from the gateway that the message went by.
func TestOneGatewayDoesNotSpeakForAnother(t *testing.T) {
	t.Parallel()
	attempt := func(ch care.Channel, gateway string) care.Attempt { return care.Attempt{Channel: ch, Gateway: gateway} }
	for name, tt := range map[string]struct {
		attempts []care.Attempt
		from     string
		want     bool
	}{
		"its own":               {[]care.Attempt{attempt(care.SMS, "kannel")}, "kannel", true},
		"another":               {[]care.Attempt{attempt(care.SMS, "kannel")}, "vonage", false},
		"tried by both":         {[]care.Attempt{attempt(care.SMS, "kannel"), attempt(care.SMS, "vonage")}, "kannel", true},
		"a crash while sending": {[]care.Attempt{attempt(care.SMS, "")}, "vonage", true},
		"mail first":            {[]care.Attempt{attempt(care.Email, "mx:25"), attempt(care.SMS, "kannel")}, "vonage", false},
		"not tried yet":         {nil, "vonage", true},
	} {
		kept := &taken{}
		s := &Service{Receipts: kept, Log: slog.New(slog.DiscardHandler), Message: func(context.Context, string) (care.Record, error) {
			return care.Record{State: care.StateSent, Attempts: tt.attempts}, nil
		}}
		rc := care.Receipt{ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.SMS, Gateway: tt.from, State: care.StateUndelivered, Kind: care.KindRecipient}
		if err := s.TakeReceipts(t.Context(), []care.Receipt{rc}); err != nil || (len(kept.all) == 1) != tt.want {
			t.Errorf("%s: %d taken, %v", name, len(kept.all), err)
		}
	}
}

// TestReturnedMailThatTeachesNothingIsCounted: it is taken, so that it does not come again, and counted by why.
func TestReturnedMailThatTeachesNothingIsCounted(t *testing.T) {
	t.Parallel()
	for why, answer := range map[string]error{ReturnedUnproven: email.ErrUnproven, ReturnedUnknown: email.ErrNotUnderstood} {
		counts := map[string]int{}
		s := &Service{
			Log: slog.New(slog.DiscardHandler), Reports: func([]byte) ([]care.Receipt, error) { return nil, answer },
			Unread: func(_ context.Context, why string) (bool, error) {
				counts[why]++
				return counts[why] == 1, nil
			},
		}
		for range 3 {
			if err := s.Returned(t.Context(), strings.NewReader("")); err != nil {
				t.Error(err)
			}
		}
		if counts[why] != 3 {
			t.Errorf("%s: %v", why, counts)
		}
	}
}
