//go:build e2e || faults

package faults

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// tableFile is where the rows that were run are written down.
var tableFile = flag.String("table", "", "a Markdown file whose table of figures takes the rows of this run, between the two marks")

// The marks between which the table stands in a file.
const (
	tableBegins = "<!-- figures: begin -->"
	tableEnds   = "<!-- figures: end -->"
)

// promise is what a row does and what must hold in it.
type promise struct{ fault, must string }

// promises are the rows of the fault table.
var promises = map[int]promise{
	1:  {"20,000 e-mails due; kill -9 every 2 s, 30 times; one answer in ten wrong", "lost 0; duplicates at most what was in flight, all on record"},
	2:  {"the same with SMS under `hold`", "duplicates 0; uncertain at most kills × 32 and what the sink never answered, all listed"},
	3:  {"a crash right after each step: claim, intent, first byte, last byte, the provider's yes, settle", "the exact state, every time"},
	4:  {"one of 3 replicas stopped for twice its lease", "its stale outcomes are refused"},
	5:  {"all replicas sweep at once", "planned twice 0"},
	6:  {"the leader goes", "takeover within 15 s (kill -9) and 2 s (SIGTERM); nothing missed"},
	7:  {"rolling restarts of 3 under load", "lost 0, duplicates 0, uncertain 0"},
	8:  {"SIGTERM with 64 in flight: a sink that takes 5 s, one that hangs", "out within 10 s, clean; within 25 s, those in flight uncertain"},
	9:  {"one message in 10,000 kills the process that sends it", "the others are delivered; it is set aside after 3 crashes at most"},
	10: {"kill -9 of Redis, 20 times", "lost 0; going again within 5 s"},
	11: {"Redis away for 5 minutes", "no exit; not ready within 10 s, alive; below 10 % of a core; all caught up"},
	12: {"10 Sentinel failovers under load", "lost 0; going again within 5 s of the promotion"},
	13: {"Cluster of 3 + 3: slots moved live, each master killed", "CROSSSLOT 0; lost 0"},
	14: {"Redis restored from a snapshot a minute old", "noticed; nothing is sent until an operator decides"},
	15: {"Redis out of memory", "no new sends; all in flight recorded; goes on by itself"},
	16: {"NOREPLICAS, READONLY, LOADING, max clients; SCRIPT FLUSH and CLIENT KILL every second", "duplicates 0; going again within 10 s"},
	17: {"a bad network to Redis: latency 500 ± 500 ms, 10 % reset, sliced, no answers", "lost 0; a script that runs twice changes nothing"},
	18: {"started on allkeys-lru, without AOF, on a replica, on 6.0", "refused within 5 s, the setting is named"},
	19: {"queue entries, leases and records deleted, customers damaged", "swept up within 60 s; one bad record stops no other, and is reported"},
	20: {"every IANA zone, 2000 to 2037, every half hour", "exactly one release per local date that exists"},
	21: {"clocks ± 1 s, ± 5 min, ± 1 h of one and of all 3 replicas under load; other zone data at a restart", "duplicates 0; what is not due for hours stays"},
	22: {"due for 34 hours while nothing ran", "what is not too late goes, by class, outside quiet hours; the rest is `expired`"},
	23: {"1,000,000 old customers imported at once", "sent: exactly what is due; the brake asks before a surge"},
	24: {"SMTP: faults at every verb", "4xx retried, 5xx failed, a lost yes uncertain and sent again under the same id"},
	25: {"HTTP: every kind of answer, gzip bombs and endless answers", "as classed; memory + 10 MiB at most"},
	26: {"a mail server that hangs", "the other channels keep 90 % of their speed"},
	27: {"a backlog of 100,000 released, 2 replicas, 1,000 a second allowed", "memory 128 MiB at most; the rate never exceeded"},
	28: {"receipts shuffled, ten-fold, before the gateway answers", "the final state is right"},
	29: {"reloads under load, half of them broken; Kubernetes' `..data` swap", "the old book goes on; a good one is live within 5 s"},
	42: {"a mail server that refuses us for every mail, five ways, then takes mail", "the channel pauses, nothing is failed; after a resume each goes once"},
	41: {"channels, a program and the dealer stopped and let go at every moment of a day's messages", "lost 0; none skipped, none twice"},
	43: {"a dry run, e-mail redirected to one address, then the real thing", "no customer gets anything of the trial; then each gets everything once"},
	44: {"the secret key changed: in front, then alone; the address key kept apart", "to a stopped number 0 under any id; no callback refused; without the addresses' key no start"},
	45: {"Redis away, loading or failing over at the start, up to a minute", "waits: alive, not ready with the reason, SIGTERM within 2 s; goes on within 5 s of Redis' return"},
	46: {"a year of two stores, one in Chinese and one in English, some customers with one number, on a fast clock", "what was planned beforehand arrives once; missing 0, unplanned 0"},
	47: {"a mail server that breaks off, refuses or stalls at 15 % of the verbs, for 30 s or 20 min", "lost 0; duplicates only as recorded; memory and descriptors flat"},
}

