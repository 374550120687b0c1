package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// replay runs the demo to its end and returns what its table and its report say.
func replay(t *testing.T, opt Options) (string, Figures) {
	t.Helper()
	var out bytes.Buffer
	opt.Exit, opt.Listen, opt.Report, opt.Out = true, "127.0.0.1:0", filepath.Join(t.TempDir(), "report.json"), &out
	if err := Run(t.Context(), opt); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	raw, err := os.ReadFile(opt.Report)
	if err != nil {
		t.Fatal(err)
	}
	var f Figures
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return out.String(), f
}

// The demo is the main job on loopback: everything that was planned beforehand arrives exactly once.
func TestDemo(t *testing.T) {
	t.Parallel()
	out, f := replay(t, Options{Days: 4, Speed: 4 * 86400, Customers: 120, Start: care.NewDate(2026, time.November, 23)})
	if !f.ExactlyOnce || f.Planned < 20 || f.Arrived != f.Planned || f.Days != 4 {
		t.Errorf("the report says %+v", f)
	}
	if !strings.Contains(out, "each exactly once") {
		t.Errorf("the table ends with %s", out)
	}
}

// An import that nobody announced is held back, let go hours later, and loses nothing that had not expired; and so in either store, with
// customers who share a number and without.
func TestDemoWithASurprise(t *testing.T) {
	t.Parallel()
	_, f := replay(t, Options{
		Days: 6, Speed: 6 * 86400, Customers: 20, Import: 500, Stores: "zh", Sharing: true, Start: care.NewDate(2026, time.November, 20),
	})
	if !f.ExactlyOnce || f.Imported != 500 || !slices.Contains(f.Braked, "shanghai/service-followup") || f.Arrived < 150 {
		t.Errorf("the report says %+v", f)
	}
}

// What did not arrive, came twice, or was never planned must be noticed: this is what --exit stands for.
func TestFiguresNotice(t *testing.T) {
	t.Parallel()
	send := func(id string) *care.Occurrence { return &care.Occurrence{ID: id, Verdict: care.Send, Program: "p"} }
	for name, tt := range map[string]struct {
		arrived []string
		once    bool
	}{
		"all":       {[]string{"a", "b"}, true},
		"missing":   {[]string{"a"}, false},
		"twice":     {[]string{"a", "b", "b"}, false},
		"unplanned": {[]string{"a", "b", "c"}, false},
		"skipped":   {[]string{"a", "b", "s"}, false},
		"nothing":   {nil, false},
	} {
		d := &demo{inbox: newInbox(time.Now), planned: map[string]*care.Occurrence{
			"a": send("a"), "b": send("b"), "s": {ID: "s", Verdict: care.Skip, Reason: "capped"},
		}}
		for _, id := range tt.arrived {
			d.inbox.put(arrival{ID: id, Channel: care.Email})
		}
		if f := d.figures(0); f.ExactlyOnce != tt.once {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestParseSpeed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]float64{"1d/s": 86400, "6h/s": 21600, "90m/s": 5400, "0.5d/s": 43200} {
		if got, err := ParseSpeed(in); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "1d", "d/s", "-1d/s", "0d/s", "100d/s", "fast/s"} {
		if _, err := ParseSpeed(in); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

func TestTheClockStandsStillWhileMessagesAreInFlight(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	c := newClock(from, from.Add(24*time.Hour), 1e6)
	held := 5
	var at []time.Time
	err := c.run(context.Background(), func(now time.Time) (bool, time.Time, error) {
		if held > 0 {
			held--
			at = append(at, now)
			return false, time.Time{}, nil
		}
		return true, now.Add(time.Hour), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range at {
		if !now.Equal(from) {
			t.Errorf("the clock went on to %v", now)
		}
	}
	if !c.Now().Equal(from.Add(24 * time.Hour)) {
		t.Errorf("it ended at %v", c.Now())
	}
}
