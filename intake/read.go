package intake

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// defaultBatch is how many customers go to the store at once.
const defaultBatch = 1000

// maxListed bounds the rejections that Stats lists; the file of rejected rows has them all.
const maxListed = 1000

// Options say what is known besides the file.
type Options struct {
	Book    *care.Book // its dealers' countries, advisors and aliases of makes; nil: none is known
	Dealer  string     // the dealer of rows that name none
	Country string     // of phones without + where the dealer is not known; "" is CN
	Now     time.Time  // later birthdays and visits are refused; readings without a date are of the dealer's today

	Dates    string // the order of day, month and year: DMY, MDY or YMD; "" = the dealer's date_format
	Encoding string // one of those that EncodingNamed returns; "" = by evidence
	Sheet    string // of a workbook, instead of all that are visible
	IDFrom   string // phone or email: the id of cards without a UID
	IDs      *IDs   // gets the customers whom the file names; nil: nobody asks

	Columns   map[string]string                              // header → field, beside the known ones; see ReadMap
	LunarDate func(year, month int, leap bool, day int) bool // whether the lunar year had that day; nil: not checked

	Batch    int                               // customers per call of apply; 0 is 1000
	Rejected func(part int) (io.Writer, error) // opened at the first rejected row, of each header anew; nil: they are only counted
	Progress func(bytes int64, rows int)       // called after each batch; nil: nobody asks

	date1904 bool // serials of dates count from 1904: the workbook says so
}

// Patch is what a file says of one customer.
type Patch struct {
	ID     string
	Record []byte // a JSON object that has only the fields to set; MergeRecord joins it with the record
	Rows   int    // that it came from

	// Existing says that it holds only the no of rejected rows: it changes a customer who is there, and makes none.
	Existing bool

	additive bool // holds are added to those that are there
	whole    bool // the record of a customer who is not there yet is Record, byte by byte
}

// Rejection is a row that was not taken.
type Rejection struct {
	Line     int    `json:"line"` // of the file, from 1; of a vCard file, the card
	Customer string `json:"customer"`
	Column   string `json:"column"`
	Reason   string `json:"reason"`
}

// Stats says what a file had.
type Stats struct {
	Rows       int         `json:"rows"`
	Customers  int         `json:"customers"`
	Vehicles   int         `json:"vehicles"`
	Rejected   int         `json:"rejected"`
	Rejections []Rejection `json:"rejections,omitempty"` // the first 1000
	Ignored    []string    `json:"ignored,omitempty"`    // columns that nothing is known about
	Encoding   string      `json:"encoding,omitempty"`
	Notes      []Rejection `json:"notes,omitempty"` // what was left out, and no row with it; the first 1000
	Noted      int         `json:"noted,omitempty"`
	Applied    int         `json:"applied,omitempty"` // rejected rows whose no counts all the same
	Sheets     []string    `json:"sheets,omitempty"`  // of a workbook, that were passed by
	Bare       int         `json:"bare,omitempty"`    // columns without a header that had something
}

// reading is one file being read.
type reading struct {
	opt     Options
	apply   func([]Patch) error
	stats   *Stats
	count   *counter
	batch   batch
	rejects *rejects
	seen    seen
}

