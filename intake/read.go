package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

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
	Today   care.Date  // later birthdays and visits are refused; readings without a date are of today

	Columns   map[string]string                              // header → field, beside the known ones; see ReadMap
	LunarDate func(year, month int, leap bool, day int) bool // whether the lunar year had that day; nil: not checked

	Batch    int                         // customers per call of apply; 0 is 1000
	Rejected func() (io.Writer, error)   // opened at the first rejected row; nil: they are only counted
	Progress func(bytes int64, rows int) // called after each batch; nil: nobody asks

	date1904 bool // serials of dates count from 1904: the workbook says so
}

// Patch is what a file says of one customer.
type Patch struct {
	ID     string
	Record []byte // a JSON object that has only the fields to set; MergeRecord joins it with the record
	Rows   int    // that it came from

	whole bool // the record of a customer who is not there yet is Record, byte by byte
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
	switch formatOf(name, in) {
	case "jsonl":
		err = d.jsonl(ctx, in)
	case "xlsx":
		err = d.xlsx(ctx, in)
	case "vcard":
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

// ReadFile reads a file by name. Its rejected rows go into <file>.rejected.csv beside it, which is only made if there are any.
// Options.Rejected, if it is set, is used instead.
func ReadFile(ctx context.Context, file string, opt Options, apply func([]Patch) error) (*Stats, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer f.Close()
	if opt.Rejected != nil {
		return Read(ctx, f, file, opt, apply)
	}
	var out *os.File
	opt.Rejected = func() (io.Writer, error) {
		// Only the importing user may read it: rejected rows are personal data like all others.
		out, err = os.OpenFile(file+".rejected.csv", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		return out, err
	}
	stats, err := Read(ctx, f, file, opt, apply)
	if out != nil {
		if closing := out.Close(); err == nil && closing != nil {
			err = fmt.Errorf("import: %w", closing)
		}
	}
	return stats, err
}

func formatOf(name string, in *bufio.Reader) string {
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
	head, _ := in.Peek(64) // a short file is one too
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \r\n\t")
	switch {
	case bytes.HasPrefix(head, []byte("{")):
		return "jsonl"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "xlsx"
	case bytes.HasPrefix(bytes.ToUpper(head), []byte("BEGIN:VCARD")):
		return "vcard"
	}
	return "csv"
}

// csv reads a delimited file.
func (d *reading) csv(ctx context.Context, in io.Reader) error {
	text, err := newText(in)
	if err != nil {
		return err
	}
	known, err := knownColumns(d.opt.Columns)
	if err != nil {
		return err
	}
	t := newTable(text)
	header, err := t.sniff(func(cells []string) bool { return hasID(cells, known) })
	if errors.Is(err, io.EOF) {
		return errNoHeader
	}
	if err != nil {
		return err
	}
	// The header decided the encoding, unless it is plain ASCII: then the file may still turn out to be GB18030.
	rows := newRows(&d.opt, header, known)
	d.stats.Ignored = rows.ignored
	d.rejects.layout(header, t.comma, func() string { return text.encoding })
	for {
		cells, err := t.read()
		d.stats.Encoding = text.encoding
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errQuotes), errors.Is(err, errLong):
			err = d.reject(Rejection{Line: t.line, Reason: err.Error()}, cells)
		case err != nil:
			return err
		default:
			err = d.row(ctx, rows, cells, t.line)
		}
		if err != nil {
			return err
		}
	}
}

var errNoHeader = errors.New("no column for the customer's id in the first 10 rows: call it 客户编号 or id, or name yours in a map of columns")

func hasID(cells []string, known map[string]field) bool {
	return slices.ContainsFunc(cells, func(c string) bool { return known[folded(c)] == fID })
}

// row takes one row of cells, or rejects it.
func (d *reading) row(ctx context.Context, rows *rows, cells []string, line int) error {
	d.stats.Rows++
	e, fault := rows.take(cells)
	if fault != nil {
		d.stats.Rows-- // reject counts it
		fault.Line = line
		return d.reject(*fault, cells)
	}
	if err := d.room(ctx, e.text[fID]); err != nil {
		return err
	}
	d.batch.add(e)
	d.seen.add(e.text[fID], e.text[fVehicle])
	return nil
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
func (d *reading) reject(r Rejection, cells []string) error {
	d.stats.Rows++
	d.stats.Rejected++
	if len(d.stats.Rejections) < maxListed {
		d.stats.Rejections = append(d.stats.Rejections, r)
	}
	return d.rejects.write(cells, r.Column, r.Reason)
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
