package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

func TestBreaker(t *testing.T) {
	t.Parallel()
	type answer struct {
		kind  care.Kind
		pause time.Duration
	}
	again := func(n int, a answer) []answer {
		var all []answer
		for range n {
			all = append(all, a)
		}
		return all
	}
	busy, yes := answer{care.KindRetry, 30 * time.Second}, answer{}
	for _, tt := range []struct {
		name    string
		answers []answer
		after   time.Duration
		out     int
		want    int // of 100
		closed  time.Duration
	}{
		{"nothing yet", nil, 0, 0, 100, 0},
		{"a few faults", again(breakAfter-1, answer{kind: care.KindRetry}), 0, 0, 100, 0},
		{"too many", again(breakAfter, answer{kind: care.KindRetry}), 0, 0, 0, breakFirst},
		{"a probe", again(breakAfter, answer{kind: care.KindRetry}), breakFirst, 0, probes, 0},
		{"the rest of a probe", again(breakAfter, answer{kind: care.KindRetry}), breakFirst, 3, probes - 3, 0},
		{"the probe is on its way", again(breakAfter, answer{kind: care.KindUncertain}), breakFirst, 9, 0, 0},
		{"a refusal is an answer", append(again(breakAfter, answer{kind: care.KindRetry}), answer{kind: care.KindContent}), 0, 0, 100, 0},
		{"it asks once", []answer{busy}, 0, 0, 100, 0},
		{"it asks twice", []answer{busy, busy}, 0, 0, 0, 30 * time.Second},
		{"and has had it", []answer{busy, busy}, 30 * time.Second, 0, 100, 0},
		{"not in a row", []answer{busy, yes, busy}, 0, 0, 100, 0},
		{"for an hour", []answer{busy, {care.KindRetry, time.Hour}}, 0, 0, 0, breakMost},
		{"what came before its pause is no reason to end it", []answer{busy, busy, yes}, 0, 0, 0, 30 * time.Second},
		{"a message that is put off says nothing of the gateway", again(5, answer{care.KindDefer, time.Hour}), 0, 0, 100, 0},
	} {
		var b breaker
		for _, a := range tt.answers {
			b.record(noon, a.kind, a.pause)
		}
		now := noon.Add(tt.after)
		if got, closed := b.allows(now, 100, tt.out), b.closedFor(now); got != tt.want || closed != tt.closed {
			t.Errorf("%s: %d may go and nothing for %v, want %d and %v", tt.name, got, closed, tt.want, tt.closed)
		}
	}
}

// What is logged is a change: that the gateway is in trouble, and that it is not any more, however many messages it refuses between.
func TestABreakerTellsEachChangeOnce(t *testing.T) {
	t.Parallel()
	var b breaker
	var told []bool
	say := func(n int, kind care.Kind, at time.Duration) {
		for range n {
			if open, changed := b.record(noon.Add(at), kind, 0); changed {
				told = append(told, open)
			}
		}
	}
	say(3*breakAfter, care.KindRetry, 0)
	say(probes, care.KindUncertain, breakFirst)
	say(50, "", time.Minute)
	say(breakAfter-1, care.KindRetry, time.Minute)
	say(1, care.KindRecipient, time.Minute)
	say(breakAfter, care.KindRetry, time.Hour)
	if want := []bool{true, false, true}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// The pauses grow while a gateway answers nothing, and begin anew after an answer.
func TestBreakerPausesGrowAndAreForgotten(t *testing.T) {
	t.Parallel()
	var b breaker
	now := noon
	fail := func(n int) (pause time.Duration) {
		for range n {
			b.record(now, care.KindRetry, 0)
		}
		pause = b.closedFor(now)
		now = now.Add(pause)
		return pause
	}
	expect := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: closed for %v, want %v", what, got, want)
		}
	}
	expect("too few faults", fail(breakAfter-1), 0)
	expect("the last of too many", fail(1), breakFirst)
	for _, want := range []int{4, 8, 16, 32, 60, 60} {
		expect("a probe that fails", fail(1), time.Duration(want)*time.Second)
	}
	b.record(now, "", 0)
	expect("an answer", b.closedFor(now), 0)
	expect("too few faults since the answer", fail(breakAfter-1), 0)
	expect("as at first", fail(1), breakFirst)
	b.record(now, care.KindContent, 0)
	expect("as at first after a refusal too", fail(breakAfter), breakFirst)
}