// Read reads a file and passes batches of patches to apply, rows of one customer in one patch as far as they are in one batch. The
// format follows from the name's ending, else from the first bytes. apply may keep the patches. An error of apply or of the reader ends it; what was applied
// before stays. Reading the same file again changes nothing the second time.
func Read(ctx context.Context, r io.Reader, name string, opt Options, apply func([]Patch) error) (*Stats, error) {
	if opt.Batch <= 0 {
		opt.Batch = defaultBatch
	}
	if opt.Country == "" {
		opt.Country = "CN"
	}
	count := &counter{r: r}
	in := bufio.NewReaderSize(count, window)
	d := &reading{opt: opt, apply: apply, stats: &Stats{}, count: count, seen: newSeen()}
	d.rejects = &rejects{open: opt.Rejected}
	var err error
	switch format := formatOf(name, in); {
	case format != "xlsx" && opt.Sheet != "":
		err = errNoSheets
	case format == "old":
		err = errOldWorkbook
	case format == "jsonl":
		err = d.jsonl(ctx, in)
	case format == "xlsx":
		err = d.xlsx(ctx, in)
	case format == "vcard":
		err = d.vcard(ctx, in)
	default:
		err = d.csv(ctx, in)
	}
	if err == nil {
		err = d.flush(ctx)
	}
	if closing := d.rejects.close(); err == nil {
		err = closing
	}
	d.stats.Customers, d.stats.Vehicles = d.seen.customers.n, d.seen.vehicles.n
	if err != nil {
		return d.stats, fmt.Errorf("import: %w", err)
	}
	return d.stats, nil
}

// ReadFrom reads a file that is open. Its rejected rows go into <file>.rejected.csv, which is only made if there are any.
// Options.Rejected, if it is set, is used instead.
func ReadFrom(ctx context.Context, f io.Reader, file string, opt Options, apply func([]Patch) error) (*Stats, error) {
	if opt.Rejected != nil {
		return Read(ctx, f, file, opt, apply)
	}
	out := &rejectedFiles{name: file}
	opt.Rejected = out.open
	stats, err := Read(ctx, f, file, opt, apply)
	if closing := out.close(); err == nil && closing != nil {
		err = fmt.Errorf("import: %w", closing)
	}
	return stats, err
}

// rejectedFiles are the files of rejected rows of one import.
type rejectedFiles struct {
	name  string
	files []*PrivateFile
}

func (r *rejectedFiles) open(part int) (io.Writer, error) {
	to := r.name + ".rejected.csv"
	if part > 0 {
		to = fmt.Sprintf("%s.%d.rejected.csv", r.name, part+1)
	}
	f, err := CreatePrivate(to)
	if err != nil {
		return nil, err
	}
	r.files = append(r.files, f)
	return f, nil
}

func (r *rejectedFiles) close() error {
	var first error
	for _, f := range r.files {
		first = cmp.Or(first, f.Close())
	}
	return first
}

// PrivateFile is a file of personal data, which only the importing user may read. It is written beside its place, so that nothing that is
// planted there is followed or keeps its rights; Close brings it to its place, over what was there.
type PrivateFile struct {
	*os.File
	to string
}

// CreatePrivate begins the file that will stand at a place.
func CreatePrivate(to string) (*PrivateFile, error) {
	f, err := os.CreateTemp(filepath.Dir(to), ".import-*") // O_EXCL, 0600
	if err != nil {
		return nil, err
	}
	return &PrivateFile{f, to}, nil
}

