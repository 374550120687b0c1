package problem

import (
	"fmt"
	"strings"
	"unicode"
)

// maxShown is how much of a line is shown, in characters: a template may have one of 64 KiB.
const maxShown = 120

// Excerpt shows a line of a file, the one before it, and a caret under the column; line and column count from 1, the column in
// characters. It is "" for a line that is not there. Of a long line the part around the column is shown.
func Excerpt(lines []string, line, column int) string {
	if line < 1 || line > len(lines) {
		return ""
	}
	var b strings.Builder
	if line > 1 {
		fmt.Fprintf(&b, "%4d | %s\n", line-1, string(shown(lines[line-2], 0)))
	}
	from := 0
	if column > maxShown {
		from = column - maxShown/2
	}
	part := string(shown(lines[line-1], from))
	fmt.Fprintf(&b, "%4d | %s\n     | %s", line, part, Caret(part, column-from))
	return b.String()
}

// shown returns the part of a line that is shown; of a line of a megabyte it reads no more than that. A control character would take
// the terminal over.
func shown(line string, from int) []rune {
	part := make([]rune, 0, min(len(line), maxShown))
	n := 0
	for _, r := range strings.TrimRight(line, "\r") {
		if n++; n <= from {
			continue
		}
		if unicode.IsControl(r) && r != '\t' {
			r = unicode.ReplacementChar
		}
		if part = append(part, r); len(part) == maxShown {
			break
		}
	}
	return part
}

// Caret returns what to write below a line to point at a column of it, which counts characters from 1. A column behind the line's
// end points there.
func Caret(line string, column int) string {
	var b strings.Builder
	n := 1
	for _, r := range line {
		if n >= column {
			break
		}
		n++
		switch {
		case r == '\t':
			b.WriteByte('\t')
		case unicode.Is(wideRanges, r):
			b.WriteString("  ")
		default:
			b.WriteByte(' ')
		}
	}
	b.WriteByte('^')
	return b.String()
}

// wideRanges are the characters that take two columns in a terminal (UAX 11, as in Markus Kuhn's wcwidth, and emoji).
var wideRanges = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1},
		{Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}
