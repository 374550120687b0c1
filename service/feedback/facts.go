package feedback

import (
	"context"
	"time"

	"github.com/carebell/carebell/care"
)

// Overlays is where customers' answers are kept.
type Overlays interface {
	UpdateOverlay(ctx context.Context, customer string, change func(*care.Overlay) error) error
}

// Addresses is where it is kept what is known of addresses, by their keyed hashes.
type Addresses interface {
	UpdateAddress(ctx context.Context, hash string, change func(*care.AddressState)) error
	// Address returns what is known of one; it is never nil.
	Address(ctx context.Context, hash string) (*care.AddressState, error)
}

// Events is where it is told what customers said: care:events, the customer's timeline, the advisor's webhook.
type Events interface {
	Add(ctx context.Context, entry care.EventEntry) error
}

// The kinds of entry that feedback adds. A task is for a person: Reason says why, Value what the customer said.
const (
	KindSurvey      = "survey"
	KindRSVP        = "rsvp"
	KindOdometer    = "odometer"
	KindSold        = "sold"
	KindNotMe       = "not_me"
	KindOptOut      = "opt_out"
	KindOptIn       = "opt_in"
	KindPreferences = "preferences"
	KindReply       = "reply"
	KindTask        = care.KindTask
)

// Facts finds what feedback is about. The occurrence is "" if the link belongs to no message. The error is care.ErrGone for a
// customer that was deleted or erased; any other error means: ask again later. What is not known any more (a message's record
// ends before its link does) is left out.
type Facts interface {
	Lookup(ctx context.Context, customer, occurrence string) (CustomerFacts, error)
}

// CustomerFacts is what feedback and the customers' pages need to know of a customer. It is never shown as a whole.
type CustomerFacts struct {
	Locale      string // the customer's, else the dealer's
	DealerID    string
	Dealer      string // name in Locale
	DealerPhone string // E.164; "" = none
	Advisor     string // name of who looks after the customer; "" = nobody
	Miles       bool   // distances are shown and read in miles
	Location    *time.Location
	DealerZone  *time.Location // in which an event's hours are meant

	Program, Step string // of the message
	Vehicle       *care.Vehicle
	// Vehicles are all that the record does not call sold; what the customer said is in the overlay.
	Vehicles []care.Vehicle
	Event    *care.Event
	// EventRevision rises whenever the event's file changes, such as its time of change in minutes since 2020: the SEQUENCE of
	// the calendar file. 0 if it is not known.
	EventRevision int

	Topics         []TopicChoice  // what the customer can switch off, safety aside
	Reachable      []care.Channel // where the customer has a valid address
	Consent        map[care.Channel]care.Consent
	ConsentDefault care.Consent
	Preferences    care.Preferences // of the record
	Overlay        *care.Overlay    // nil = nothing yet

	// AddressHash is the keyed hash of the customer's present address by channel, for addresses that turn out to be dead or
	// somebody else's.
	AddressHash map[care.Channel]string
}

// TopicChoice is a topic of the book that the customer can switch off.
type TopicChoice struct {
	Topic string
	Title string // in the customer's locale
}

// location is the customer's zone.
func (f *CustomerFacts) location() *time.Location {
	if f.Location == nil {
		return time.UTC
	}
	return f.Location
}

// Today is the date where the customer is.
func (f *CustomerFacts) Today(now time.Time) care.Date { return care.DateOf(now.In(f.location())) }

// EventZone is the zone in which an event's hours are meant.
func (f *CustomerFacts) EventZone() *time.Location {
	if f.DealerZone == nil {
		return time.UTC
	}
	return f.DealerZone
}

// Said is what the customer has said so far; it is never nil.
func (f *CustomerFacts) Said() *care.Overlay {
	if f.Overlay == nil {
		return &care.Overlay{}
	}
	return f.Overlay
}

// Cars are the vehicles a page may speak of: the message's own, else all.
func (f *CustomerFacts) Cars() []care.Vehicle {
	if f.Vehicle != nil {
		return []care.Vehicle{*f.Vehicle}
	}
	return f.Vehicles
}

// readings are all that is known of a vehicle's mileage.
func (f *CustomerFacts) readings(v *care.Vehicle) []care.Reading {
	out := append([]care.Reading(nil), v.Odometer...)
	for _, visit := range v.Visits {
		if visit.KM != nil && !visit.ClosedOn.IsZero() {
			out = append(out, care.Reading{On: visit.ClosedOn, KM: *visit.KM})
		}
	}
	for _, r := range f.Said().Readings {
		if r.Vehicle == v.ID {
			out = append(out, care.Reading{On: r.On, KM: r.KM})
		}
	}
	return out
}
