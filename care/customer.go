package care

import (
	"encoding/json"
	"errors"
	"time"
)

// Customer is the record at care:customer:<id>, written by the dealership's systems. carebell never changes it;
// care/record reads it.
type Customer struct {
	ID          string              `json:"id"`
	Dealer      string              `json:"dealer,omitempty"`
	Name        string              `json:"name,omitempty"`
	Salutation  string              `json:"salutation,omitempty"`
	Email       string              `json:"email,omitempty"`
	Phone       string              `json:"phone,omitempty"` // E.164, or a national number of the dealer's country
	Locale      string              `json:"locale,omitempty"`
	TimeZone    string              `json:"time_zone,omitempty"` // IANA name
	Birthday    Birthday            `json:"birthday,omitzero"`
	Grade       string              `json:"grade,omitempty"`
	Advisor     string              `json:"advisor,omitempty"`
	Household   string              `json:"household,omitempty"`
	Tags        []string            `json:"tags,omitempty"`
	Preferences Preferences         `json:"preferences,omitzero"`
	Consent     map[Channel]Consent `json:"consent,omitempty"`
	Holds       []Hold              `json:"holds,omitempty"`
	Vehicles    []Vehicle           `json:"vehicles,omitempty"`

	// Closed is set by care/record when consent, preferences, holds or sold_on could not be read: only safety goes.
	Closed bool `json:"-"`
}

// Preferences are the customer's own wishes.
type Preferences struct {
	Channels   []Channel `json:"channels,omitempty"`     // in the order the customer likes them
	MaxPerWeek *int      `json:"max_per_week,omitempty"` // 0 = nothing at all
	Quiet      Window    `json:"quiet,omitzero"`         // "21:00-09:00" on the customer's clock
	Off        []string  `json:"off,omitempty"`          // programs, topics or classes
}

// Consent is what a customer allowed on one channel. A nil answer was never asked: the dealer's default decides.
type Consent struct {
	Service    *bool  `json:"service,omitempty"`
	Care       *bool  `json:"care,omitempty"` // follows service unless it is set
	Commercial *bool  `json:"commercial,omitempty"`
	Source     string `json:"source,omitempty"`
	Wording    string `json:"wording,omitempty"` // version of the words the customer agreed to
	At         Date   `json:"at,omitzero"`
}

// For returns the answer for a class: care follows service unless it is set; nil was never asked.
func (c Consent) For(class Class) *bool {
	switch class {
	case Commercial:
		return c.Commercial
	case Care:
		if c.Care != nil {
			return c.Care
		}
	}
	return c.Service
}

// Hold stops all but safety from Since to Until, both inclusive, in the customer's zone; no date = open.
type Hold struct {
	Reason string `json:"reason"`
	Since  Date   `json:"since,omitzero"`
	Until  Date   `json:"until,omitzero"`
}

// Deceased is the one hold that stops safety too.
const Deceased = "deceased"

// Gone is the hold of customers who are missing from a full export; an import that has them again lifts it.
const Gone = "gone"

// Covers reports whether the hold is in force on the date.
func (h Hold) Covers(on Date) bool {
	return (h.Since.IsZero() || !on.Before(h.Since)) && (h.Until.IsZero() || !on.After(h.Until))
}

// Vehicle is one car of a customer. Its id is usually the VIN.
type Vehicle struct {
	ID          string     `json:"id"`
	Plate       string     `json:"plate,omitempty"`
	Make        string     `json:"make,omitempty"`
	Model       string     `json:"model,omitempty"`
	ModelYear   int        `json:"model_year,omitempty"`
	Powertrain  Powertrain `json:"powertrain,omitempty"` // one of Powertrains
	DeliveredOn Date       `json:"delivered_on,omitzero"`

	OdometerAtDelivery int `json:"odometer_at_delivery,omitempty"` // km of a used car at its handover

	Odometer        []Reading `json:"odometer,omitempty"`
	Visits          []Visit   `json:"visits,omitempty"`
	ServiceInterval Interval  `json:"service_interval,omitzero"`
	FirstService    Interval  `json:"first_service,omitzero"`
	Warranty        Warranty  `json:"warranty,omitzero"`
	InsuranceUntil  Date      `json:"insurance_until,omitzero"`
	InspectionDue   Date      `json:"inspection_due,omitzero"`
	AppointmentAt   time.Time `json:"appointment_at,omitzero"`
	SoldOn          Date      `json:"sold_on,omitzero"`
	CampaignsDone   []string  `json:"campaigns_done,omitempty"` // bulletins that this car has had
}

// UsedAbove is the mileage at its handover above which a car is not new.
const UsedAbove = 1000

