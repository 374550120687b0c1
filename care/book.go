package care

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care/problem"
)

// Book is a care book as it was read: dealers, programs, events and bulletins. It is never changed after it was checked. Templates
// and gateway files are read from Files by the packages that own them.
type Book struct {
	Dealers   []*Dealer
	Programs  []*Program // by priority descending, then name
	Events    []*Event
	Bulletins []*Bulletin
	Files     fs.FS  // the book's folder
	Version   string // hash of every file, hex
	Default   bool   // the book the binary carries: its dealer sends nothing
	// Locate finds where a value stands: file below the book, YAML path such as $.steps[1].offset.
	Locate func(file, path string) (line, column int, excerpt string) `json:"-"`
	// Decode reads the files that others than config own.
	Decode FileDecoder `json:"-"`
}

// FileDecoder reads a file of YAML into a pointer, which keeps what the file leaves out. It returns all faults at once, and a function
// that says where the value at a YAML path stands. Package config/yaml has one; packages that must not import it are handed it.
type FileDecoder func(file string, text []byte, into any) (locate func(path string) (line, column int, excerpt string), problems []problem.Problem)

// Dealer returns the dealer with this id; with one dealer in the book, "" names it. nil if there is none.
func (b *Book) Dealer(id string) *Dealer {
	if id == "" && len(b.Dealers) == 1 {
		return b.Dealers[0]
	}
	for _, d := range b.Dealers {
		if d.Dealer == id {
			return d
		}
	}
	return nil
}

// Program returns the program with this name, or nil.
func (b *Book) Program(name string) *Program {
	for _, p := range b.Programs {
		if p.Program == name {
			return p
		}
	}
	return nil
}

// Dealer is a store (4S 店) with its profile, advisors and senders.
type Dealer struct {
	Dealer          string             `yaml:"dealer"`
	Name            Text               `yaml:"name"`
	TimeZone        string             `yaml:"time_zone"`
	Locale          string             `yaml:"locale"`
	Country         string             `yaml:"country"` // ISO 3166-1 alpha-2
	Phone           string             `yaml:"phone"`
	Address         Text               `yaml:"address"`
	Hours           Text               `yaml:"hours"`
	BookingURL      string             `yaml:"booking_url"`
	SMSSignature    Text               `yaml:"sms_signature"`
	From            Sender             `yaml:"from"`
	QuietHours      map[string]Window  `yaml:"quiet_hours"` // by class, or "default"
	Caps            map[string]Cap     `yaml:"caps"`        // by grade, or "default"
	ConsentDefault  Consent            `yaml:"consent_default"`
	LeapDay         string             `yaml:"leap_day"` // feb28 or mar1
	Units           string             `yaml:"units"`    // of distances that people read and write: km or mi; "" = by the country
	DefaultKMPerDay float64            `yaml:"default_km_per_day"`
	Intervals       []IntervalRule     `yaml:"intervals"`
	Advisors        []Advisor          `yaml:"advisors"`
	MakeAliases     map[string]string  `yaml:"make_aliases"` // 别克 → Buick
	VisitKinds      map[string]string  `yaml:"visit_kinds"`  // the workshop's own words for what a visit was for: 大保养套餐 → maintenance
	DateFormat      string             `yaml:"date_format"`  // DMY, MDY or YMD, of files; "" = dates that can be read two ways are refused
	Webhook         string             `yaml:"webhook"`      // an endpoint of the dealer's own; else CARE_WEBHOOK_URL
	Prices          map[string]float64 `yaml:"prices"`       // per SMS part or mail, for forecasts
	Currency        string             `yaml:"currency"`
}

// Sender is a name and an address that messages come from.
type Sender struct {
	Name  Text   `yaml:"name"`
	Email string `yaml:"email"`
}

// Cap limits messages of all classes but safety in 168 hours. A nil PerWeek is no limit.
type Cap struct {
	PerWeek *int `yaml:"per_week"`
}

