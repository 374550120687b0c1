package events

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// TestCustomersWordsStayWords: what a customer wrote mentions nobody, links to nothing and is one line.
func TestCustomersWordsStayWords(t *testing.T) {
	t.Parallel()
	const said = `<at user_id="all">all</at> [pay here](http://evil.example)` + "\nTask: customer C2: call\u2028@all @所有人"
	for _, locale := range []string{"en", "zh-CN"} {
		got := TaskText(locale, &care.EventEntry{Customer: "C1", Program: "p", Step: "s", Reason: "reply", Value: said})
		before := TaskText(locale, &care.EventEntry{Customer: "C1", Program: "p", Step: "s", Reason: "reply", Value: "x"})
		for _, bad := range []string{"<", ">", "](", "@all", "@所有人", "\u2028"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q is in %q", bad, got)
			}
		}
		if strings.Count(got, "\n") != strings.Count(before, "\n") {
			t.Errorf("a line of its own: %q", got)
		}
	}
}

// TestABotThatNeverAnswersGetsThreeCopies: then the entry is given up, and the log says so.
func TestABotThatNeverAnswersGetsThreeCopies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, p := &reel{}, &endpoint{answer: func(string, int) error { return refusal(care.KindUncertain, "timeout", 0) }}
		h := newPublisher(t, r, p)
		var dropped tally
		var log strings.Builder
		h.Dropped, h.Bot, h.Log = dropped.add, true, slog.New(slog.NewTextHandler(&log, nil))
		during(t, h, func() {
			r.told(t, sent("C1"))
			time.Sleep(24 * time.Hour)
		})
		if p.asked("C1") != 3 || dropped.n.Load() != 1 || strings.Count(log.String(), "level=WARN") != 1 || strings.Count(log.String(), "level=ERROR") != 1 {
			t.Errorf("posted %d times, %d given up:\n%s", p.asked("C1"), dropped.n.Load(), log.String())
		}
	})
}
