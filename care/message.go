package care

import (
	"regexp"
	"slices"
	"time"
)

// Message is a rendered occurrence on one channel, ready to be handed to a provider.
type Message struct {
	ID       string // the occurrence's
	Channel  Channel
	Customer string
	Dealer   string
	Vehicle  string
	Program  string
	Step     string
	Class    Class
	Topic    string
	Template string
	Locale   string
	Attempt  int       // from 1
	Expires  time.Time // a provider that takes a validity period is told
	At       time.Time // the moment of this attempt

	To      string // address: e-mail, E.164, or endpoint URL ("" = the channel's own)
	ToName  string
	Country string // of the recipient's dealer, ISO 3166-1 alpha-2

	From      Mailbox
	ReplyTo   Mailbox
	Subject   string
	HTML      []byte // complete document
	Text      []byte // text alternative; the text of an SMS (without signature)
	Signature string // SMS signature without brackets

	Gateway     string                     // the gateway that is to try it first, "" = the sender's choice
	Gateways    map[string]GatewayTemplate // SMS: the approved template by gateway
	Unsubscribe string                     // https URL of one-click unsubscribe, "" = none

	Method  string // webhook
	Headers map[string]string
	Body    []byte // JSON

	Attachments []Attachment
}

// GatewayTemplate is the code and parameters of a template that a gateway approved.
type GatewayTemplate struct {
	Template string
	Params   map[string]string
	Order    []string // the parameters' order, for gateways that number them
}

// GatewayRules is what an SMS gateway asks of the templates that it approves.
type GatewayRules struct {
	Plain    bool           // it takes text as it is: a template's code is never asked for
	Code     *regexp.Regexp // what a code looks like; nil = anything
	Numbered bool           // parameters stand in the text as {1}, {2}… in their order; else as ${name}
	Param    *regexp.Regexp // what a parameter is called; nil = anything
	MaxValue int            // characters of a parameter's value that are surely taken; 0 = not known
	NoLinks  bool           // a value that is a link is refused
	MaxText  int            // characters of the whole text; 0 = not known
	Needs    []string       // parameters that every template must have
}

// Mailbox is a display name and an address.
type Mailbox struct{ Name, Address string }

// Attachment is a file that goes with an e-mail; with a ContentID it is shown inline.
type Attachment struct {
	Name, Type, ContentID string
	Data                  []byte
}

// WireID returns the id on the wire: <id>-<channel>.
func (m *Message) WireID() string { return m.ID + "-" + string(m.Channel) }

// Links are the personal links of a message; "" where the public listener is not set up.
type Links struct {
	Unsubscribe, Survey, RSVP, Odometer, Booking string
}

// Receipt is what a provider says of a message, at once or later.
type Receipt struct {
	ID         string  // the occurrence's, "" if only ProviderID is known
	Channel    Channel //
	Gateway    string
	ProviderID string
	State      State // sent, delivered, undelivered, failed
	Kind       Kind  // of a failure
	Code       string
	Parts      int  // SMS parts as the provider counted them
	Tries      int  // requests made, when a safe one was repeated at once
	Reached    bool // one of the earlier tries may have been taken too
	At         time.Time
	// To is the address that a provider reports on, as it writes it; "" = it does not say. It is compared, never kept.
	To string `json:"-"`
}

// Attempt is one try to hand a message to a provider, as it is kept on record.
type Attempt struct {
	N        int           `json:"n"`
	At       time.Time     `json:"at"`
	Channel  Channel       `json:"channel"`
	Gateway  string        `json:"gateway,omitempty"`
	Kind     Kind          `json:"kind,omitempty"` // "" = accepted
	Code     string        `json:"code,omitempty"`
	Took     time.Duration `json:"took"`
	Provider string        `json:"provider_id,omitempty"`
	Said     string        `json:"said,omitempty"` // the provider's own words: short, and without addresses
}