// IntervalRule gives the service intervals of a make, a model and a powertrain; "*" matches any make and model, no powertrain matches
// all. The first that matches counts.
type IntervalRule struct {
	Make            string     `yaml:"make"`
	Model           string     `yaml:"model"`
	Powertrain      Powertrain `yaml:"powertrain"`
	ServiceInterval Interval   `yaml:"service_interval"`
	FirstService    Interval   `yaml:"first_service"`
}

// Advisor is a service advisor; messages are signed by the customer's own.
type Advisor struct {
	Advisor string `yaml:"advisor"`
	Name    Text   `yaml:"name"`
	Phone   string `yaml:"phone"`
	Email   string `yaml:"email"`
	Left    bool   `yaml:"left"`
	StandIn string `yaml:"stand_in"`
}

// Called reports whether this is the advisor's id, or the name in one of the languages.
func (a *Advisor) Called(id string) bool {
	return a.Advisor == id || slices.Contains(slices.Collect(maps.Values(a.Name)), id)
}

// AdvisorFor returns the advisor with this id or name or, when they left, whoever stands in; nil if there is none.
func (d *Dealer) AdvisorFor(id string) *Advisor {
	for range len(d.Advisors) {
		var found *Advisor
		for i := range d.Advisors {
			if a := &d.Advisors[i]; a.Called(id) {
				found = a
				break
			}
		}
		if found == nil || !found.Left {
			return found
		}
		id = found.StandIn
	}
	return nil
}

// SameMake reports whether the two names mean one make, by letter case and the dealer's aliases.
func (d *Dealer) SameMake(a, b string) bool {
	return a == b || strings.EqualFold(d.canonicalMake(a), d.canonicalMake(b))
}

// Covers reports whether a rule for a make and a model is about a car; "" and "*" match any.
func (d *Dealer) Covers(vehicleMake, model string, v *Vehicle) bool {
	return (vehicleMake == "" || vehicleMake == "*" || d.SameMake(vehicleMake, v.Make)) &&
		(model == "" || model == "*" || strings.EqualFold(model, v.Model))
}

func (d *Dealer) canonicalMake(m string) string {
	if to, ok := d.MakeAliases[m]; ok {
		return to
	}
	return m
}

// Serviced reports whether a visit was a maintenance, by the dealer's own words too.
func (d *Dealer) Serviced(v *Visit) bool {
	return v.Maintenance() || d.VisitKinds[v.Kind] == "maintenance"
}

// Program is a care programme: trigger + steps + schedule.
type Program struct {
	Program   string             `yaml:"program"`
	Title     Text               `yaml:"title"`
	Enabled   bool               `yaml:"enabled"`
	From      Date               `yaml:"from"`
	Until     Date               `yaml:"until"`
	Class     Class              `yaml:"class"`
	Trigger   Trigger            `yaml:"trigger"`
	Schedule  string             `yaml:"schedule"` // five cron fields on the recipient's clock
	Expires   Expiry             `yaml:"expires"`
	Channels  []string           `yaml:"channels"` // "preferred" or a channel
	Audience  string             `yaml:"audience"` // expr-lang; "" = everyone
	Priority  int                `yaml:"priority"`
	Topic     string             `yaml:"topic"`
	Merge     string             `yaml:"merge"`
	Greeting  bool               `yaml:"greeting"`
	Capacity  Capacity           `yaml:"capacity"`
	Uncertain map[Channel]string `yaml:"uncertain"` // resend or hold, instead of the channel's default
	Steps     []Step             `yaml:"steps"`

	Capped     *bool `yaml:"capped"`      // false = no cap stops its messages and they count for none
	AgainAfter *Days `yaml:"again_after"` // the same step never goes to the same car or customer twice within this time; nil = the trigger's

	File string `yaml:"-"` // path below the book
}

// Capacity limits how many messages a program sends per dealer and local day; 0 = no limit.
type Capacity struct {
	PerDay int `yaml:"per_day"`
}

