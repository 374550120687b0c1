package delivery

import (
	"errors"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		n     int
		asked time.Duration
		unit  float64
		want  time.Duration
	}{
		{"the first wait is 30 s", 1, 0, 0.5, 30 * time.Second},
		{"it doubles", 2, 0, 0.5, time.Minute},
		{"and doubles", 4, 0, 0.5, 4 * time.Minute},
		{"jitter takes a fifth off", 1, 0, 0, 24 * time.Second},
		{"no wait is over an hour", 8, 0, 0.99, time.Hour},
		{"nor overflows", 500, 0, 0.5, time.Hour},
		{"no attempt counts as one", 0, 0, 0.5, 30 * time.Second},
		{"Retry-After is obeyed", 1, 10 * time.Minute, 0, 10 * time.Minute},
		{"but not under the base", 1, time.Second, 0, 30 * time.Second},
		{"nor over six hours", 1, 100 * time.Hour, 0, 6 * time.Hour},
	} {
		if got := Backoff(tt.n, tt.asked, tt.unit); got != tt.want {
			t.Errorf("%s: Backoff(%d, %v, %v) = %v, want %v", tt.name, tt.n, tt.asked, tt.unit, got, tt.want)
		}
	}
}

func record() care.Record {
	return care.Record{
		ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Customer: "C1", Program: "birthday", Class: care.Care, Channel: care.Email,
		State: care.StateSending, Release: noon, Expires: noon.Add(72 * time.Hour),
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	fail := func(kind care.Kind, after time.Duration) error {
		return &care.Error{Kind: kind, Code: "x", RetryAfter: after, Err: errors.New("no")}
	}
	sms := []care.Channel{care.SMS}
	for _, tt := range []struct {
		name    string
		err     error
		policy  string
		next    []care.Channel
		state   care.State
		channel care.Channel
		reason  string
		wait    time.Duration
	}{
		{"accepted", nil, Resend, sms, care.StateSent, care.Email, "", 0},
		{"a passing fault", fail(care.KindRetry, 0), Resend, sms, care.StateRetry, care.Email, "", 30 * time.Second},
		{"an unknown error is a passing fault", errors.New("?"), Resend, nil, care.StateRetry, care.Email, "", 30 * time.Second},
		{"Retry-After", fail(care.KindRetry, time.Hour), Resend, nil, care.StateRetry, care.Email, "", time.Hour},
		{"Retry-After beyond the expiry ends it", fail(care.KindDefer, 23*time.Hour), Resend, nil, care.StateRetry, care.Email, "", 23 * time.Hour},
		{"a dead address: the next channel, at once", fail(care.KindRecipient, 0), Resend, sms, care.StateRetry, care.SMS, "recipient", 0},
		{"a dead address and no channel left", fail(care.KindRecipient, 0), Resend, nil, care.StateFailed, care.Email, "recipient", 0},
		{"refused content", fail(care.KindContent, 0), Resend, nil, care.StateFailed, care.Email, "content", 0},
		{"opted out at the provider", fail(care.KindOptedOut, 0), Resend, nil, care.StateFailed, care.Email, "opted_out", 0},
		{"the operator must act: it waits", fail(care.KindOperator, 0), Resend, sms, care.StateRetry, care.Email, "operator", 30 * time.Second},
		{"not now", fail(care.KindDefer, 0), Resend, nil, care.StateRetry, care.Email, "", time.Hour},
		{"uncertain is repeated", fail(care.KindUncertain, 0), Resend, sms, care.StateRetry, care.Email, "uncertain", 30 * time.Second},
		{"uncertain is held", fail(care.KindUncertain, 0), Hold, sms, care.StateUncertain, care.Email, "no_answer", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec, next := after(record(), attempt{err: tt.err, at: noon, took: time.Second, policy: tt.policy, next: tt.next, unit: 0.5})
			if rec.State != tt.state || rec.Channel != tt.channel || rec.Reason != tt.reason {
				t.Errorf("got %s on %s (%q), want %s on %s (%q)", rec.State, rec.Channel, rec.Reason, tt.state, tt.channel, tt.reason)
			}
			if rec.State == care.StateRetry && next.Sub(noon) != tt.wait {
				t.Errorf("waits %v, want %v", next.Sub(noon), tt.wait)
			}
			if len(rec.Attempts) != 1 {
				t.Errorf("%d attempts on record, want 1", len(rec.Attempts))
			}
		})
	}
}

func TestAfterGivesUp(t *testing.T) {
	t.Parallel()
	rec := record()
	rec.FirstTry = noon.Add(-retryWindow)
	got, _ := after(rec, attempt{err: &care.Error{Kind: care.KindRetry}, at: noon, policy: Resend, unit: 0.5})
	if got.State != care.StateFailed || got.Reason != "gave_up_24h" {
		t.Errorf("24 h after the first try it is %s (%s), want failed (gave_up_24h)", got.State, got.Reason)
	}
	rec = record()
	rec.Expires = noon.Add(10 * time.Second)
	got, _ = after(rec, attempt{err: &care.Error{Kind: care.KindRetry}, at: noon, policy: Resend, unit: 0.5})
	if got.State != care.StateFailed || got.Reason != "gave_up_expired" {
		t.Errorf("with its expiry before the next try it is %s (%s), want failed (gave_up_expired)", got.State, got.Reason)
	}
}