// WentBy reports whether a message may have gone by a gateway of a channel. An attempt whose gateway is not on record may have gone by
// any.
func (r *Record) WentBy(ch Channel, gateway string) bool {
	tried := false
	for _, a := range r.Attempts {
		if a.Channel != ch {
			continue
		}
		if tried = true; a.Gateway == "" || a.Gateway == gateway {
			return true
		}
	}
	return !tried
}

// Record is what is kept of a message, in msg:<day>. Nothing in it is personal but the ids.
type Record struct {
	ID        string    `json:"id"`
	Customer  string    `json:"customer"`
	Dealer    string    `json:"dealer"`
	Vehicle   string    `json:"vehicle,omitempty"`
	Program   string    `json:"program"`
	Step      string    `json:"step"`
	Cycle     string    `json:"cycle"`
	Class     Class     `json:"class"`
	Template  string    `json:"template,omitempty"`
	Locale    string    `json:"locale,omitempty"`
	On        Date      `json:"on"`
	Release   time.Time `json:"release"`
	Expires   time.Time `json:"expires"`
	State     State     `json:"state"`
	Channel   Channel   `json:"channel"`
	Tried     []Channel `json:"tried,omitempty"` // channels that failed for good
	Reason    string    `json:"reason,omitempty"`
	Attempts  []Attempt `json:"attempts,omitempty"`
	Repeats   int       `json:"repeats,omitempty"` // sends after an uncertain outcome
	Crashes   int       `json:"crashes,omitempty"` // claims that ended without a word
	Parts     int       `json:"parts,omitempty"`
	Also      []string  `json:"also,omitempty"`     // keys of the occurrences merged into this one
	Kin       []string  `json:"-"`                  // while it waits: customers with the same address or car, whose messages share its caps
	Reopened  bool      `json:"reopened,omitempty"` // an operator said that it is worth sending until Expires, whatever the plan says
	UpdatedAt time.Time `json:"updated_at"`
	FirstTry  time.Time `json:"first_try,omitzero"`
	Ready     time.Time `json:"ready,omitzero"` // when it could first have gone, if that is after Release: planned late, or held back
}

// Event returns what is told of the record as it is.
func (r *Record) Event() *EventEntry {
	return &EventEntry{
		At: r.UpdatedAt, ID: r.ID, Customer: r.Customer, Dealer: r.Dealer, Vehicle: r.Vehicle, Program: r.Program, Step: r.Step,
		Channel: r.Channel, State: r.State, Reason: r.Reason,
	}
}

// LastWords is what the provider said at the last attempt; "" = nothing.
func (r *Record) LastWords() string {
	if len(r.Attempts) == 0 {
		return ""
	}
	return r.Attempts[len(r.Attempts)-1].Said
}

// MayHaveArrived reports whether any attempt ended without an answer. Then no other channel may be tried, and no end but a yes is
// certain.
func (r *Record) MayHaveArrived() bool {
	return slices.ContainsFunc(r.Attempts, func(a Attempt) bool { return a.Kind == KindUncertain })
}

// Kinds of entries about tasks: a person has something to do about the customer (Reason says what), or has done it.
const (
	KindTask     = "task"
	KindTaskDone = "task_done"
	// KindBrake is of entries that say that the brake holds messages back; Value says how many.
	KindBrake = "brake"
)

// Kinds of entries about an operator's stops: Value is the scope, Reason why, By who; of the daemon's own pause By is empty.
const (
	KindPause  = "pause"
	KindResume = "resume"
)

// EventEntry is one entry of care:events and of the webhook of events.
type EventEntry struct {
	At       time.Time `json:"at"`
	ID       string    `json:"id"`
	Customer string    `json:"customer"`
	Dealer   string    `json:"dealer"`
	Vehicle  string    `json:"vehicle,omitempty"`
	Program  string    `json:"program"`
	Step     string    `json:"step"`
	Channel  Channel   `json:"channel"`
	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Value    string    `json:"value,omitempty"`
	By       string    `json:"by,omitempty"`     // who did it, of what operators do
	Script   string    `json:"script,omitempty"` // of a call: what to say; it is for the advisor alone, and never in care:events
}
