package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/intake"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
)

// ImportOptions say what to import.
type ImportOptions struct {
	Files    []string
	Dealer   string
	Map      string    // a file with more column names
	Dates    string    // DMY, MDY or YMD
	Encoding string    // "" = by evidence
	Sheet    string    // of workbooks; "" = all that are visible
	IDFrom   string    // phone or email: the id of cards without a UID
	Stdin    io.Reader // the file - is read from here
	DryRun   bool
	Progress insight.Progress

	Full          bool    // the files are all customers of their dealers: say who is missing
	RemoveMissing bool    // and mark them as gone,
	MostMissing   float64 // unless more than so many in a hundred of a dealer's are missing
	Beside        string  // the folder for rejected rows; "" = that of each file
}

// Check says what is wrong with the options themselves.
func (o *ImportOptions) Check() error {
	_, err := intake.EncodingNamed(o.Encoding)
	switch {
	case err != nil:
		return err
	case !slices.Contains([]string{"", "DMY", "MDY", "YMD"}, strings.ToUpper(o.Dates)):
		return fmt.Errorf("%q is no order of day, month and year: write DMY, MDY or YMD", o.Dates)
	case !slices.Contains([]string{"", "phone", "email"}, o.IDFrom):
		return fmt.Errorf("an id cannot be made of %q: write phone or email", o.IDFrom)
	case o.RemoveMissing && !o.Full:
		return errors.New("--remove-missing needs --full: only a full export says who is missing")
	case o.MostMissing < 0 || o.MostMissing > 100:
		return fmt.Errorf("--most-missing %g: write a share from 0 to 100", o.MostMissing)
	}
	return nil
}

// beside is the name from which those of a file's rejected rows follow.
func (o *ImportOptions) beside(file string) string {
	switch {
	case file == "-":
		return "stdin"
	case o.Beside != "":
		return filepath.Join(o.Beside, filepath.Base(file))
	}
	return file
}

// ImportReport says what became of the files, one by one.
type ImportReport struct {
	DryRun, Full bool // Full: it was looked who is missing
	Files        []FileReport
	Missing      []*Missing // from a full export
	MissingFile  string     // that lists them
	Marked       int        // as gone
}

// FileReport says what became of one file.
type FileReport struct {
	File     string
	Rejected string // the beginning of the names of the files of rejected rows
	Stats    *intake.Stats
	counts
}

// counts says what became of customers.
type counts struct {
	Created, Changed, Unchanged int
	Refused                     int // of other dealers than the principal's: nothing was changed
}

func (c *counts) add(o counts) {
	c.Created += o.Created
	c.Changed += o.Changed
	c.Unchanged += o.Unchanged
	c.Refused += o.Refused
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
		f.printStats(w)
		if f.Stats.Rejected == 0 {
			continue
		}
		where := ": " + f.Rejected + ".rejected.csv has them with the reasons"
		if r.DryRun {
			where = ""
		}
		fmt.Fprintf(w, "  %d rows cannot be used%s\n", f.Stats.Rejected, where)
		printLines(w, f.Stats.Rejections)
		if f.Stats.Applied > 0 {
			fmt.Fprintf(w, "  %d of them say no, or that a car is sold or a customer dead: that counts all the same\n", f.Stats.Applied)
		}
	}
	r.printMissing(w)
	return nil
}

// Nothing reports whether a file brought nothing: it has no row, or none that could be used.
func (r *ImportReport) Nothing() bool {
	return slices.ContainsFunc(r.Files, func(f FileReport) bool { return f.Stats.Rows == f.Stats.Rejected })
}

// printStats says what of a file was passed by or left out.
func (f *FileReport) printStats(w io.Writer) {
	s := f.Stats
	if s.Encoding != intake.UTF8 && s.Encoding != "" {
		fmt.Fprintf(w, "  read as %s\n", s.Encoding)
	}
	if s.Rows == 0 {
		fmt.Fprintln(w, "  there are no rows in it")
	}
	if len(s.Ignored) > 0 {
		fmt.Fprintf(w, "  columns that are not known and were left out: %s (name them with --map)\n", strings.Join(s.Ignored, ", "))
	}
	if s.Bare > 0 {
		fmt.Fprintln(w, "  columns without a header have something in them, and were left out")
	}
	if len(s.Sheets) > 0 {
		fmt.Fprintf(w, "  sheets that were left out: %s (name one with --sheet)\n", strings.Join(s.Sheets, ", "))
	}
	if f.Refused > 0 {
		fmt.Fprintf(w, "  %d customers are not yours to change and were left as they are\n", f.Refused)
	}
	if s.Noted > 0 {
		fmt.Fprintf(w, "  %d things were left out that cost no row\n", s.Noted)
		printLines(w, s.Notes)
	}
}

