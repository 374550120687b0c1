package sms

import (
	"slices"

	"github.com/carebell/carebell/care"
)

// Route names the gateway that a message goes through first, "" if none is meant for it. The order of the gateways is the operator's: one
// that is busy is waited for, one that did not answer just now is not.
func (s *Sender) Route(m *care.Message, _ func(gateway string) bool) string {
	return s.GatewayFor(m.To, m.Country, m.Dealer)
}

// ways returns the gateways that are meant for a message: the one that it was routed through comes first, unless it failed since.
func (s *Sender) ways(m *care.Message) []*route {
	all := s.candidates(m.To, m.Country, m.Dealer)
	i := slices.IndexFunc(all, func(r *route) bool { return r.Name == m.Gateway })
	if i > 0 && !all[i].rest.Lasts(s.cfg.Clock()) {
		first := all[i]
		copy(all[1:i+1], all[:i])
		all[0] = first
	}
	return all
}
