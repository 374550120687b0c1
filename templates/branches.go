package templates

import (
	"cmp"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
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
	taken := map[choice]bool{}
	see := func(d *decision, branch int) { taken[choice{d.at, branch}] = true }
	m, err := s.render(d, see, nil)
	all := []Branch{{Message: m, Err: err}}
	if t == nil {
		return nil, err
	}
	for _, one := range t.decisions() {
		for k := range one.tags {
			if taken[choice{one.at, k}] {
				continue
			}
			taken[choice{one.at, k}] = true
			forced := map[position]int{one.at: k}
			for _, c := range one.within {
				forced[c.at] = c.branch
			}
			b := Branch{File: one.at.file, Line: one.at.line, Column: one.at.col, Tag: one.tags[k]}
			b.Message, b.Err = s.render(d, see, forced)
			all = append(all, b)
		}
	}
	slices.SortStableFunc(all[1:], func(a, b Branch) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return all, nil
}

// fork is a block with the tags of its branches.
type fork struct {
	decision
	tags []string
}

// decisions lists the blocks of all programs of the template, each once, the outer ones first.
func (t *template) decisions() []fork {
	var all []fork
	known := map[position]bool{}
	var walk func(nodes []node)
	add := func(d decision, tags []string) {
		if d.at.file != "" && !known[d.at] {
			known[d.at] = true
			all = append(all, fork{d, tags})
		}
	}
	walk = func(nodes []node) {
		for _, n := range nodes {
			switch n := n.(type) {
			case *ifNode:
				tags := make([]string, 0, len(n.branches)+1)
				for i := range n.branches {
					tags = append(tags, n.branches[i].tag)
				}
				if n.branches[len(n.branches)-1].when != nil {
					tags = append(tags, "")
				}
				add(n.decision, tags)
				for i := range n.branches {
					walk(n.branches[i].body)
				}
			case *caseNode:
				tags := make([]string, 0, len(n.whens)+1)
				for i := range n.whens {
					tags = append(tags, n.whens[i].tag)
				}
				if len(n.whens) == 0 || len(n.whens[len(n.whens)-1].values) > 0 {
					tags = append(tags, "")
				}
				add(n.decision, tags)
				for i := range n.whens {
					walk(n.whens[i].body)
				}
			case *forNode:
				walk(n.body)
				walk(n.or)
			}
		}
	}
	for _, p := range []*program{t.subject, t.preheader, t.html, t.text} {
		if p != nil {
			walk(p.nodes)
		}
	}
	return all
}