func printLines(w io.Writer, lines []intake.Rejection) {
	for i, l := range lines {
		if i == 10 {
			fmt.Fprintln(w, "  …")
			break
		}
		fmt.Fprintf(w, "  line %d: %s: %s\n", l.Line, l.Column, l.Reason)
	}
}

// Import merges the customers of files into the store. A dry run only reads the store, to say what would change; without a store it
// checks the files all the same. A principal who is bound to dealers changes no customer of another dealer and brings none to one.
func (s *Service) Import(ctx context.Context, who care.Principal, opt ImportOptions) (*ImportReport, error) {
	book, err := s.Book()
	if err != nil {
		return nil, err
	}
	if opt.Dealer != "" && (book.Book.Dealer(opt.Dealer) == nil || !who.Sees(opt.Dealer)) {
		return nil, noDealer(opt.Dealer)
	}
	if err := opt.Check(); err != nil {
		return nil, err
	}
	encoding, err := intake.EncodingNamed(opt.Encoding)
	if err != nil {
		return nil, err
	}
	in := intake.Options{
		Dates: strings.ToUpper(opt.Dates), Encoding: encoding, Sheet: opt.Sheet, IDFrom: opt.IDFrom,
		Book: book.Book, Dealer: opt.Dealer, Now: s.Now(), LunarDate: lunarDate,
	}
	if opt.Map != "" {
		if in.Columns, err = readMap(book.Book, opt.Map); err != nil {
			return nil, err
		}
	}
	if s.Store == nil && (!opt.DryRun || opt.Full) {
		return nil, errors.New("there is no store to import into")
	}
	if opt.Full {
		in.IDs = intake.NewIDs()
	}
	into := &merger{store: s.Store, book: book, who: who, dry: opt.DryRun}
	report := &ImportReport{DryRun: opt.DryRun}
	var failed error // a file that cannot be read costs no other file
	for _, file := range opt.Files {
		f, err := importFile(ctx, into, file, in, opt)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", file, err))
			if _, stop := errors.AsType[*StoreError](err); stop || ctx.Err() != nil {
				break
			}
			continue
		}
		report.Files = append(report.Files, *f)
	}
	if failed == nil && opt.Full {
		failed = s.full(ctx, into, in.IDs, opt, report)
	}
	return report, failed
}

// StoreError is a failure of Redis, not of a file.
type StoreError struct{ error }

func (e *StoreError) Unwrap() error { return e.error }

func importFile(ctx context.Context, into *merger, file string, in intake.Options, opt ImportOptions) (*FileReport, error) {
	report := &FileReport{File: file, Rejected: opt.beside(file)}
	size := int64(0)
	if file != "-" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		size = info.Size()
	}
	if opt.Progress != nil && size > 0 {
		in.Progress = func(bytes int64, _ int) { opt.Progress(filepath.Base(file), bytes, size) }
	}
	if opt.DryRun {
		in.Rejected = func(int) (io.Writer, error) { return io.Discard, nil }
	}
	merges := &mergeQueue{merge: func(patches []intake.Patch) (counts, error) { return into.merge(ctx, patches) }}
	var err error
	if file == "-" {
		report.File = "stdin"
		report.Stats, err = intake.ReadFrom(ctx, opt.Stdin, report.File, in, merges.begin)
	} else {
		var f *os.File
		if f, err = os.Open(file); err == nil {
			report.Stats, err = intake.ReadFrom(ctx, f, opt.beside(file), in, merges.begin)
			_ = f.Close() // it was only read
		}
	}
	if failed := merges.wait(); failed != nil {
		err = &StoreError{failed}
	}
	report.counts = merges.sum
	if err != nil {
		return nil, err
	}
	if opt.Progress != nil && size > 0 {
		opt.Progress(filepath.Base(file), size, size)
	}
	return report, nil
}

