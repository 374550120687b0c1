package intake

import (
	"bufio"
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
	in      *bufio.Reader
	comma   byte
	pending []string // lines read ahead by a cell that turned out never to end
	line    int      // of the row read last, from 1
	next    int
	cells   []string
}

func newTable(r io.Reader) *table { return &table{in: bufio.NewReaderSize(r, window), next: 1} }

// read returns the next row that is not empty, valid until the next call. Beside errQuotes and errLong, which are about this row
// only (its text is then the one cell), an error ends the file.
func (t *table) read() ([]string, error) {
	for {
		line, err := t.readLine()
		if err != nil && !errors.Is(err, errLong) {
			return nil, err
		}
		if strings.Trim(line, " \t,;") == "" {
			continue
		}
		t.line = t.next - 1
		if err != nil {
			return append(t.cells[:0], line), err
		}
		return t.row(line)
	}
}

func (t *table) row(line string) ([]string, error) {
	if strings.IndexByte(line, '"') < 0 {
		t.cells = t.cells[:0]
		for {
			i := strings.IndexByte(line, t.comma)
			if i < 0 {
				break
			}
			t.cells = append(t.cells, line[:i])
			line = line[i+1:]
		}
		t.cells = append(t.cells, line)
		return t.cells, nil
	}
	whole, ahead := line, []string(nil)
	for {
		cells, open, ok := split(whole, t.comma, t.cells[:0])
		t.cells = cells
		if ok {
			return cells, nil
		}
		if open && len(ahead) < maxLines && len(whole) < maxRow {
			if more, err := t.readLine(); err == nil {
				ahead = append(ahead, more)
				whole += "\n" + more
				continue
			}
		}
		t.pending = append(ahead, t.pending...)
		t.next -= len(ahead)
		return append(t.cells[:0], line), errQuotes
	}
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

// readLine returns the next line without its end.
func (t *table) readLine() (string, error) {
	if len(t.pending) > 0 {
		line := t.pending[0]
		t.pending = t.pending[1:]
		t.next++
		return line, nil
	}
	var long []byte
	for {
		part, err := t.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(long) < maxRow {
				long = append(long, part...)
			}
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(part)+len(long) == 0) {
			return "", err
		}
		t.next++
		line := string(part)
		if long != nil {
			line = string(long) + line
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if len(line) > maxRow {
			return line[:80], errLong
		}
		return line, nil
	}
}

// sniff finds the delimiter in the first rows and looks for the one with the headers: some exports have a title above it.
func (t *table) sniff(known func(cells []string) bool) (header []string, err error) {
	for range 10 {
		line, err := t.readLine()
		if err != nil {
			return nil, err
		}
		if sep, ok := strings.CutPrefix(strings.ToLower(line), "sep="); ok && len(sep) == 1 {
			continue // a line for spreadsheets; the header tells as well
		}
		for _, comma := range []byte{',', ';', '\t'} {
			t.comma = comma
			t.line = t.next - 1
			if cells, err := t.row(line); err == nil && known(cells) {
				return append([]string(nil), cells...), nil
			}
		}
	}
	return nil, io.EOF
}