// After an outcome that nobody knows the customer may have the message: no other channel may ever carry it, and it may not be
// called failed.
func TestNoOtherChannelAfterUncertain(t *testing.T) {
	t.Parallel()
	kinds := []care.Kind{"", care.KindRetry, care.KindRecipient, care.KindContent, care.KindOperator, care.KindOptedOut, care.KindDefer, care.KindUncertain}
	rapid.Check(t, func(t *rapid.T) {
		rec, now, uncertain := record(), noon, false
		for range rapid.IntRange(1, 12).Draw(t, "attempts") {
			kind := rapid.SampledFrom(kinds).Draw(t, "kind")
			var err error
			if kind != "" {
				err = &care.Error{Kind: kind}
			}
			was := rec.Channel
			next := []care.Channel{care.SMS, care.Webhook}
			if was != care.Email {
				next = next[1:]
			}
			var due time.Time
			rec, due = after(rec, attempt{err: err, at: now, policy: Resend, next: next, unit: rapid.Float64Range(0, 0.999).Draw(t, "unit")})
			uncertain = uncertain || kind == care.KindUncertain
			if uncertain && rec.Channel != was {
				t.Fatalf("went to %s after an uncertain attempt on %s", rec.Channel, was)
			}
			if uncertain && rec.State == care.StateFailed {
				t.Fatal("failed is not known after an uncertain attempt")
			}
			if rec.State != care.StateRetry {
				return
			}
			if due.Before(now) || !due.Before(rec.Expires) {
				t.Fatalf("due again at %v: before now or after its expiry", due)
			}
			if rec.Channel != was {
				uncertain = false
			}
			now = due
		}
	})
}

func TestSafeRepeatsAreOnRecord(t *testing.T) {
	t.Parallel()
	rec, _ := after(record(), attempt{receipt: care.Receipt{Tries: 3, ProviderID: "p"}, at: noon, policy: Resend})
	if len(rec.Attempts) != 3 || rec.Attempts[0].Kind != care.KindRetry || rec.Attempts[2].Kind != "" || rec.Attempts[2].Provider != "p" {
		t.Errorf("three requests, the last accepted, are on record as %+v", rec.Attempts)
	}
}

func TestUncertainPolicy(t *testing.T) {
	t.Parallel()
	own := &care.Program{Uncertain: map[care.Channel]string{care.Email: Hold}}
	for _, tt := range []struct {
		p    *care.Program
		ch   care.Channel
		want string
	}{{nil, care.SMS, Hold}, {nil, care.Email, Resend}, {nil, care.Webhook, Resend}, {own, care.Email, Hold}, {own, care.SMS, Hold}} {
		if got := UncertainPolicy(tt.p, tt.ch); got != tt.want {
			t.Errorf("UncertainPolicy(%v, %s) = %s, want %s", tt.p, tt.ch, got, tt.want)
		}
	}
}

// A webhook whose first connection broke after it was written is repeated at once: that is a repeat on record, and a refusal of the
// repeat does not make the message failed.
func TestARepeatAfterAnUnansweredTryIsOnRecord(t *testing.T) {
	t.Parallel()
	rec, _ := after(record(), attempt{receipt: care.Receipt{Tries: 2, Reached: true}, at: noon, policy: Resend})
	if rec.State != care.StateSent || rec.Repeats != 1 || rec.Attempts[0].Kind != care.KindUncertain {
		t.Errorf("accepted at the repeat: %s, %d repeats, %+v", rec.State, rec.Repeats, rec.Attempts)
	}
	rec, _ = after(record(), attempt{err: &care.Error{Kind: care.KindContent, Tries: 2, Reached: true}, at: noon, policy: Resend, next: []care.Channel{care.SMS}})
	if rec.State != care.StateUncertain || rec.Channel != care.Email {
		t.Errorf("refused at the repeat: %s on %s", rec.State, rec.Channel)
	}
}

// TestWhatIsRepeatedAtOnceIsOneSend: an endpoint that knows the id is asked again later, however often the client asked at once.
func TestWhatIsRepeatedAtOnceIsOneSend(t *testing.T) {
	t.Parallel()
	rec := record()
	for sends := 1; sends <= sendMost; sends++ {
		rec, _ = after(rec, attempt{err: &care.Error{Kind: care.KindUncertain, Tries: 3, Reached: true}, at: noon, policy: Resend, unit: 0.5})
		want := care.StateRetry
		if sends == sendMost {
			want = care.StateUncertain
		}
		if rec.State != want || len(rec.Attempts) != 3*sends {
			t.Fatalf("after send %d: %s with %d attempts, want %s with %d", sends, rec.State, len(rec.Attempts), want, 3*sends)
		}
	}
}
