package feedback

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store/inbox"
)

// The kinds of entry about signals: one that was taken, with its name, and one from the stream that was not, with the reason.
const (
	KindSignal        = "signal"
	KindSignalRefused = "signal_refused"
)

// Why a signal is not taken. The words of RefusedSignal go into events and metrics.
var (
	ErrSignalShape    = errors.New("a signal needs signal and customer, names of 1 to 64 of A-Z a-z 0-9 . _ : -, and at most 30 fields such as order, each of at most 500 characters")
	ErrSignalName     = errors.New("no program of the care book that is switched on listens to this signal: write trigger: {on: signal, signal: NAME} in one")
	ErrSignalCustomer = errors.New("there is no customer with this id")
	ErrSignalOld      = errors.New("the signal is so old that no message can come of it")
	ErrSignalMany     = errors.New("the customer has 100 signals that are not over: no more are taken")
)

var refusals = map[error]string{
	ErrSignalShape: "bad_signal", ErrSignalName: "unknown_signal", ErrSignalCustomer: "unknown_customer", ErrSignalOld: "too_old", ErrSignalMany: "too_many",
}

// RefusedSignal returns in a word why a signal was not taken; "" if it may be given again.
func RefusedSignal(err error) string {
	for refusal, word := range refusals {
		if errors.Is(err, refusal) {
			return word
		}
	}
	return ""
}

const (
	signalsAtOnce = 256
	signalsMost   = 100 // of a customer that are not over
	signalFields  = 30
	signalValue   = 500
)

// SignalStore is where signals come from and are kept.
type SignalStore interface {
	Overlays
	Signals(ctx context.Context, limit int) ([]inbox.Entry, error)
	SignalsTaken(ctx context.Context, place string) error
	Customers(ctx context.Context, ids []string) ([]*care.Facts, error)
	Changed(ctx context.Context, customer string) error
}

// Signals takes what other systems say of customers, by the stream care:signals or by the API: it keeps it in the customer's overlay, as
// long as a message can come of it, and has the customer planned again.
type Signals struct {
	Store  SignalStore
	Events Events
	Book   func() *carebook.Compiled
	Leads  func() bool
	Count  func(result string) // taken, again, or a word of RefusedSignal
	Now    func() time.Time
	Log    *slog.Logger
	Idle   time.Duration
}

// Give takes one signal. It returns false for one that was taken before: the same id of the same name.
func (s *Signals) Give(ctx context.Context, who care.Principal, sig care.Signal) (taken bool, err error) {
	if !shapely(&sig) {
		return false, ErrSignalShape
	}
	planner := s.Book().Planner
	until, known := planner.SignalUntil(sig.Signal, sig.At)
	switch {
	case !known:
		return false, ErrSignalName
	case !until.After(s.Now()):
		return false, ErrSignalOld
	}
	facts, err := s.Store.Customers(ctx, []string{sig.Customer})
	if err != nil {
		return false, err
	}
	c := facts[0].Customer
	if c == nil || !who.Sees(planner.DealerName(c)) {
		return false, ErrSignalCustomer
	}
	sig.Until = until
	err = s.Store.UpdateOverlay(ctx, sig.Customer, func(o *care.Overlay) error {
		taken = false
		if o.Erased {
			return ErrSignalCustomer
		}
		o.EndSignals(s.Now())
		if slices.ContainsFunc(o.Signals, func(old care.Signal) bool { return old.Signal == sig.Signal && old.ID == sig.ID }) {
			return nil
		}
		if len(o.Signals) >= signalsMost {
			return ErrSignalMany
		}
		o.Signals, taken = append(o.Signals, sig), true
		return nil
	})
	if err != nil {
		return false, err
	}
	// Also for one that is there already: the process may have died before it said so.
	if err := s.Store.Changed(ctx, sig.Customer); err != nil || !taken {
		return false, err
	}
	return true, s.Events.Add(ctx, care.EventEntry{
		At: s.Now(), ID: sig.ID, Customer: sig.Customer, Dealer: planner.DealerName(c), Vehicle: sig.Vehicle, Kind: KindSignal, Value: sig.Signal,
	})
}

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// shapely reports whether a signal is what ErrSignalShape asks for.
func shapely(sig *care.Signal) bool {
	if !care.ValidID(sig.Signal) || !care.ValidID(sig.Customer) || !care.ValidID(sig.ID) || sig.Vehicle != "" && !care.ValidID(sig.Vehicle) || len(sig.Fields) > signalFields {
		return false
	}
	for name, value := range sig.Fields {
		if !fieldName.MatchString(name) || !utf8.ValidString(value) || utf8.RuneCountInString(value) > signalValue {
			return false
		}
	}
	return true
}

// signalOf reads an entry of the stream. Its id is the key that the writer gave, else the entry's own.
func signalOf(e *inbox.Entry) care.Signal {
	sig := care.Signal{ID: e.ID, Signal: e.Fields["signal"], Customer: e.Fields["customer"], Vehicle: e.Fields["vehicle"], At: e.At, Fields: map[string]string{}}
	for name, value := range e.Fields {
		switch name {
		case "signal", "customer", "vehicle":
		case "key":
			sig.ID = value
		default:
			sig.Fields[name] = value
		}
	}
	return sig
}

// Run takes what stands in the stream whenever this replica leads, until ctx ends.
func (s *Signals) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if !s.Leads() || !s.takeSome(ctx) {
			care.Sleep(ctx, s.Idle)
		}
	}
}

// takeSome takes a batch; false = there is nothing more to take for now.
func (s *Signals) takeSome(ctx context.Context) bool {
	list, err := s.Store.Signals(ctx, signalsAtOnce)
	for i := 0; err == nil && i < len(list); i++ {
		err = s.take(ctx, &list[i])
	}
	if err == nil && len(list) > 0 {
		err = s.Store.SignalsTaken(ctx, list[len(list)-1].ID)
	}
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("signals could not be taken; trying again", slog.Any("error", err))
	}
	return err == nil && len(list) > 0
}

// take takes one from the stream. What can never be taken is reported; an error means: again.
func (s *Signals) take(ctx context.Context, e *inbox.Entry) error {
	sig := signalOf(e)
	taken, err := s.Give(ctx, care.Principal{Name: "care:signals"}, sig)
	why := RefusedSignal(err)
	switch {
	case err == nil && taken:
		s.Count("taken")
		return nil
	case err == nil:
		s.Count("again")
		return nil
	case why == "":
		return err
	}
	s.Count(why)
	s.Log.Warn("a signal was not taken", slog.String("entry", e.ID), slog.String("reason", why), slog.Any("error", err))
	name := sig.Signal
	if !care.ValidID(name) {
		name = ""
	}
	return s.Events.Add(ctx, care.EventEntry{At: s.Now(), ID: e.ID, Kind: KindSignalRefused, Reason: why, Value: name})
}