// result is what a row gave.
type result struct {
	figures []string
	failed  bool
}

// results collects the rows of this run; tests run side by side.
type results struct {
	mu   sync.Mutex
	rows map[int]*result
}

var measured = results{rows: map[int]*result{}}

var rowName = regexp.MustCompile(`^TestRow(\d+)`)

// rowOf is the number of a test's row.
func rowOf(t testing.TB) int {
	m := rowName.FindStringSubmatch(t.Name())
	if m == nil {
		t.Fatalf("%s: the name of a fault test begins with TestRow and the row's number", t.Name())
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || promises[n].must == "" {
		t.Fatalf("%s: there is no such row (%v)", t.Name(), err)
	}
	return n
}

func (r *results) row(n int) *result {
	if r.rows[n] == nil {
		r.rows[n] = &result{}
	}
	return r.rows[n]
}

func (r *results) say(n int, figure string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row(n).figures = append(r.row(n).figures, figure)
}

// end closes a test of a row, and writes the row down at once: whatever befalls the others, it is there.
func (r *results) end(t testing.TB) {
	n := rowOf(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row(n).failed = r.row(n).failed || t.Failed()
	if *tableFile == "" {
		return
	}
	if err := writeTable(*tableFile, map[int]string{n: r.line(n)}, time.Now()); err != nil {
		t.Error(err)
	}
}

// line is a row of the table.
func (r *results) line(n int) string {
	passed, figures := "yes", strings.Join(r.rows[n].figures, "; ")
	if r.rows[n].failed {
		passed = "**no**"
	}
	if figures == "" {
		figures = "none: it ended before"
	}
	return fmt.Sprintf("| %d | %s | %s | %s | %s |", n, promises[n].fault, figures, promises[n].must, passed)
}

// writeTable puts the lines into the table of a file. Rows that are there and were not run stay as they are.
func writeTable(file string, lines map[int]string, now time.Time) error {
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte(tableBegins+"\n"+tableEnds+"\n"), nil
	}
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), tableBegins)
	table, after, closed := strings.Cut(rest, tableEnds)
	if !ok || !closed {
		return fmt.Errorf("%s has no %s and %s", file, tableBegins, tableEnds)
	}
	all := map[int]string{}
	for line := range strings.Lines(table) {
		var n int
		if _, err := fmt.Sscanf(line, "| %d |", &n); err == nil {
			all[n] = strings.TrimSpace(line)
		}
	}
	maps.Copy(all, lines)
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\nLast written on %s: %s, %d cores.\n\n", before, tableBegins, now.Format(time.DateOnly), runtime.GOOS, runtime.NumCPU())
	b.WriteString("| row | fault | figures | must hold | held |\n|---|---|---|---|---|\n")
	for _, n := range slices.SortedFunc(maps.Keys(all), cmp.Compare[int]) {
		b.WriteString(all[n] + "\n")
	}
	b.WriteString(tableEnds + after)
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func TestTheTableKeepsWhatWasNotRun(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/table.md"
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	if err := os.WriteFile(file, []byte("# Figures\n"+tableBegins+"\n"+tableEnds+"\nThe end.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, lines := range []map[int]string{{12: "| 12 | former |", 2: "| 2 | kept |"}, {12: "| 12 | new |"}} {
		if err := writeTable(file, lines, day); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"# Figures", tableBegins, "2026-11-22", "| row |", "| 2 | kept |\n| 12 | new |\n" + tableEnds + "\nThe end."}
	place := 0
	for _, w := range want {
		i := strings.Index(string(got)[place:], w)
		if i < 0 {
			t.Fatalf("%q is missing or out of place in:\n%s", w, got)
		}
		place += i
	}
	if strings.Contains(string(got), "former") {
		t.Errorf("a row that was run again is kept:\n%s", got)
	}
	if err := writeTable(t.TempDir()+"/none/table.md", nil, day); err == nil {
		t.Error("a table that cannot be written is no error")
	}
}
