package templates

import (
	"fmt"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

// report gathers what is wrong, with the line it stands in.
type report struct {
	problems []care.Problem
	faults   int                 // found, also those that are not said any more
	lines    map[string][]string // by file, for excerpts
}

func (r *report) remember(file, text string) {
	if r.lines == nil {
		r.lines = map[string][]string{}
	}
	r.lines[file] = strings.Split(text, "\n")
}

// Fault implements liquid.Reporter.
func (r *report) Fault(p liquid.Position, rule, remedy, format string, args ...any) {
	r.faults++
	r.add(care.Fault, p, rule, remedy, format, args...)
}

// Warn implements liquid.Reporter.
func (r *report) Warn(p liquid.Position, rule, remedy, format string, args ...any) {
	r.add(care.Warning, p, rule, remedy, format, args...)
}

// maxProblems bounds what is said of one file.
const maxProblems = 50

func (r *report) add(severity care.Severity, p liquid.Position, rule, remedy, format string, args ...any) {
	if len(r.problems) >= maxProblems && severity != care.Fault || len(r.problems) >= 2*maxProblems {
		return
	}
	r.problems = append(r.problems, care.Problem{
		Severity: severity, Rule: rule, File: p.File, Line: p.Line, Column: p.Column,
		Message: fmt.Sprintf(format, args...), Remedy: remedy, Excerpt: r.excerpt(p),
	})
}

// maxExcerpt keeps the excerpt of a line of 64 KiB readable, in characters.
const maxExcerpt = 160

func (r *report) excerpt(p liquid.Position) string {
	lines := r.lines[p.File]
	if p.Line < 1 || p.Line > len(lines) {
		return ""
	}
	line := []rune(strings.TrimRight(strings.ReplaceAll(lines[p.Line-1], "\t", " "), "\r"))
	from, col := 0, max(p.Column, 1)
	if col > maxExcerpt/2 {
		from = min(col-maxExcerpt/2, len(line))
	}
	shown := line[from:min(len(line), from+maxExcerpt)]
	number := fmt.Sprintf("%d | ", p.Line)
	pad := strings.Repeat(" ", len(number))
	for _, c := range shown[:min(len(shown), max(col-1-from, 0))] {
		if c >= 0x1100 { // wide in a terminal
			pad += "\u3000"
		} else {
			pad += " "
		}
	}
	return number + string(shown) + "\n" + pad + "^"
}
