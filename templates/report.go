package templates

import (
	"fmt"
	"strings"

	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates/liquid"
)

// report gathers what is wrong, with the line it stands in.
type report struct {
	problems []problem.Problem
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
	r.add(problem.Fault, p, rule, remedy, format, args...)
}

// Warn implements liquid.Reporter.
func (r *report) Warn(p liquid.Position, rule, remedy, format string, args ...any) {
	r.add(problem.Warning, p, rule, remedy, format, args...)
}

// maxProblems bounds what is said of one file.
const maxProblems = 50

func (r *report) add(severity problem.Severity, p liquid.Position, rule, remedy, format string, args ...any) {
	if len(r.problems) >= maxProblems && severity != problem.Fault || len(r.problems) >= 2*maxProblems {
		return
	}
	r.problems = append(r.problems, problem.Problem{
		Severity: severity, Rule: rule, File: p.File, Line: p.Line, Column: p.Column,
		Message: fmt.Sprintf(format, args...), Remedy: remedy, Excerpt: problem.Excerpt(r.lines[p.File], p.Line, p.Column),
	})
}
