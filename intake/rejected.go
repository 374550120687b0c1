package intake

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// The columns that are added to rejected rows.
const (
	columnHeader = "_column"
	reasonHeader = "_reason"
)

// rejects writes rejected rows, as they were, in the encoding of the file they came from.
type rejects struct {
	open     func() (io.Writer, error)
	header   []string
	comma    byte
	encoding func() string
	encoder  io.Writer
	out      *bufio.Writer
}

// layout says how the file looked.
func (r *rejects) layout(header []string, comma byte, encoding func() string) {
	r.header, r.comma, r.encoding = header, comma, encoding
}

func (r *rejects) write(cells []string, column, reason string) error {
	if r.open == nil {
		return nil
	}
	if r.out == nil {
		w, err := r.open()
		if err != nil {
			return fmt.Errorf("file of rejected rows: %w", err)
		}
		if r.encoder, err = encodeTo(w, r.encoding()); err != nil {
			return fmt.Errorf("file of rejected rows: %w", err)
		}
		r.out = bufio.NewWriter(r.encoder)
		header := make([]string, 0, len(r.header)+2)
		for _, h := range r.header {
			if h != columnHeader && h != reasonHeader {
				header = append(header, h)
			}
		}
		if err := r.line(append(header, columnHeader, reasonHeader)); err != nil {
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
	return r.line(append(row, column, reason))
}

func (r *rejects) line(cells []string) error {
	var b []byte
	for i, c := range cells {
		if i > 0 {
			b = append(b, r.comma)
		}
		// A spreadsheet would calculate a cell that begins like a formula. Import strips the quote again.
		if c != "" && strings.IndexByte("=+-@\t\r", c[0]) >= 0 {
			c = "'" + c
		}
		if strings.ContainsAny(c, "\"\r\n") || strings.IndexByte(c, r.comma) >= 0 || strings.TrimSpace(c) != c {
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
	if c, ok := r.encoder.(io.Closer); ok && r.encoding() != UTF8 && r.encoding() != UTF8BOM {
		if closing := c.Close(); err == nil {
			err = closing
		}
	}
	if err != nil {
		return fmt.Errorf("file of rejected rows: %w", err)
	}
	return nil
}
