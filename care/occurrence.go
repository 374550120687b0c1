package care

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// Shards is the number of shards that the daemon's state is split into, by customer.
const Shards = 16

// Shard returns the shard of a customer, 0 to 15: the first byte of SHA-256(customer id) mod 16.
func Shard(customer string) int {
	h := sha256.Sum256([]byte(customer))
	return int(h[0]) % Shards
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// OccurrenceID returns the id of an occurrence: the shard's letter a to p, then the first 25 characters of lower-case RFC 4648
// base32 of SHA-256 over the five words joined by NUL (vehicle empty for customer triggers). It never changes: a message's id on
// the wire, in the ledger and in the queue is made of it.
func OccurrenceID(customer, vehicle, program, step, cycle string) string {
	var buf [256]byte
	b := append(buf[:0], customer...)
	for _, s := range [...]string{vehicle, program, step, cycle} {
		b = append(b, 0)
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	var out [53]byte
	out[0] = 'a' + byte(Shard(customer))
	lowerBase32.Encode(out[1:], sum[:])
	return string(out[:26])
}

// ShardOf returns the shard that an occurrence's id names, or -1 if the id is none.
func ShardOf(id string) int {
	if len(id) != 26 || id[0] < 'a' || id[0] > 'p' {
		return -1
	}
	return int(id[0] - 'a')
}

// Verdict is what the plan says of an occurrence.
type Verdict string

// The verdicts. A message that is put off is Send at its moved release.
const (
	Send Verdict = "send"
	Skip Verdict = "skip"
)

// Occurrence is one (customer, vehicle, program, step, cycle) with what the plan says of it.
type Occurrence struct {
	ID       string
	Customer string
	Dealer   string
	Vehicle  string // "" for customer triggers
	Program  string
	Step     string
	Cycle    string
	On       Date // the step's date
	Due      Date // the trigger's date: due.on

	Class    Class
	Topic    string
	Template string
	Priority int

	Scheduled time.Time // release before quiet hours; what Expires counts from
	Release   time.Time // the moment after quiet hours and whatever else put it off
	Expires   time.Time

	Channel  Channel   // the first that passes every gate
	Channels []Channel // all that pass, in order: the fallbacks after a definite failure
	Held     []Channel // those that are held back for now and pass every other gate
	Verdict  Verdict
	Reason   string // the gate that stopped it (Skip) or put it off (Send), "" if none did
	Over     bool   // with Skip: it will never go; else it is asked again by each sweep until it expires
	Expired  bool   // with Over: because its time is over; Reason then says what held it back, or expired

	Kin []string // customers whose messages were planned together with this one

	// What the message is about; the planner fills it and nothing stores it.
	Subject Subject
	// The gates' answers in order, only when they were asked for.
	Gates []GateAnswer
}

// Key names an occurrence among those of its customer: program, vehicle, step and cycle. The cycle comes last, because it may hold blanks.
func (o *Occurrence) Key() string { return o.Program + " " + o.Vehicle + " " + o.Step + " " + o.Cycle }

// EntryOfKey returns the id of the customer's occurrence with this key, and a ledger entry with its words. A text without blanks is an id
// already: that is how such keys were written once.
func EntryOfKey(customer, key string) (id string, e LedgerEntry) {
	words := strings.SplitN(key, " ", 4)
	if len(words) < 4 {
		return key, e
	}
	e.Program, e.Vehicle, e.Step, e.Cycle = words[0], words[1], words[2], words[3]
	return OccurrenceID(customer, e.Vehicle, e.Program, e.Step, e.Cycle), e
}

// Shown is a state as people read it: what a pause let expire says so.
func Shown(state State, reason string) string {
	if state == StateExpired && reason == ReasonPaused {
		return "expired (paused)"
	}
	return string(state)
}

// ReasonPaused is the reason of what an operator, or a provider's word that a person must act, has stopped for now.
const ReasonPaused = "paused"

// Ends returns the state of a message that never goes.
func (o *Occurrence) Ends() State {
	if o.Expired || o.Reason == "expired" {
		return StateExpired
	}
	return StateSkipped
}

// Subject is what an occurrence is about.
type Subject struct {
	Vehicle  *Vehicle
	Visit    *Visit
	Event    *Event
	Bulletin *Bulletin
	Signal   *Signal
	Forecast *Forecast
	Also     []*Occurrence // dues merged into this message, each with its own Subject
}

// GateAnswer is one gate's answer, for explain.
type GateAnswer struct {
	Gate    string  `json:"gate"`
	Channel Channel `json:"channel,omitempty"` // "" = the gate is not about a channel
	Pass    bool    `json:"pass"`
	Reason  string  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// Forecast says when a vehicle's maintenance is due and why.
type Forecast struct {
	Rate       float64 `json:"km_per_day"`
	Due        Date    `json:"due"`
	DateRuleOn Date    `json:"date_rule_on,omitzero"`
	KMRuleOn   Date    `json:"km_rule_on,omitzero"`
	Winner     string  `json:"winner"` // date or km
	Readings   int     `json:"readings"`
	Low        Date    `json:"low,omitzero"`  // 10 % of the slopes: the earliest likely date
	High       Date    `json:"high,omitzero"` // 90 %
	Baseline   Date    `json:"baseline"`      // the service or delivery it counts from
	Newest     Date    `json:"newest,omitzero"`
	Stale      bool    `json:"stale"` // the newest reading is older than 180 days
	Dropped    int     `json:"dropped,omitempty"`
}
