package intake

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// A workbook is a ZIP archive: these bound what one may unpack to, and how much of it is held in memory.
const (
	maxWorkbook = 512 << 20
	maxInMemory = 64 << 20
)

// A cell of a spreadsheet has no more than 32,767 characters; what packs better than one to 150 is no table of people.
const (
	maxCellText = 32767 * 6
	maxPacked   = 128 << 20
	maxRatio    = 150
)

var errBomb = errors.New("the workbook has a cell or a part that is larger than any table of customers: save its sheet anew")

// unpacked looks through a workbook before anything holds it in memory.
func unpacked(raw []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return fmt.Errorf("the workbook cannot be read: %w", err)
	}
	total := uint64(0)
	for _, f := range archive.File {
		total += f.UncompressedSize64
		if total > maxWorkbook || f.UncompressedSize64 > 8<<20 && f.UncompressedSize64/max(1, f.CompressedSize64) > maxRatio {
			return errBomb
		}
		if err := longestText(f); err != nil {
			return err
		}
	}
	return nil
}

// longestText refuses a part with a run of text, outside of tags, that no cell can have.
func longestText(f *zip.File) error {
	if !strings.HasSuffix(f.Name, ".xml") {
		return nil
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("the workbook cannot be read: %w", err)
	}
	defer func() { _ = in.Close() }()
	buf := make([]byte, window)
	for run := 0; ; {
		n, err := in.Read(buf)
		for part := buf[:n]; ; {
			i := bytes.IndexByte(part, '<')
			if i < 0 {
				run += len(part)
				break
			}
			if run+i > maxCellText {
				return errBomb
			}
			part, run = part[i+1:], 0
		}
		if run > maxCellText {
			return errBomb
		}
		if err != nil {
			return nil //nolint:nilerr // what is broken in it is for the reader of the workbook to say
		}
	}
}

// xlsx reads all visible sheets that have a column for the customer's id, or the one that is asked for. Cells are taken as they are stored,
// not as they are shown: a date is its serial, whatever the cell's format makes of it.
func (d *reading) xlsx(ctx context.Context, in io.Reader) (err error) {
	known, err := knownColumns(d.opt.Columns)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPacked+1))
	if err != nil {
		return err
	}
	if len(raw) > maxPacked {
		return errors.New("the workbook is larger than 128 MiB: save it as CSV")
	}
	if err := unpacked(raw); err != nil {
		return err
	}
	book, err := excelize.OpenReader(bytes.NewReader(raw), excelize.Options{RawCellValue: true, UnzipSizeLimit: maxWorkbook, UnzipXMLSizeLimit: maxInMemory})
	if err != nil {
		return fmt.Errorf("the workbook cannot be read: %w", err)
	}
	defer func() {
		if closing := book.Close(); err == nil && closing != nil {
			err = fmt.Errorf("the workbook's temporary files: %w", closing)
		}
	}()
	d.stats.Encoding = "XLSX"
	if props, err := book.GetWorkbookProps(); err == nil && props.Date1904 != nil && *props.Date1904 {
		d.opt.date1904 = true
	}
	read := false
	for _, sheet := range book.GetSheetList() {
		if d.opt.Sheet != "" && !strings.EqualFold(strings.TrimSpace(sheet), strings.TrimSpace(d.opt.Sheet)) {
			continue
		}
		if visible, err := book.GetSheetVisible(sheet); err == nil && !visible && d.opt.Sheet == "" {
			d.stats.Sheets = append(d.stats.Sheets, sheet+" (hidden)")
			continue
		}
		done, err := d.sheet(ctx, book, sheet, known)
		if err != nil {
			return err
		}
		if read = read || done; !done {
			d.stats.Sheets = append(d.stats.Sheets, sheet)
		}
	}
	switch {
	case read:
		return nil
	case d.opt.Sheet != "" && len(d.stats.Sheets) == 0:
		return fmt.Errorf("there is no sheet %q: there are %s", d.opt.Sheet, strings.Join(book.GetSheetList(), ", "))
	}
	return errNoHeader
}

// sheet reads one sheet; done is false if it has no header.
func (d *reading) sheet(ctx context.Context, book *excelize.File, name string, known map[string]column) (done bool, err error) {
	cursor, err := book.Rows(name)
	if err != nil {
		if _, chart := errors.AsType[excelize.ErrSheetNotExist](err); chart {
			return false, nil // a sheet of another kind has no rows
		}
		return false, fmt.Errorf("sheet %s: %w", name, err)
	}
	defer cursor.Close()
	var r *rows
	first := true
	for line := 1; cursor.Next(); line++ {
		cells, err := cursor.Columns()
		if err != nil {
			return false, fmt.Errorf("sheet %s, row %d: %w", name, line, err)
		}
		switch {
		case r != nil:
			if strings.Join(cells, "") == "" {
				continue
			}
			if first && twoRows(r.header, cells, known) {
				return false, fmt.Errorf("sheet %s: %w", name, errTwoRows)
			}
			first = false
			if err := d.row(ctx, r, plain(cells), line, func() []string { return cells }); err != nil {
				return false, err
			}
		case hasID(cells, known):
			header := append([]string(nil), cells...)
			r = newRows(&d.opt, header, known)
			d.stats.Ignored = append(d.stats.Ignored, r.ignored...)
			if err := d.rejects.layout(header, ',', func() string { return UTF8BOM }); err != nil { // spreadsheets know UTF-8 by its mark
				return false, err
			}
		case line == 10:
			return false, nil
		}
	}
	if err := cursor.Error(); err != nil {
		return false, fmt.Errorf("sheet %s: %w", name, err)
	}
	return r != nil, nil
}

// plain writes out numbers that some programs store as 1.3800138E10: a stored number has all its digits. What a person sees and
// copies has a plus sign, 1.38E+10, and has lost them: that stays as it is, and is refused.
func plain(cells []string) []string {
	for i, c := range cells {
		if c == "" || c[0] < '0' || c[0] > '9' || !strings.ContainsAny(c, "Ee") || strings.Contains(c, "+") {
			continue
		}
		if n, err := strconv.ParseFloat(c, 64); err == nil && n == float64(int64(n)) && n < 1e15 {
			cells[i] = strconv.FormatInt(int64(n), 10)
		}
	}
	return cells
}
