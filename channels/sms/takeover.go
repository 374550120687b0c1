package sms

import (
	"errors"
	"slices"
)

// TakeOver has s go on with those gateways of the sender before it that same names: with their connections and what is known of them.
// Both must be made of the same settings; only the files of the gateways that are not named differ. Afterwards before sends what it has
// begun, and CloseReplaced ends what s has not taken over. It must be called before s sends.
func (s *Sender) TakeOver(before *Sender, same func(name string) bool) error {
	var errs []error
	for i, r := range s.gateways {
		if old := before.route(r.Name); old != nil && same(r.Name) {
			errs = append(errs, r.client.Close())
			s.gateways[i] = old
		}
	}
	return errors.Join(errs...)
}

// CloseReplaced closes the gateways of the sender before s that s has not taken over.
func (s *Sender) CloseReplaced(before *Sender) error {
	var errs []error
	for _, r := range before.gateways {
		if !slices.Contains(s.gateways, r) {
			errs = append(errs, r.client.Close())
		}
	}
	return errors.Join(errs...)
}
