package feedback

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// MaxMail is how much of a returned mail is read, in bytes: it carries the mail that it is about.
const MaxMail = 1 << 20

// ErrUnreadable says that what a provider sent cannot be read, and that no repeat will help.
var ErrUnreadable = errors.New("the callback cannot be read")

// Receipts keeps what providers say of messages, in any order and however often.
type Receipts interface {
	Receipts(ctx context.Context, receipts []care.Receipt) error
}

// softFailures is after how many messages in 30 days that did not arrive an address counts as dead.
const softFailures = 3

// Returned takes a mail that came back, from wherever it arrived: it keeps what the report says and acts on it; a mail that is no
// report changes nothing, and neither does a repeat. What is behind the first MB is not read. ErrUnreadable means that no repeat will
// help; any other error means: hand it in again.
func (s *Service) Returned(ctx context.Context, mail io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(mail, MaxMail))
	if err != nil {
		return err
	}
	receipts, err := s.Reports(raw)
	switch {
	case errors.Is(err, email.ErrUnproven):
		return s.unread(ctx, ReturnedUnproven)
	case errors.Is(err, email.ErrNotUnderstood):
		return s.unread(ctx, ReturnedUnknown)
	case err != nil:
		return err
	}
	return s.TakeReceipts(ctx, receipts)
}

// TakeEvents keeps what a mail provider posted, as TakeReceipts does, and counts events that name a message of ours without its proof.
func (s *Service) TakeEvents(ctx context.Context, receipts []care.Receipt, unproven int) error {
	for range min(unproven, 100) {
		if err := s.unread(ctx, ReturnedUnproven); err != nil {
			return err
		}
	}
	return s.TakeReceipts(ctx, receipts)
}

// What is counted of returned mail that teaches nothing.
const (
	ReturnedUnproven = "unproven"       // it names a message of ours and does not show that it answers us
	ReturnedUnknown  = "not_understood" // what it says was not understood
)

// unread counts a returned mail that teaches nothing, and says so once an hour: the mail itself stays where it arrived.
func (s *Service) unread(ctx context.Context, why string) error {
	if s.Unread == nil {
		return nil
	}
	first, err := s.Unread(ctx, why)
	if err == nil && first {
		s.Log.Warn("returned mail teaches nothing: carebell hygiene counts it", slog.String("why", why))
	}
	return err
}

// TakeReceipts keeps receipts, whether a provider posted them or was asked, and learns from them: a dead address, an opt-out that the
// provider knows of. Receipts that were taken before change nothing.
func (s *Service) TakeReceipts(ctx context.Context, receipts []care.Receipt) error {
	receipts = s.believed(ctx, receipts)
	if len(receipts) == 0 {
		return nil
	}
	if err := s.Receipts.Receipts(ctx, receipts); err != nil {
		return err
	}
	for i := range receipts {
		if err := s.learn(ctx, &receipts[i]); err != nil {
			return err
		}
	}
	return nil
}

// believed drops receipts for messages that went by another gateway: the secret of one does not speak for the others.
func (s *Service) believed(ctx context.Context, receipts []care.Receipt) []care.Receipt {
	if s.Message == nil {
		return receipts
	}
	out := receipts[:0:0]
	for _, rc := range receipts {
		if rc.Channel == care.SMS && rc.ID != "" {
			rec, err := s.Message(ctx, rc.ID)
			if err == nil && rec.State != care.StateSending && !rec.WentBy(care.SMS, rc.Gateway) {
				s.Log.Warn("a receipt is left out: the message went by another gateway", slog.String("message", rc.ID), slog.String("gateway", rc.Gateway))
				continue
			}
		}
		out = append(out, rc)
	}
	return out
}

// learn acts on what a receipt says of the customer. It does nothing the second time.
func (s *Service) learn(ctx context.Context, rc *care.Receipt) error {
	soft := rc.Kind == care.KindRetry && (rc.State == care.StateUndelivered || rc.State == care.StateFailed)
	if rc.ID == "" || s.People == nil || rc.Kind != care.KindRecipient && rc.Kind != care.KindOptedOut && !soft {
		return nil
	}
	customer, failures, err := s.People.ByMessage(ctx, rc.ID, rc.Channel)
	switch {
	case errors.Is(err, care.ErrGone):
		return nil
	case err != nil:
		return err
	case soft && failures < softFailures:
		return nil
	}
	about, err := s.Subject(ctx, customer, rc.ID, rc.Channel)
	if err != nil {
		return err
	}
	if rc.Kind == care.KindOptedOut {
		return s.providerStop(ctx, about, rc)
	}
	reason := rc.Code
	if soft {
		reason = "soft:" + rc.Code
	}
	hash := about.Facts.AddressHash[rc.Channel]
	tasks := []care.EventEntry{about.task("dead_address", string(rc.Channel)+" "+reason)}
	if reported := s.reportedHash(rc); reported != "" && reported != hash {
		// The customer has another address since: the old one is noted, and nobody need ask.
		hash, tasks = reported, nil
	}
	known := slices.ContainsFunc(about.Facts.Said().Suppressed, func(x care.Suppression) bool { return x.Channel == rc.Channel && x.Hash == hash })
	if hash == "" || known {
		return nil
	}
	if err := s.change(ctx, hash, func(a *care.AddressState) {
		if a.Dead.At.IsZero() {
			a.Dead = care.Suppression{Channel: rc.Channel, Hash: hash, Reason: reason, At: about.Now}
		}
	}); err != nil {
		return err
	}
	return s.decide(ctx, about, func(o *care.Overlay) error {
		suppress(o, rc.Channel, hash, reason, about.Now)
		return nil
	}, tasks...)
}

// reportedHash returns the hash of the address that a receipt reports on, "" if it does not say.
func (s *Service) reportedHash(rc *care.Receipt) string {
	if rc.To == "" {
		return ""
	}
	return s.hashOf(rc.Channel, rc.To)
}

// hashOf returns the keyed hash of an address in the form that is hashed, "" if it is not known how.
func (s *Service) hashOf(ch care.Channel, address string) string {
	if s.Hash == nil {
		return ""
	}
	return s.Hash(ch, address)
}

// providerStop records an opt-out that the provider knows of, unless it is on record or the customer has opted in since.
func (s *Service) providerStop(ctx context.Context, about *Subject, rc *care.Receipt) error {
	scope, at := string(rc.Channel), rc.At
	if at.IsZero() || at.After(about.Now) {
		at = about.Now
	}
	hash := cmp.Or(s.reportedHash(rc), about.Facts.AddressHash[rc.Channel])
	if err := s.change(ctx, hash, func(a *care.AddressState) { a.Refuse(care.Stop{At: at, Source: "provider"}) }); err != nil {
		return err
	}
	o := about.Facts.Said()
	if g, ok := o.Grants[scope]; Stopped(o, scope) || ok && g.At.After(at) {
		return nil
	}
	return s.decide(ctx, about, func(o *care.Overlay) error {
		stop(o, scope, care.Stop{At: at, Source: "provider"})
		return nil
	}, about.entry(KindOptOut, scope))
}
