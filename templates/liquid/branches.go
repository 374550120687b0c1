package liquid

// Fork is an {% if %}, {% unless %} or {% case %} with the tags of its branches.
type Fork struct {
	// At is where it begins.
	At Position
	// Within are the branches of others that it stands in, the outermost first.
	Within []Choice
	// Tags are those of its branches as they are written; the last is "" for none of them.
	Tags []string
}

// Forks lists the forks of the template that an author wrote, the outer ones first.
func (t *Template) Forks() []Fork { return forks(nil, t.nodes) }

func forks(all []Fork, nodes []node) []Fork {
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
			all = n.fork(all, tags)
			for i := range n.branches {
				all = forks(all, n.branches[i].body)
			}
		case *caseNode:
			tags := make([]string, 0, len(n.whens)+1)
			for i := range n.whens {
				tags = append(tags, n.whens[i].tag)
			}
			if len(n.whens) == 0 || len(n.whens[len(n.whens)-1].values) > 0 {
				tags = append(tags, "")
			}
			all = n.fork(all, tags)
			for i := range n.whens {
				all = forks(all, n.whens[i].body)
			}
		case *forNode:
			all = forks(forks(all, n.body), n.or)
		}
	}
	return all
}

// fork adds the block, unless no author wrote it.
func (d *decision) fork(all []Fork, tags []string) []Fork {
	if d.at == (Position{}) {
		return all
	}
	return append(all, Fork{d.at, d.within, tags})
}
