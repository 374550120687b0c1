package intake

import (
	"errors"
	"io"
	"strings"
)

// maxRow bounds one row of a file, and maxLines how many lines a quoted cell may run on: beyond that a quote was never closed.
const (
	maxRow   = 1 << 20
	maxLines = 50
)

var (
	errQuotes = errors.New("quotes do not match")
	errLong   = errors.New("the row is longer than 1 MiB")
)

// table reads the rows of a delimited file (RFC 4180, with any of , ; and tab). It is not encoding/csv because a quote that is
// never closed must cost its own row and not all that follow, and because what is rejected is given back as it was.
type table struct {
	text    *text
	comma   byte
	pending []line // lines read ahead by a cell that turned out never to end
	line    int    // of the row read last, from 1
	next    int
	cells   []string
	raw     string // the row read last, as it is in the file
}

func newTable(t *text) *table { return &table{text: t, next: 1} }

// read returns the next row that is not empty, valid until the next call. Beside errQuotes and errLong, which are about this row
// only (its text is then the one cell), an error ends the file.
func (t *table) read() ([]string, error) {
	for {
		l, err := t.readLine()
		if err != nil && !errors.Is(err, errLong) {
			return nil, err
		}
		if strings.Trim(l.text, " \t,;") == "" {
			continue
		}
		t.line, t.raw = t.next-1, l.raw
		if err != nil {
			return append(t.cells[:0], l.text), err
		}
		return t.row(l)
	}
}

func (t *table) readLine() (line, error) {
	var l line
	var err error
	if len(t.pending) > 0 {
		l, t.pending = t.pending[0], t.pending[1:]
		err = l.err
	} else {
		l, err = t.text.readLine()
	}
	t.next++
	return l, err
}

func (t *table) row(l line) ([]string, error) {
	if s := l.text; strings.IndexByte(s, '"') < 0 {
		t.cells = t.cells[:0]
		for {
			i := strings.IndexByte(s, t.comma)
			if i < 0 {
				break
			}
			t.cells = append(t.cells, s[:i])
			s = s[i+1:]
		}
		t.cells = append(t.cells, s)
		return t.cells, nil
	}
	whole, ahead := l, []line(nil)
	for {
		cells, open, ok := split(whole.text, t.comma, t.cells[:0])
		t.cells, t.raw = cells, whole.raw
		if ok {
			return cells, nil
		}
		if open && len(ahead) < maxLines && len(whole.raw) < maxRow {
			if more, err := t.readLine(); err == nil {
				ahead = append(ahead, more)
				whole.text += "\n" + more.text
				whole.raw += "\n" + more.raw
				continue
			}
		}
		t.pending = append(ahead, t.pending...)
		t.next -= len(ahead)
		t.raw = l.raw
		return append(t.cells[:0], l.text), errQuotes
	}
}

// rawCells are the cells of the row read last as they are in the file. The encodings have no comma or quote inside a character.
func (t *table) rawCells(err error) []string {
	if err == nil {
		if cells, _, ok := split(t.raw, t.comma, nil); ok {
			return cells
		}
	}
	return []string{t.raw}
}

// split parts a row with quotes. open says that it ends inside a quoted cell.
func split(s string, comma byte, cells []string) (row []string, open, ok bool) {
	for {
		if !strings.HasPrefix(s, `"`) {
			i := strings.IndexByte(s, comma)
			if i < 0 {
				return append(cells, s), false, true
			}
			cells, s = append(cells, s[:i]), s[i+1:]
			continue
		}
		s = s[1:]
		cell, doubled := "", false
		for {
			i := strings.IndexByte(s, '"')
			if i < 0 {
				return cells, true, false
			}
			if !doubled {
				cell = s[:i]
			} else {
				cell += s[:i]
			}
			s = s[i+1:]
			if !strings.HasPrefix(s, `"`) {
				break
			}
			cell, doubled, s = cell+`"`, true, s[1:]
		}
		cells = append(cells, cell)
		switch {
		case s == "":
			return cells, false, true
		case s[0] != comma:
			return cells, false, false
		}
		s = s[1:]
	}
}

// errTwoRows says that a header goes on in the next row.
var errTwoRows = errors.New("the header is in two rows: write it into one, each column with its own name, and remove the other")

// sniff finds the delimiter in the first rows and looks for the one with the headers: some exports have a title above it. It returns
// the header in UTF-8 and as it is in the file.
func (t *table) sniff(known map[string]column) (header, raw []string, err error) {
	for range 10 {
		l, err := t.readLine()
		if err != nil {
			return nil, nil, err
		}
		if sep, ok := strings.CutPrefix(strings.ToLower(l.text), "sep="); ok && len(sep) == 1 {
			continue // a line for spreadsheets; the header tells as well
		}
		for _, comma := range []byte{',', ';', '\t'} {
			t.comma = comma
			t.line, t.raw = t.next-1, l.raw
			cells, err := t.row(l)
			if err != nil || !hasID(cells, known) {
				continue
			}
			header, raw = append([]string(nil), cells...), t.rawCells(nil)
			next, err := t.readLine()
			next.err = err // for the next read to say
			t.pending = append([]line{next}, t.pending...)
			t.next--
			if below, _, ok := split(next.text, comma, nil); err == nil && ok && twoRows(header, below, known) {
				return nil, nil, errTwoRows
			}
			return header, raw, nil
		}
	}
	return nil, nil, io.EOF
}
