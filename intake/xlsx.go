package intake

import (
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

// xlsx reads the first sheet that has a column for the customer's id. Cells are taken as they are stored, not as they are shown: a
// date is its serial, whatever the cell's format makes of it.
func (d *reading) xlsx(ctx context.Context, in io.Reader) (err error) {
	known, err := knownColumns(d.opt.Columns)
	if err != nil {
		return err
	}
	book, err := excelize.OpenReader(in, excelize.Options{RawCellValue: true, UnzipSizeLimit: maxWorkbook, UnzipXMLSizeLimit: maxInMemory})
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
	for _, sheet := range book.GetSheetList() {
		done, err := d.sheet(ctx, book, sheet, known)
		if err != nil || done {
			return err
		}
	}
	return errNoHeader
}

// sheet reads one sheet; done is false if it has no header.
func (d *reading) sheet(ctx context.Context, book *excelize.File, name string, known map[string]field) (done bool, err error) {
	cursor, err := book.Rows(name)
	if err != nil {
		if _, chart := errors.AsType[excelize.ErrSheetNotExist](err); chart {
			return false, nil // a sheet of another kind has no rows
		}
		return false, fmt.Errorf("sheet %s: %w", name, err)
	}
	defer cursor.Close()
	var r *rows
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
			if err := d.row(ctx, r, plain(cells), line); err != nil {
				return false, err
			}
		case hasID(cells, known):
			header := append([]string(nil), cells...)
			r = newRows(&d.opt, header, known)
			d.stats.Ignored = r.ignored
			d.rejects.layout(header, ',', func() string { return UTF8BOM }) // spreadsheets know UTF-8 by its mark
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