// Powertrain is what drives a car.
type Powertrain string

// Powertrains lists every one.
var Powertrains = []Powertrain{"petrol", "diesel", "hybrid", "phev", "ev"}

// Reading is what the odometer showed on a date.
type Reading struct {
	On Date `json:"on"`
	KM int  `json:"km"`
}

// Visit is a closed repair order.
type Visit struct {
	Order      string   `json:"order,omitempty"`
	ClosedOn   Date     `json:"closed_on,omitzero"`
	KM         *int     `json:"km,omitempty"`
	Kind       string   `json:"kind,omitempty"` // without one: a maintenance
	Technician string   `json:"technician,omitempty"`
	Declined   []string `json:"declined,omitempty"` // work the customer put off
}

// Maintenance reports whether the visit was a service: a visit without kind is one.
func (v Visit) Maintenance() bool { return v.Kind == "" || v.Kind == "maintenance" }

// Interval is a service interval: whichever comes first. A zero part is not counted.
type Interval struct {
	KM     int `json:"km,omitempty" yaml:"km"`
	Months int `json:"months,omitempty" yaml:"months"`
}

// IsZero reports whether there is no interval.
func (i Interval) IsZero() bool { return i == Interval{} }

// Warranty ends on Until or at KM, whichever comes first.
type Warranty struct {
	Until Date `json:"until,omitzero"`
	KM    int  `json:"km,omitempty"`
}

// Window is a span of the day [From, To) in minutes after midnight; it may wrap around midnight. From == To is no window.
type Window struct {
	From, To int16
}

// ParseWindow reads "21:00-09:00"; "" and "none" are no window.
func ParseWindow(s string) (Window, bool) {
	if s == "" || s == "none" {
		return Window{}, true
	}
	if len(s) != 11 || s[2] != ':' || s[5] != '-' || s[8] != ':' {
		return Window{}, false
	}
	var n [4]int
	for i, at := range []int{0, 3, 6, 9} {
		v, ok := digits(s[at : at+2])
		if !ok {
			return Window{}, false
		}
		n[i] = v
	}
	if n[0] > 23 || n[1] > 59 || n[2] > 24 || n[3] > 59 || n[2] == 24 && n[3] != 0 {
		return Window{}, false
	}
	return Window{From: int16(n[0]*60 + n[1]), To: int16(n[2]*60 + n[3])}, true
}

// IsZero reports whether there is no window.
func (w Window) IsZero() bool { return w.From == w.To }

// Contains reports whether the minute after midnight lies in the window.
func (w Window) Contains(minute int) bool {
	from, to := int(w.From), int(w.To)
	switch {
	case from == to:
		return false
	case from < to:
		return minute >= from && minute < to
	default:
		return minute >= from || minute < to
	}
}

// String returns "21:00-09:00", or "" for no window.
func (w Window) String() string {
	if w.IsZero() {
		return ""
	}
	b := make([]byte, 0, 11)
	clock := func(m int16) {
		b = append(b, byte('0'+m/600), byte('0'+m/60%10), ':', byte('0'+m%60/10), byte('0'+m%10))
	}
	clock(w.From)
	b = append(b, '-')
	clock(w.To)
	return string(b)
}

// MarshalJSON writes the window as a string.
func (w Window) MarshalJSON() ([]byte, error) { return json.Marshal(w.String()) }

// UnmarshalJSON reads what ParseWindow does; null is no window. With an error the window stays as it was.
func (w *Window) UnmarshalJSON(b []byte) error {
	if len(b) == len(`"21:00-09:00"`) && b[0] == '"' { // as it nearly always is, and without an escape
		return w.UnmarshalText(b[1 : len(b)-1])
	}
	var s *string
	if json.Unmarshal(b, &s) != nil {
		return errWindow
	}
	if s == nil {
		*w = Window{}
		return nil
	}
	return w.UnmarshalText([]byte(*s))
}

// UnmarshalText reads a window of a care book, strictly.
func (w *Window) UnmarshalText(b []byte) error {
	v, ok := ParseWindow(string(b))
	if !ok {
		return errWindow
	}
	*w = v
	return nil
}

// Defect is something in a customer record that could not be used.
type Defect struct {
	Path    string `json:"path"` // JSON path, e.g. $.vehicles[1].delivered_on
	Message string `json:"message"`
	Closed  bool   `json:"closed,omitempty"` // only safety goes until it is mended
}

// Why a customer has no record that could be planned.
var (
	ErrNotJSON = errors.New("the record is not a JSON object")
	ErrNoID    = errors.New("the record has no valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -")
	ErrGone    = errors.New("the customer's record is gone") // its key is no longer there: everything still due for it ends
)
