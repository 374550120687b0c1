package care

import (
	"slices"
	"time"
)

// Overlay is what the daemon knows of a customer beside the record. A stop in it wins over a true in the record until the
// customer opts in again.
type Overlay struct {
	// Stops are the customer's opt-outs by scope: "*", a channel ("sms"), a class or topic ("commercial"), or channel/class
	// ("sms/commercial").
	Stops       map[string]Stop `json:"stops,omitempty"`
	Grants      map[string]Stop `json:"grants,omitempty"` // opt-ins by the same scopes, newer than the stop they lift
	Preferences *Preferences    `json:"preferences,omitempty"`
	Holds       []Hold          `json:"holds,omitempty"`
	Readings    []VehicleFact   `json:"readings,omitempty"` // odometer readings the customer reported
	Sold        []VehicleFact   `json:"sold,omitempty"`     // "I sold this car"
	Answers     []Answer        `json:"answers,omitempty"`
	Suppressed  []Suppression   `json:"suppressed,omitempty"` // dead addresses
	Signals     []Signal        `json:"signals,omitempty"`    // what other systems said, as long as a message can come of it
	Erased      bool            `json:"erased,omitempty"`     // tombstone: never served again
}

// Signal is what another system says of a customer or of one of their cars, such as car_ready. Programs name the signals they listen to.
type Signal struct {
	ID       string            `json:"id"` // the same one is taken once
	Signal   string            `json:"signal"`
	Customer string            `json:"-"`
	Vehicle  string            `json:"vehicle,omitempty"`
	At       time.Time         `json:"at"`
	Fields   map[string]string `json:"fields,omitempty"` // for templates
	Until    time.Time         `json:"until"`            // nothing can come of it any more
}

// EndSignals forgets the signals of which nothing can come any more, and reports whether there were any.
func (o *Overlay) EndSignals(now time.Time) bool {
	n := len(o.Signals)
	o.Signals = slices.DeleteFunc(o.Signals, func(s Signal) bool { return !s.Until.After(now) })
	return len(o.Signals) < n
}

// Stop records that a customer opted out (or, among Grants, in) and how we know.
type Stop struct {
	At      time.Time `json:"at"`
	Source  string    `json:"source"`            // link, one_click, sms, provider, advisor, api
	Wording string    `json:"wording,omitempty"` // version of the page or text
}

// VehicleFact is something the customer said about one vehicle.
type VehicleFact struct {
	Vehicle string    `json:"vehicle"`
	On      Date      `json:"on"`
	KM      int       `json:"km,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// Answer is what a customer answered to a survey or an invitation.
type Answer struct {
	Kind  string    `json:"kind"` // survey, rsvp
	About string    `json:"about"`
	Value string    `json:"value"`
	Text  string    `json:"text,omitempty"`
	At    time.Time `json:"at"`
}

// Suppression is an address that must not be used again. The address itself is kept as a keyed hash only.
type Suppression struct {
	Channel Channel   `json:"channel,omitempty"`
	Hash    string    `json:"hash,omitempty"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// Stopped reports whether the customer opted out of what a message of this channel, class and topic would be: by any scope
// that has not been opted in again.
func (o *Overlay) Stopped(ch Channel, class Class, topic, program string) bool {
	if o == nil || len(o.Stops) == 0 {
		return false
	}
	for _, scope := range []string{
		"*", string(ch), string(class), topic, program,
		string(ch) + "/" + string(class), string(ch) + "/" + topic, string(ch) + "/" + program,
	} {
		stop, ok := o.Stops[scope]
		if !ok {
			continue
		}
		if grant, ok := o.Grants[scope]; ok && grant.At.After(stop.At) {
			continue
		}
		return true
	}
	return false
}

// LedgerEntry is what became of an occurrence.
type LedgerEntry struct {
	State   State
	At      time.Time // release while it is pending, else the moment of the last change
	Class   Class
	Channel Channel
	Program string
	Vehicle string
	Step    string
	Cycle   string
	On      Date // the step's date
	Day     Date // UTC day of the message record's key
	Reason  string
	Merged  string // id of the occurrence this one went with
}

// damagedLedger is the reason of an entry that cannot be read.
const damagedLedger = "damaged_ledger"

// DamagedEntry stands for an entry that cannot be read. It was planned once, and what became of it is lost: serving it again could be
// a repeat in silence.
func DamagedEntry() LedgerEntry { return LedgerEntry{State: StateFailed, Reason: damagedLedger} }

// Damaged reports whether it is not known what became of the occurrence, because the entry could not be read.
func (e *LedgerEntry) Damaged() bool { return e.Reason == damagedLedger }

// Ledger is a customer's occurrences of the last 400 days by id.
type Ledger map[string]LedgerEntry

// Operator is what operators have stopped.
type Operator struct {
	All      bool             `json:"all,omitempty"`
	Programs map[string]bool  `json:"programs,omitempty"`
	Dealers  map[string]bool  `json:"dealers,omitempty"`
	Channels map[Channel]bool `json:"channels,omitempty"`
	Brakes   map[string]bool  `json:"brakes,omitempty"` // "dealer/program": engaged
	Goes     map[string]bool  `json:"goes,omitempty"`   // "dealer/program": an operator said go a short while ago
}

// Paused reports whether the operator stopped this dealer, program or channel, or everything.
func (o *Operator) Paused(dealer, program string, ch Channel) bool {
	return o != nil && (o.All || o.Dealers[dealer] || o.Programs[program] || o.Channels[ch])
}

// Braked reports whether the brake stands for the dealer's program.
func (o *Operator) Braked(dealer, program string) bool {
	return o != nil && len(o.Brakes) > 0 && o.Brakes[dealer+"/"+program]
}

// LetGo reports whether an operator said a short while ago that the dealer's program may send whatever it has.
func (o *Operator) LetGo(dealer, program string) bool {
	return o != nil && len(o.Goes) > 0 && o.Goes[dealer+"/"+program]
}

// Facts is everything the plan of one customer depends on, besides the book and the operator's stops.
type Facts struct {
	ID       string // as in the key, present even when Customer is nil
	Customer *Customer
	Defects  []Defect
	Err      error    // why there is no Customer: ErrNotJSON, ErrNoID, ErrGone
	Overlay  *Overlay // with what is known of the customer's addresses
	Ledger   Ledger

	AddressErased bool // an address is that of somebody who was erased: nothing goes until an operator allows it
	// Others are the customers who share an address or a car with this one, where they are known: what each gets depends on the others.
	Others []*Facts
}
