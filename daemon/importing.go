package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/intake"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/store"
)

// Progress is told how far a long piece of work has come, in bytes of what is read.
type Progress func(what string, done, total int64)

// ImportOptions say what to import.
type ImportOptions struct {
	Files    []string
	Dealer   string
	Map      string // a file with more column names
	DryRun   bool
	Book     string
	Progress Progress
}

// ImportReport says what became of the files, one by one.
type ImportReport struct {
	DryRun bool
	Files  []FileReport
}

// FileReport says what became of one file.
type FileReport struct {
	File  string
	Stats *intake.Stats
	counts
}

// counts says what became of customers.
type counts struct{ Created, Changed, Unchanged int }

// Print writes the report for a person.
func (r *ImportReport) Print(w io.Writer) error {
	for _, f := range r.Files {
		verb := ""
		if r.DryRun {
			verb = " would be"
		}
		fmt.Fprintf(w, "%s: %d rows, %d customers with %d vehicles:%s %d new, %d changed, %d as they were\n",
			f.File, f.Stats.Rows, f.Stats.Customers, f.Stats.Vehicles, verb, f.Created, f.Changed, f.Unchanged)
		if len(f.Stats.Ignored) > 0 {
			fmt.Fprintf(w, "  columns that are not known and were left out: %s (name them with --map)\n", strings.Join(f.Stats.Ignored, ", "))
		}
		if f.Stats.Rejected == 0 {
			continue
		}
		where := ": " + f.File + ".rejected.csv has them with the reasons"
		if r.DryRun {
			where = ""
		}
		fmt.Fprintf(w, "  %d rows cannot be used%s\n", f.Stats.Rejected, where)
		for i, bad := range f.Stats.Rejections {
			if i == 10 {
				fmt.Fprintln(w, "  …")
				break
			}
			fmt.Fprintf(w, "  line %d: %s: %s\n", bad.Line, bad.Column, bad.Reason)
		}
	}
	return nil
}

// Import merges the customers of files into Redis. A dry run only reads Redis, to say what would change; without Redis it checks the
// files all the same.
func (e *Env) Import(ctx context.Context, opt ImportOptions) (*ImportReport, error) {
	checked, err := e.check(opt.Book)
	if err != nil {
		return nil, err
	}
	if opt.Dealer != "" && checked.Book.Dealer(opt.Dealer) == nil {
		return nil, fmt.Errorf("the book has no dealer %q", opt.Dealer)
	}
	in := intake.Options{
		Book: checked.Book, Dealer: opt.Dealer, Today: care.DateOf(e.Now()), LunarDate: lunarDate,
	}
	if opt.Map != "" {
		if in.Columns, err = readMap(opt.Map); err != nil {
			return nil, err
		}
	}
	st, err := e.open(ctx)
	if err != nil && !opt.DryRun {
		return nil, err
	}
	if st != nil {
		defer st.Close()
	} else {
		e.Log.Warn("Redis does not answer: every customer of the files counts as new", slog.Any("error", err))
	}
	report := &ImportReport{DryRun: opt.DryRun}
	for _, file := range opt.Files {
		f, err := e.importFile(ctx, st, file, in, opt)
		if err != nil {
			return report, fmt.Errorf("%s: %w", file, err)
		}
		report.Files = append(report.Files, *f)
	}
	return report, nil
}

func (e *Env) importFile(ctx context.Context, st *store.Store, file string, in intake.Options, opt ImportOptions) (*FileReport, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	report := &FileReport{File: file}
	if opt.Progress != nil {
		in.Progress = func(bytes int64, _ int) { opt.Progress(filepath.Base(file), bytes, info.Size()) }
	}
	if opt.DryRun {
		in.Rejected = func() (io.Writer, error) { return io.Discard, nil }
	}
	air := &flights{merge: func(patches []intake.Patch) (counts, error) { return merge(ctx, st, patches, opt.DryRun) }}
	report.Stats, err = intake.ReadFile(ctx, file, in, air.send)
	if landing := air.land(); err == nil {
		err = landing
	}
	report.counts = air.sum
	if err != nil {
		return nil, err
	}
	if opt.Progress != nil {
		opt.Progress(filepath.Base(file), info.Size(), info.Size())
	}
	return report, nil
}

// inFlight is how many batches are merged side by side while the file is read on: one that Redis works on, and one on its way there or
// back.
const inFlight = 3

// flights are the batches that are being merged. What the same customer's rows say arrives in the order of the file: a batch waits for
// those before it that have one of its customers.
type flights struct {
	merge func([]intake.Patch) (counts, error)
	air   []*flight // in the order of the file
	sum   counts
	err   error // the first
}

type flight struct {
	ids  map[string]struct{}
	done chan struct{}
	sum  counts
	err  error
}

// send begins to merge a batch, as soon as it may. An error is of one before it; then it is not begun.
func (f *flights) send(patches []intake.Patch) error {
	next := &flight{ids: make(map[string]struct{}, len(patches)), done: make(chan struct{})}
	wait := 0 // how many must be down first
	for i := range patches {
		id := patches[i].ID
		next.ids[id] = struct{}{}
		for n := len(f.air); n > wait; n-- {
			if _, mine := f.air[n-1].ids[id]; mine {
				wait = n
			}
		}
	}
	f.await(max(wait, len(f.air)-inFlight+1))
	if f.err != nil {
		return f.err
	}
	f.air = append(f.air, next)
	go func() {
		defer close(next.done)
		next.sum, next.err = f.merge(patches)
	}()
	return nil
}

// await waits for the first n.
func (f *flights) await(n int) {
	for ; n > 0; n-- {
		first := f.air[0]
		<-first.done
		f.sum.Created += first.sum.Created
		f.sum.Changed += first.sum.Changed
		f.sum.Unchanged += first.sum.Unchanged
		if f.err == nil {
			f.err = first.err
		}
		f.air = f.air[1:]
	}
}

// land waits for all that are left.
func (f *flights) land() error {
	f.await(len(f.air))
	return f.err
}

// errDry stops Merge from writing.
var errDry = errors.New("dry run")

func merge(ctx context.Context, st *store.Store, patches []intake.Patch, dry bool) (sum counts, err error) {
	if st == nil {
		return counts{Created: len(patches)}, nil
	}
	ids := make([]string, len(patches))
	for i := range patches {
		ids[i] = patches[i].ID
	}
	created, changed := make([]bool, len(ids)), make([]bool, len(ids))
	results, err := st.Merge(ctx, ids, func(i int, old []byte) ([]byte, error) {
		merged, err := intake.MergeRecord(old, patches[i])
		if err != nil {
			return nil, fmt.Errorf("customer %s: %w", ids[i], err)
		}
		created[i], changed[i] = old == nil, old != nil && !bytes.Equal(merged, old)
		if dry {
			return nil, errDry
		}
		return merged, nil
	})
	if err != nil {
		return sum, err
	}
	for i, r := range results {
		switch {
		case r.Err != nil && !errors.Is(r.Err, errDry):
			return sum, r.Err
		case created[i]:
			sum.Created++
		case changed[i]:
			sum.Changed++
		default:
			sum.Unchanged++
		}
	}
	return sum, nil
}

func readMap(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	columns, err := intake.ReadMap(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return columns, nil
}

// lunarDate reports whether the lunar year had that day; of a year that is not known (0), whether such a day can be.
func lunarDate(year, month int, leap bool, day int) bool {
	if year == 0 {
		return month >= 1 && month <= 12 && day >= 1 && day <= 30
	}
	_, days, ok := calendar.MonthStart(year, month, leap)
	return ok && day >= 1 && day <= days
}
