package intake

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// The columns that are added to rejected rows.
const (
	columnHeader = "_column"
	reasonHeader = "_reason"
)

// rejects writes rejected rows, byte for byte as they were, in the encoding of the file they came from.
type rejects struct {
	open     func(part int) (io.Writer, error)
	part     int // of the layouts before
	header   []string
	comma    byte
	encoding func() string
	codec    encoding.Encoding // nil = UTF-8
	wide     io.WriteCloser    // writes UTF-16 of what the rows are in UTF-8
	out      *bufio.Writer
}

// layout says how the rows look that come next. Those of another header begin a file of their own.
func (r *rejects) layout(header []string, comma byte, encoding func() string) error {
	var err error
	if r.out != nil && !slices.Equal(header, r.header) {
		err = r.close()
		r.out, r.wide, r.part = nil, nil, r.part+1
	}
	r.header, r.comma, r.encoding = header, comma, encoding
	return err
}

func (r *rejects) begin() error {
	w, err := r.open(r.part)
	if err != nil {
		return fmt.Errorf("file of rejected rows: %w", err)
	}
	name := r.encoding()
	r.codec = codecs[name]
	switch {
	case strings.HasPrefix(name, "UTF-16"):
		r.wide, r.codec = transform.NewWriter(w, r.codec.NewEncoder()), nil
		w = r.wide
	case name == UTF8BOM:
		if _, err := io.WriteString(w, "\ufeff"); err != nil {
			return fmt.Errorf("file of rejected rows: %w", err)
		}
	}
	r.out = bufio.NewWriter(w)
	header := make([]string, 0, len(r.header)+2)
	for _, h := range r.header {
		if h != columnHeader && h != reasonHeader {
			header = append(header, h)
		}
	}
	return r.line(append(header, columnHeader, reasonHeader))
}

// write gives back a row with all its faults.
func (r *rejects) write(cells []string, faults []Rejection) error {
	if r.open == nil {
		return nil
	}
	if r.out == nil {
		if err := r.begin(); err != nil {
			return err
		}
	}
	row := make([]string, 0, len(cells)+2)
	for i, c := range cells {
		if i < len(r.header) && (r.header[i] == columnHeader || r.header[i] == reasonHeader) {
			continue // rejected once before
		}
		row = append(row, c)
	}
	for len(cells) < len(r.header) {
		row, cells = append(row, ""), append(cells, "")
	}
	var columns, reasons []string
	for _, f := range faults {
		columns, reasons = append(columns, f.Column), append(reasons, f.Reason)
	}
	return r.line(append(row, r.encoded(strings.Join(columns, "; ")), r.encoded(strings.Join(reasons, "; "))))
}

// encoded is a text of ours in the file's encoding.
func (r *rejects) encoded(s string) string {
	if r.codec != nil {
		if out, err := encoding.ReplaceUnsupported(r.codec.NewEncoder()).String(s); err == nil {
			return out
		}
	}
	return s
}

// formula reports whether a spreadsheet would calculate a cell.
func (r *rejects) formula(c string) bool {
	if c == "" {
		return false
	}
	if strings.IndexByte("=+-@\t\r\n\x00", c[0]) >= 0 {
		return true
	}
	for _, full := range []string{"\uff1d", "\uff0b", "\uff0d", "\uff20"} {
		if strings.HasPrefix(c, r.encoded(full)) && r.encoded(full) != "" {
			return true
		}
	}
	return false
}

func (r *rejects) line(cells []string) error {
	var b []byte
	for i, c := range cells {
		if i > 0 {
			b = append(b, r.comma)
		}
		if r.formula(c) {
			c = "'" + c // import strips it again
		}
		if strings.ContainsAny(c, "\"\r\n") || strings.IndexByte(c, r.comma) >= 0 || strings.Trim(c, " \t") != c {
			c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		b = append(b, c...)
	}
	if _, err := r.out.Write(append(b, "\r\n"...)); err != nil {
		return fmt.Errorf("file of rejected rows: %w", err)
	}
	return nil
}

// close writes out what is left. The file itself is the caller's to close.
func (r *rejects) close() error {
	if r.out == nil {
		return nil
	}
	err := r.out.Flush()
	if r.wide != nil {
		if closing := r.wide.Close(); err == nil {
			err = closing
		}
	}
	if err != nil {
		return fmt.Errorf("file of rejected rows: %w", err)
	}
	return nil
}