// The triggers of design A4.
const (
	OnDelivery       = "delivery"
	OnAnniversary    = "delivery_anniversary"
	OnBirthday       = "birthday"
	OnMaintenanceDue = "maintenance_due"
	OnVisit          = "visit"
	OnLastVisit      = "last_visit"
	OnWarrantyEnd    = "warranty_end"
	OnInsuranceEnd   = "insurance_end"
	OnInspectionDue  = "inspection_due"
	OnCalendar       = "calendar"
	OnEvent          = "event"
	OnBulletin       = "bulletin"
	OnAppointment    = "appointment"
	OnHoldEnd        = "hold_end"
	OnSignal         = "signal"
)

// Triggers lists every trigger.
var Triggers = []string{
	OnDelivery, OnAnniversary, OnBirthday, OnMaintenanceDue, OnVisit, OnLastVisit, OnWarrantyEnd, OnInsuranceEnd,
	OnInspectionDue, OnCalendar, OnEvent, OnBulletin, OnAppointment, OnHoldEnd, OnSignal,
}

// Trigger is what a program starts from.
type Trigger struct {
	On        string   `yaml:"on"`
	Dates     []string `yaml:"dates"`      // calendar: YYYY-MM-DD or --MM-DD
	Festival  string   `yaml:"festival"`   // calendar: spring_festival, …
	SolarTerm string   `yaml:"solar_term"` // calendar: 立冬
	Cron      string   `yaml:"cron"`       // calendar: the local dates on which it has an activation
	Event     string   `yaml:"event"`      // event: only this one
	Bulletin  string   `yaml:"bulletin"`   // bulletin: only this one
	Kind      string   `yaml:"kind"`       // event, bulletin: only of this kind
	Missed    bool     `yaml:"missed"`     // appointment: the day after one that no visit followed
	Reason    string   `yaml:"reason"`     // hold_end: of the hold
	Signal    string   `yaml:"signal"`     // signal: its name
}

// PerVehicle reports whether the trigger makes occurrences per vehicle rather than per customer.
func (t Trigger) PerVehicle() bool {
	switch t.On {
	case OnBirthday, OnCalendar, OnEvent, OnHoldEnd, OnSignal:
		return false
	}
	return true
}

// Step is one message of a program.
type Step struct {
	Step     string   `yaml:"step"`
	Offset   Offset   `yaml:"offset"`
	Template string   `yaml:"template"`
	Unless   []string `yaml:"unless"` // "appointment", "visit"
}

// Offset is a step's distance from the trigger's date: ±Nd, ±Nw or ±Nm; ±Nh is one from the trigger's moment, where it has one.
type Offset struct {
	Days, Months, Hours int
}

