package daemon

import (
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
	File                        string
	Stats                       *intake.Stats
	Created, Changed, Unchanged int
}

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
	report.Stats, err = intake.ReadFile(ctx, file, in, func(patches []intake.Patch) error {
		return merge(ctx, st, patches, opt.DryRun, report)
	})
	if err != nil {
		return nil, err
	}
	if opt.Progress != nil {
		opt.Progress(filepath.Base(file), info.Size(), info.Size())
	}
	return report, nil
}

// errDry stops Merge from writing.
var errDry = errors.New("dry run")

func merge(ctx context.Context, st *store.Store, patches []intake.Patch, dry bool, report *FileReport) error {
	if st == nil {
		report.Created += len(patches)
		return nil
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
		created[i], changed[i] = old == nil, old != nil && string(merged) != string(old)
		if dry {
			return nil, errDry
		}
		return merged, nil
	})
	if err != nil {
		return err
	}
	for i, r := range results {
		switch {
		case r.Err != nil && !errors.Is(r.Err, errDry):
			return r.Err
		case created[i]:
			report.Created++
		case changed[i]:
			report.Changed++
		default:
			report.Unchanged++
		}
	}
	return nil
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
