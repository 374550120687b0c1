package templates

import (
	"cmp"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

// Branch is one outcome of a {% if %}, {% unless %} or {% case %}, and the message in which it is taken.
type Branch struct {
	File         string
	Line, Column int
	Tag          string // the tag of the branch, as it is written; "" = none of the branches
	Message      *care.Message
	Err          error // why there is no message: the branch needs a value that the draft lacks
}

// Branches renders the draft's template once for each branch that a message can take, also those that the draft would not take by
// itself: the first is the message as it is, without a place. Each branch is shown once, in the order of the file; with a draft of
// Sample every variable has a value.
func (s *Set) Branches(d *care.Draft) ([]Branch, error) {
	t := s.of(d)
	taken := map[liquid.Choice]bool{}
	see := func(c liquid.Choice) { taken[c] = true }
	m, err := s.render(d, see, nil)
	all := []Branch{{Message: m, Err: err}}
	if t == nil {
		return nil, err
	}
	for _, one := range t.forks() {
		for k := range one.Tags {
			if taken[liquid.Choice{At: one.At, Branch: k}] {
				continue
			}
			taken[liquid.Choice{At: one.At, Branch: k}] = true
			forced := map[liquid.Position]int{one.At: k}
			for _, c := range one.Within {
				forced[c.At] = c.Branch
			}
			b := Branch{File: one.At.File, Line: one.At.Line, Column: one.At.Column, Tag: one.Tags[k]}
			b.Message, b.Err = s.render(d, see, forced)
			all = append(all, b)
		}
	}
	slices.SortStableFunc(all[1:], func(a, b Branch) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return all, nil
}

// forks lists the forks of the subject, the preheader and the bodies, each once.
func (t *template) forks() []liquid.Fork {
	var all []liquid.Fork
	known := map[liquid.Position]bool{}
	for _, p := range []*liquid.Template{t.subject, t.preheader, t.html, t.text} {
		if p == nil {
			continue
		}
		for _, f := range p.Forks() {
			if !known[f.At] {
				known[f.At] = true
				all = append(all, f)
			}
		}
	}
	return all
}