// ParseOffset reads ±Nd, ±Nw, ±Nm, ±Nh; no sign is plus.
func ParseOffset(s string) (Offset, error) {
	bad := fmt.Errorf("%q is no offset: write -14d, 2w, 6m or -2h", s)
	if len(s) < 2 {
		return Offset{}, bad
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n > 36500 || n < -36500 {
		return Offset{}, bad
	}
	switch s[len(s)-1] {
	case 'h':
		if n >= -1000 && n <= 1000 {
			return Offset{Hours: n}, nil
		}
	case 'd':
		return Offset{Days: n}, nil
	case 'w':
		return Offset{Days: 7 * n}, nil
	case 'm':
		if n >= -1200 && n <= 1200 {
			return Offset{Months: n}, nil
		}
	}
	return Offset{}, bad
}

// From returns the date at this offset from d; months clamp to the month's end.
func (o Offset) From(d Date) Date {
	if o.Months != 0 {
		return d.AddMonths(o.Months)
	}
	return d.AddDays(o.Days)
}

// Length is the length of an offset in hours.
func (o Offset) Length() time.Duration { return time.Duration(o.Hours) * time.Hour }

// String returns "-14d", "6m" or "-2h".
func (o Offset) String() string {
	switch {
	case o.Months != 0:
		return strconv.Itoa(o.Months) + "m"
	case o.Hours != 0:
		return strconv.Itoa(o.Hours) + "h"
	}
	return strconv.Itoa(o.Days) + "d"
}

// UnmarshalText reads an offset of a care book.
func (o *Offset) UnmarshalText(b []byte) (err error) {
	*o, err = ParseOffset(string(b))
	return err
}

// Expiry is how long after its release a message is still worth sending: SameDay lasts to the end of that local date.
type Expiry struct {
	Hours   int
	SameDay bool
}

// ParseExpiry reads 7d, 36h, 2w or same_day.
func ParseExpiry(s string) (Expiry, error) {
	if s == "same_day" {
		return Expiry{SameDay: true}, nil
	}
	bad := fmt.Errorf("%q is no expiry: write 3d, 36h or same_day", s)
	if len(s) < 2 {
		return Expiry{}, bad
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n < 1 || n > 10000 {
		return Expiry{}, bad
	}
	switch s[len(s)-1] {
	case 'h':
		return Expiry{Hours: n}, nil
	case 'd':
		return Expiry{Hours: 24 * n}, nil
	case 'w':
		return Expiry{Hours: 168 * n}, nil
	}
	return Expiry{}, bad
}

// UnmarshalText reads an expiry of a care book.
func (e *Expiry) UnmarshalText(b []byte) (err error) {
	*e, err = ParseExpiry(string(b))
	return err
}

// Days is a time in days, written 30d or 2w; 0d is none.
type Days int

// UnmarshalText reads days of a care book.
func (d *Days) UnmarshalText(b []byte) error {
	o, err := ParseOffset(string(b))
	if err != nil || o.Months != 0 || o.Days < 0 {
		return fmt.Errorf("%q is no time in days: write 30d, 2w, or 0d for none", b)
	}
	*d = Days(o.Days)
	return nil
}

// Event is an owners' event of the book.
type Event struct {
	Event     string   `yaml:"event"`
	Enabled   bool     `yaml:"enabled"`
	Kind      string   `yaml:"kind"`
	Title     Text     `yaml:"title"`
	Dealers   []string `yaml:"dealers"` // none = all
	On        Date     `yaml:"on"`
	StartsAt  string   `yaml:"starts_at"` // local HH:MM
	EndsAt    string   `yaml:"ends_at"`
	Place     Text     `yaml:"place"`
	Address   Text     `yaml:"address"`
	Seats     int      `yaml:"seats"`
	Audience  string   `yaml:"audience"`
	RSVPUntil Date     `yaml:"rsvp_until"`

	File string `yaml:"-"`
}

// Bulletin is a recall, a policy or a how-to, matched by vehicle.
type Bulletin struct {
	Bulletin    string  `yaml:"bulletin"`
	Enabled     bool    `yaml:"enabled"`
	Kind        string  `yaml:"kind"` // recall, policy, how_to
	Title       Text    `yaml:"title"`
	PublishedOn Date    `yaml:"published_on"`
	Repeat      *Days   `yaml:"repeat"` // recall: told again so long after, while it is open; nil = 90d, 0d = never
	Match       []Match `yaml:"match"`  // any of them
	Summary     Text    `yaml:"summary"`
	Risk        Text    `yaml:"risk"`
	Remedy      Text    `yaml:"remedy"`
	DoNotDrive  bool    `yaml:"do_not_drive"`
	ParkOutside bool    `yaml:"park_outside"`
	URL         string  `yaml:"url"`

	File string `yaml:"-"`
}

// Match selects vehicles; every part that is given must fit. ModelYears is [from, to], VIN a range of ids of equal length.
type Match struct {
	Make       string   `yaml:"make"`
	Model      string   `yaml:"model"`
	ModelYears []int    `yaml:"model_years"`
	VIN        VINRange `yaml:"vin"`
}

// VINRange is inclusive at both ends and compared as text.
type VINRange struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}
