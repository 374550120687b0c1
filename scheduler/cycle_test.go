package scheduler

import (
	"testing"

	"github.com/carebell/carebell/care"
)

// TestCycleIs holds the short way of comparing a cycle against its name.
func TestCycleIs(t *testing.T) {
	t.Parallel()
	day := care.NewDate(2026, 5, 2)
	cycles := []cycle{{}, {name: "once"}, {name: "2026-05-02"}, {date: day}, {date: day.AddDays(1)}, {date: day, year: true}, {date: day, year: true, nth: 2}, {date: care.NewDate(1, 1, 1)}}
	for _, c := range cycles {
		for _, o := range cycles {
			if got, want := c.is(o.String()), c.String() == o.String(); got != want {
				t.Errorf("%q is %q: %t", c, o, got)
			}
		}
		for _, name := range []string{"", "2026-5-2", "2026-05-02 ", "2026", "x"} {
			if got, want := c.is(name), c.String() == name; got != want {
				t.Errorf("%q is %q: %t", c, name, got)
			}
		}
	}
}
