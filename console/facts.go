package console

import (
	"context"
	"time"

	"github.com/carebell/carebell/care"
)

// Overlays is where customers' answers are kept.
type Overlays interface {
	UpdateOverlay(ctx context.Context, customer string, change func(*care.Overlay) error) error
}

// Events is where it is told what customers said: care:events, the customer's timeline, the advisor's webhook.
type Events interface {
	Add(ctx context.Context, entry care.EventEntry) error
}

// The kinds of entry that this package adds. A task is for a person: Reason says why, Value what the customer said.
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

// Facts finds what a page is about. The occurrence is "" if the link belongs to no message. The error is care.ErrGone for a
// customer that was deleted or erased; any other error means: ask again later. What is not known any more (a message's record
// ends before its link does) is left out.
type Facts interface {
	Lookup(ctx context.Context, customer, occurrence string) (PageFacts, error)
}

// PageFacts is what a customer's page needs to know. It is never shown as a whole.
type PageFacts struct {
	Locale      string // the customer's, else the dealer's
	DealerID    string
	Dealer      string // name in Locale
	DealerPhone string // E.164; "" = none
	Advisor     string // name of who looks after the customer; "" = nobody
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
func (f *PageFacts) location() *time.Location {
	if f.Location == nil {
		return time.UTC
	}
	return f.Location
}

func (f *PageFacts) today(now time.Time) care.Date { return care.DateOf(now.In(f.location())) }

// overlay is never nil.
func (f *PageFacts) overlay() *care.Overlay {
	if f.Overlay == nil {
		return &care.Overlay{}
	}
	return f.Overlay
}

// cars are the vehicles a page may speak of: the message's own, else all.
func (f *PageFacts) cars() []care.Vehicle {
	if f.Vehicle != nil {
		return []care.Vehicle{*f.Vehicle}
	}
	return f.Vehicles
}

// readings are all that is known of a vehicle's mileage.
func (f *PageFacts) readings(v *care.Vehicle) []care.Reading {
	out := append([]care.Reading(nil), v.Odometer...)
	for _, visit := range v.Visits {
		if visit.KM != nil && !visit.ClosedOn.IsZero() {
			out = append(out, care.Reading{On: visit.ClosedOn, KM: *visit.KM})
		}
	}
	for _, r := range f.overlay().Readings {
		if r.Vehicle == v.ID {
			out = append(out, care.Reading{On: r.On, KM: r.KM})
		}
	}
	return out
}
