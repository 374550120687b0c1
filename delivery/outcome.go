package delivery

import (
	"errors"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// What a program does with a message whose outcome nobody knows.
const (
	Resend = "resend" // repeat it with the same id, on record
	Hold   = "hold"   // wait for the receipt, then a person decides
)

// UncertainPolicy returns what a program does on a channel: its own choice, else hold for SMS and resend for the others.
func UncertainPolicy(p *care.Program, ch care.Channel) string {
	if p != nil {
		if policy, ok := p.Uncertain[ch]; ok {
			return policy
		}
	}
	if ch == care.SMS {
		return Hold
	}
	return Resend
}

// attempt is one finished attempt, with everything the decision about it depends on.
type attempt struct {
	receipt care.Receipt
	err     error
	at      time.Time // when it ended
	took    time.Duration
	policy  string         // UncertainPolicy
	next    []care.Channel // channels left after this one
	unit    float64        // jitter, in [0, 1)
	stopped bool           // a shutdown cut it off before anything was sent
}

// after returns the record after an attempt and when it is due again (zero = not by itself). It is the one place that decides
// what an answer means for a message.
func after(rec care.Record, t attempt) (care.Record, time.Time) {
	if t.stopped {
		rec.State, rec.UpdatedAt = backInQueue(rec), t.at
		return rec, t.at
	}
	kind := care.KindOf(t.err)
	var failure care.Error
	if e, ok := errors.AsType[*care.Error](t.err); ok {
		failure = *e
	}
	rec = withAttempts(rec, t, kind, failure)
	rec.UpdatedAt, rec.Reason = t.at, ""
	if rec.FirstTry.IsZero() {
		rec.FirstTry = t.at.Add(-t.took)
	}
	switch kind {
	case "":
		rec.State = care.StateSent
		if t.receipt.State == care.StateDelivered {
			rec.State = care.StateDelivered
		}
		rec.Parts = max(rec.Parts, t.receipt.Parts)
		return rec, time.Time{}
	case care.KindRecipient, care.KindContent, care.KindOptedOut:
		return nextChannel(rec, t, string(kind))
	case care.KindUncertain:
		if t.policy == Hold || unanswered(&rec) >= sendMost {
			rec.State, rec.Reason = care.StateUncertain, "no_answer"
			return rec, time.Time{}
		}
		rec.Reason = "uncertain"
		return again(rec, t, Backoff(len(rec.Attempts), failure.RetryAfter, t.unit))
	case care.KindDefer:
		wait := failure.RetryAfter
		if wait <= 0 {
			wait = time.Hour
		}
		if failure.Gateway {
			rec.Reason = "quota" // of the account, not of the message: it waits for as long as it is worth sending
		}
		return again(rec, t, min(max(wait, retryBase), 24*time.Hour))
	case care.KindOperator:
		// The channel is paused: the message waits for it, and goes as soon as an operator resumes the channel.
		rec.Reason = "operator"
		return again(rec, t, retryBase)
	default:
		return again(rec, t, Backoff(failures(rec), failure.RetryAfter, t.unit))
	}
}

// sendMost is how often a message is sent whose outcome nobody knows. If two repeats got no answer, a third will not.
const sendMost = 3

// repeatedAtOnce is the code of a try that the HTTP client repeated by itself within one attempt, because the receiver knows the id.
const repeatedAtOnce = "repeated_at_once"

// unanswered counts the attempts of which nobody knows what became, what was repeated within one not apart.
func unanswered(rec *care.Record) (n int) {
	for _, a := range rec.Attempts {
		if a.Kind == care.KindUncertain && a.Code != repeatedAtOnce {
			n++
		}
	}
	return n
}

// failures counts the attempts on this channel that were answered by a passing fault.
func failures(rec care.Record) int {
	n := 0
	for _, a := range rec.Attempts {
		if a.Channel == rec.Channel && a.Kind != "" {
			n++
		}
	}
	return n
}

func withAttempts(rec care.Record, t attempt, kind care.Kind, failure care.Error) care.Record {
	rec.Attempts = slices.Clone(rec.Attempts)
	// A safe request repeated at once by the HTTP client is an attempt too; only the last one's answer is known.
	tries := max(t.receipt.Tries, failure.Tries, 1)
	for i := range tries {
		a := care.Attempt{
			N: len(rec.Attempts) + 1, At: t.at.Add(-t.took), Channel: rec.Channel, Gateway: t.receipt.Gateway,
			Kind: kind, Code: failure.Code, Took: t.took, Provider: t.receipt.ProviderID, Said: failure.Said,
		}
		if i < tries-1 {
			a.Kind, a.Code, a.Provider, a.Said = care.KindRetry, repeatedAtOnce, "", ""
			if t.receipt.Reached || failure.Reached {
				a.Kind = care.KindUncertain // the receiver may have it: the try after it was a repeat
				rec.Repeats++
			}
		}
		rec.Attempts = append(rec.Attempts, a)
	}
	return rec
}

// again puts the message back into the queue, unless its time will be over by then.
func again(rec care.Record, t attempt, wait time.Duration) (care.Record, time.Time) {
	next := t.at.Add(wait)
	switch {
	case !next.Before(rec.Expires):
		return nextChannel(rec, t, "gave_up_expired")
	case next.Sub(rec.FirstTry) > retryWindow && rec.Reason != "operator" && rec.Reason != "quota":
		return nextChannel(rec, t, "gave_up_24h")
	}
	rec.State = care.StateRetry
	return rec, next
}

// nextChannel gives up this channel and goes on with the next one at once; without one the message has failed. After an
// uncertain attempt no other channel may be tried: the customer may have the message already.
func nextChannel(rec care.Record, t attempt, reason string) (care.Record, time.Time) {
	if rec.MayHaveArrived() {
		rec.State, rec.Reason = care.StateUncertain, reason
		return rec, time.Time{}
	}
	rec.Tried = append(slices.Clone(rec.Tried), rec.Channel)
	rec.Reason = reason
	if len(t.next) > 0 && t.at.Before(rec.Expires) {
		rec.Channel, rec.State = t.next[0], care.StateRetry
		return rec, t.at
	}
	rec.State = care.StateFailed
	return rec, time.Time{}
}

// backInQueue is the state of a message that goes back untouched.
func backInQueue(rec care.Record) care.State {
	if len(rec.Attempts) > 0 {
		return care.StateRetry
	}
	return care.StateDue
}
