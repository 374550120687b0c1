package web

import "github.com/carebell/carebell/web/httpx"

// Routes lists the patterns of a listener, so that a test can walk over all of them.
func (p *Public) Routes() []string {
	routes, _ := p.routes()
	return patterns(routes)
}

// Routes lists the patterns of the pages of our own and of the API.
func (p *Private) Routes() []string { return patterns(p.routes()) }

func patterns(routes []httpx.Route) []string {
	var out []string
	for _, r := range routes {
		out = append(out, r.Pattern)
	}
	return out
}