// mergesInFlight is how many batches are merged side by side while the file is read on: one that Redis works on, and one on its way there
// or back.
const mergesInFlight = 3

// mergeQueue merges batches side by side. What the same customer's rows say arrives in the order of the file: a batch waits for those
// before it that have one of its customers.
type mergeQueue struct {
	merge    func([]intake.Patch) (counts, error)
	inFlight []*mergeBatch // in the order of the file
	sum      counts
	err      error // the first
}

type mergeBatch struct {
	ids  map[string]struct{}
	done chan struct{}
	sum  counts
	err  error
}

// begin begins to merge a batch, as soon as it may. An error is of one before it; then it is not begun.
func (q *mergeQueue) begin(patches []intake.Patch) error {
	next := &mergeBatch{ids: make(map[string]struct{}, len(patches)), done: make(chan struct{})}
	wait := 0 // how many must be done first
	for i := range patches {
		id := patches[i].ID
		next.ids[id] = struct{}{}
		for n := len(q.inFlight); n > wait; n-- {
			if _, mine := q.inFlight[n-1].ids[id]; mine {
				wait = n
			}
		}
	}
	q.await(max(wait, len(q.inFlight)-mergesInFlight+1))
	if q.err != nil {
		return q.err
	}
	q.inFlight = append(q.inFlight, next)
	go func() {
		defer close(next.done)
		next.sum, next.err = q.merge(patches)
	}()
	return nil
}

// await waits for the first n.
func (q *mergeQueue) await(n int) {
	for ; n > 0; n-- {
		first := q.inFlight[0]
		<-first.done
		q.sum.add(first.sum)
		if q.err == nil {
			q.err = first.err
		}
		q.inFlight = q.inFlight[1:]
	}
}

// wait waits for all that are left.
func (q *mergeQueue) wait() error {
	q.await(len(q.inFlight))
	return q.err
}

// Why Merge is kept from writing a customer.
var (
	errDry     = errors.New("dry run")
	errRefused = errors.New("another dealer's customer")
	errNobody  = errors.New("no such customer")
)

// merger joins patches with the records of a store.
type merger struct {
	store *store.Store // nil = there are no records
	book  *carebook.Compiled
	who   care.Principal
	dry   bool
}

func (m *merger) merge(ctx context.Context, patches []intake.Patch) (sum counts, err error) {
	if m.store == nil {
		for i := range patches {
			switch {
			case patches[i].Existing:
			case m.mine(patches[i].Record):
				sum.Created++
			default:
				sum.Refused++
			}
		}
		return sum, nil
	}
	ids := make([]string, len(patches))
	for i := range patches {
		ids[i] = patches[i].ID
	}
	created, changed := make([]bool, len(ids)), make([]bool, len(ids))
	results, err := m.store.Merge(ctx, ids, func(i int, old []byte) ([]byte, error) {
		if old == nil && patches[i].Existing {
			return nil, errNobody
		}
		merged, err := intake.MergeRecord(old, patches[i])
		if err != nil {
			return nil, fmt.Errorf("customer %s: %w", ids[i], err)
		}
		if old != nil && !m.mine(old) || !m.mine(merged) {
			return nil, errRefused
		}
		created[i], changed[i] = old == nil, old != nil && !bytes.Equal(merged, old)
		if m.dry {
			return nil, errDry
		}
		return merged, nil
	})
	if err != nil {
		return sum, err
	}
	for i, r := range results {
		switch {
		case errors.Is(r.Err, errNobody):
		case errors.Is(r.Err, errRefused):
			sum.Refused++
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

// mine reports whether a record is of a customer whom the principal may change.
func (m *merger) mine(raw []byte) bool {
	if m.who.All() {
		return true
	}
	customer, _, err := record.Decode(raw)
	return err == nil && m.book.Visible(m.who, customer)
}

// readMap reads a map of columns: a mapping of headers, or of several joined by +, to fields.
func readMap(book *care.Book, file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	columns := map[string]string{}
	if _, problems := book.Decode(file, text, &columns); len(problems) > 0 {
		return nil, problems[0]
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
