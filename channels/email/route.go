package email

import (
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// Route names the server that a message goes through first: the next one in turn, by weight, of those that take messages now and did not
// fail just now.
func (s *Sender) Route(_ *care.Message, open func(server string) bool) string {
	if len(s.servers) == 1 {
		return s.servers[0].Name
	}
	now := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fits := range []func(*upstream) bool{
		func(up *upstream) bool { return !up.rest.Lasts(now) && open(up.Name) },
		func(up *upstream) bool { return !up.rest.Lasts(now) },
	} {
		if i := s.turn(fits); i >= 0 {
			return s.servers[i].Name
		}
	}
	return s.servers[s.turn(func(*upstream) bool { return true })].Name
}

// turn returns the server whose turn it is among those that fit, -1 if none does. The caller holds mu.
func (s *Sender) turn(fits func(*upstream) bool) int {
	total, best := 0, -1
	for i, up := range s.servers {
		if !fits(up) {
			continue
		}
		s.share[i] += up.Weight
		total += up.Weight
		if best < 0 || s.share[i] > s.share[best] {
			best = i
		}
	}
	if best >= 0 {
		s.share[best] -= total
	}
	return best
}

// order returns the servers: the one that a message was routed through first, else the one whose turn it is, and those that failed just
// now last.
func (s *Sender) order(routed string) []*upstream {
	if len(s.servers) == 1 {
		return s.servers
	}
	first := slices.IndexFunc(s.servers, func(up *upstream) bool { return up.Name == routed })
	if first < 0 {
		s.mu.Lock()
		first = s.turn(func(*upstream) bool { return true })
		s.mu.Unlock()
	}
	turned := append(slices.Clone(s.servers[first:]), s.servers[:first]...)
	return channels.RestingLast(turned, func(up *upstream) *channels.Rest { return &up.rest }, s.cfg.Clock())
}