// Close implements io.Closer. After an error there is no file.
func (f *PrivateFile) Close() error {
	err := f.File.Close()
	if err == nil {
		err = os.Rename(f.Name(), f.to)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

var errNoSheets = errors.New("only workbooks have sheets: leave --sheet out")

var errOldWorkbook = errors.New("this is an old Excel file, or a web page with its name: open it in Excel and save it as .xlsx")

func formatOf(name string, in *bufio.Reader) string {
	head, _ := in.Peek(64) // a short file is one too
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \r\n\t")
	switch page := bytes.ToLower(head); {
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")), bytes.HasPrefix(page, []byte("<html")), bytes.HasPrefix(page, []byte("<!doctype")),
		bytes.HasPrefix(page, []byte("<table")), bytes.HasPrefix(page, []byte("<?xml")), bytes.HasPrefix(page, []byte("<meta")):
		return "old"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "xlsx"
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".jsonl", ".ndjson", ".json":
		return "jsonl"
	case ".xlsx", ".xlsm":
		return "xlsx"
	case ".vcf", ".vcard":
		return "vcard"
	case ".csv", ".tsv", ".txt":
		return "csv"
	}
	switch {
	case bytes.HasPrefix(head, []byte("{")):
		return "jsonl"
	case bytes.HasPrefix(bytes.ToUpper(head), []byte("BEGIN:VCARD")):
		return "vcard"
	}
	return "csv"
}

// csv reads a delimited file.
func (d *reading) csv(ctx context.Context, in io.Reader) error {
	text, err := newText(in, d.opt.Encoding, maxRow)
	if err != nil {
		return err
	}
	known, err := knownColumns(d.opt.Columns)
	if err != nil {
		return err
	}
	t := newTable(text)
	header, raw, err := t.sniff(known)
	if errors.Is(err, io.EOF) {
		return errNoHeader
	}
	if err != nil {
		return err
	}
	rows := newRows(&d.opt, header, known)
	rows.comma = t.comma == ';'
	d.stats.Ignored = rows.ignored
	if err := d.rejects.layout(raw, t.comma, func() string { return text.encoding }); err != nil {
		return err
	}
	for {
		cells, err := t.read()
		d.stats.Encoding = text.encoding
		broken := err
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errQuotes), errors.Is(err, errLong):
			err = d.reject([]Rejection{{Line: t.line, Reason: err.Error()}}, t.rawCells(broken))
		case err != nil:
			return err
		default:
			err = d.row(ctx, rows, cells, t.line, func() []string { return t.rawCells(nil) })
		}
		if err != nil {
			return err
		}
	}
}

var errNoHeader = errors.New("no column for the customer's id in the first 10 rows: call it 客户编号 or id, or name yours in a map of columns")

// row takes one row of cells, or rejects it; raw gives it as it was in the file.
func (d *reading) row(ctx context.Context, rows *rows, cells []string, line int, raw func() []string) error {
	for i := d.stats.Bare; i < min(len(cells), len(rows.header)); i++ {
		if rows.header[i] == "" && cells[i] != "" {
			d.stats.Bare = i + 1
		}
	}
	e, faults := rows.take(cells)
	if e != nil {
		if err := d.room(ctx, e.text[fID]); err != nil {
			return err
		}
		d.batch.add(e)
	}
	if len(faults) > 0 {
		if e != nil {
			d.stats.Applied++
		}
		for i := range faults {
			faults[i].Line = line
		}
		return d.reject(faults, raw())
	}
	d.stats.Rows++
	d.opt.IDs.add(e.text[fID])
	d.seen.add(e.text[fID], e.text[fVehicle])
	for _, n := range rows.notes {
		n.Line = line
		d.note(n)
	}
	return nil
}

// note says what was left out.
func (d *reading) note(n Rejection) {
	if len(d.stats.Notes) < maxListed {
		d.stats.Notes = append(d.stats.Notes, n)
	}
	d.stats.Noted++
}

// room passes on a full batch before a customer who is not in it: rows of one customer that follow each other stay together.
func (d *reading) room(ctx context.Context, id string) error {
	if len(d.batch.order)+len(d.batch.raw) < d.opt.Batch || d.batch.has(id) {
		return nil
	}
	return d.flush(ctx)
}

// flush passes on what was gathered.
func (d *reading) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if patches := d.batch.take(); len(patches) > 0 {
		if err := d.apply(patches); err != nil {
			return err
		}
	}
	if d.opt.Progress != nil {
		d.opt.Progress(d.count.n, d.stats.Rows)
	}
	return nil
}

// reject counts a row that is not taken and gives it back.
func (d *reading) reject(faults []Rejection, cells []string) error {
	d.stats.Rows++
	d.stats.Rejected++
	d.opt.IDs.add(faults[0].Customer)
	if len(d.stats.Rejections) < maxListed {
		d.stats.Rejections = append(d.stats.Rejections, faults...)
	}
	return d.rejects.write(cells, faults)
}

// counter counts the bytes read, for the progress bar.
type counter struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
