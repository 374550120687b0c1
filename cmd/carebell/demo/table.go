package demo

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Figures are what the demo did.
type Figures struct {
	Days        int                       `json:"days"`
	Customers   int                       `json:"customers"`
	Seconds     float64                   `json:"seconds"`
	Imported    int                       `json:"imported,omitempty"` // customers who came half way
	Braked      []string                  `json:"braked,omitempty"`   // what the brake then held back: dealer/program
	Planned     int                       `json:"planned"`
	Arrived     int                       `json:"arrived"`
	Missing     []string                  `json:"missing,omitempty"`
	Twice       []string                  `json:"twice,omitempty"`
	Unplanned   []string                  `json:"unplanned,omitempty"`
	ExactlyOnce bool                      `json:"exactly_once"`
	Skipped     map[string]int            `json:"skipped"` // planned not to go, by reason
	Programs    map[string]map[string]int `json:"programs"`
}

// figures compares what was planned with what arrived.
func (d *demo) figures(took time.Duration) Figures {
	f := Figures{
		Days: d.opt.Days, Customers: d.opt.Customers, Seconds: took.Seconds(), Skipped: map[string]int{}, Programs: map[string]map[string]int{},
	}
	if w := d.wave; w != nil && w.stage > changed {
		f.Imported, f.Braked = len(w.customers), w.braked
	}
	arrivals := d.inbox.all()
	f.Arrived = len(arrivals)
	planned := d.expected()
	for id, o := range planned {
		n := d.inbox.count(id)
		switch {
		case o.Verdict != care.Send:
			f.Skipped[o.Reason]++
			if n > 0 {
				f.Unplanned = append(f.Unplanned, id)
			}
			continue
		case n == 0:
			f.Missing = append(f.Missing, id)
		case n > 1:
			f.Twice = append(f.Twice, id)
		}
		f.Planned++
	}
	for _, a := range arrivals {
		program := "?"
		if o := planned[a.ID]; o != nil {
			program = o.Program
		} else {
			f.Unplanned = append(f.Unplanned, a.ID)
		}
		if f.Programs[program] == nil {
			f.Programs[program] = map[string]int{}
		}
		f.Programs[program][string(a.Channel)]++
	}
	for _, list := range [][]string{f.Missing, f.Twice, f.Unplanned} {
		slices.Sort(list)
	}
	f.ExactlyOnce = len(f.Missing)+len(f.Twice)+len(f.Unplanned) == 0 && f.Planned > 0
	return f
}

// table draws the run on a terminal, in place; into a file it writes the last table only.
type table struct {
	w     io.Writer
	d     *demo
	live  bool
	drawn int
}

func newTable(w io.Writer, d *demo) *table {
	t := &table{w: w, d: d}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		t.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return t
}

// start draws until the function it returns is called.
func (t *table) start() func() {
	fmt.Fprintf(t.w, "carebell demo: %d customers of two dealers, %d days. The page: http://%s/\n\n", t.d.opt.Customers, t.d.opt.Days, t.d.daemon.Addr())
	if !t.live {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				t.draw(t.d.figures(0))
			}
		}
	}()
	return func() { close(stop); <-done }
}

func (t *table) draw(f Figures) {
	if t.drawn > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA\x1b[J", t.drawn)
	}
	text := t.text(f)
	t.drawn = strings.Count(text, "\n")
	_, _ = io.WriteString(t.w, text)
}

func (t *table) text(f Figures) string {
	var b strings.Builder
	day := int(t.d.clock.Now().Sub(startOf(t.d.opt.Start, time.UTC)).Hours() / 24)
	fmt.Fprintf(&b, "day %d of %d   %s   %d of %d planned messages delivered\n", day, f.Days,
		t.d.clock.Now().Format("2006-01-02 15:04"), f.Planned-len(f.Missing), f.Planned)
	fmt.Fprintf(&b, "%-22s %8s %8s %8s\n", "program", "email", "sms", "webhook")
	names := make([]string, 0, len(f.Programs))
	for name := range f.Programs {
		names = append(names, name)
	}
	slices.Sort(names)
	var sum [3]int
	for _, name := range names {
		n := f.Programs[name]
		fmt.Fprintf(&b, "%-22s %8d %8d %8d\n", name, n["email"], n["sms"], n["webhook"])
		sum[0], sum[1], sum[2] = sum[0]+n["email"], sum[1]+n["sms"], sum[2]+n["webhook"]
	}
	fmt.Fprintf(&b, "%-22s %8d %8d %8d\n", "all", sum[0], sum[1], sum[2])
	return b.String()
}

func (t *table) end(f Figures) {
	t.draw(f)
	fmt.Fprintf(t.w, "\n%d customers, %d days in %.0f s: %d messages planned, %d arrived", f.Customers, f.Days, f.Seconds, f.Planned, f.Arrived)
	if f.ExactlyOnce {
		fmt.Fprintln(t.w, ", each exactly once.")
	} else {
		fmt.Fprintf(t.w, "; %d missing, %d twice, %d unplanned.\n", len(f.Missing), len(f.Twice), len(f.Unplanned))
	}
	reasons := make([]string, 0, len(f.Skipped))
	for reason, n := range f.Skipped {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, n))
	}
	slices.Sort(reasons)
	if len(reasons) > 0 {
		fmt.Fprintf(t.w, "Planned not to go, and why: %s.\n", strings.Join(reasons, ", "))
	}
}
