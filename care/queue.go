package care

import "time"

// Lane is one queue of a shard: a channel and whether it holds what matters most (safety and service) or the rest.
type Lane struct {
	Channel Channel
	Urgent  bool
}

// Lanes lists all lanes, of each channel the urgent one first.
var Lanes = []Lane{{Email, true}, {SMS, true}, {Webhook, true}, {Email, false}, {SMS, false}, {Webhook, false}, {Task, true}, {Task, false}}

// LaneOf returns the lane of a message.
func LaneOf(ch Channel, class Class) Lane { return Lane{ch, class == Safety || class == Service} }

// String returns the lane's name in Redis keys and metrics: "email-a" (urgent) or "email-b".
func (l Lane) String() string {
	if l.Urgent {
		return string(l.Channel) + "-a"
	}
	return string(l.Channel) + "-b"
}

// Change is what a customer's new plan changes in the queue. Applying it twice changes nothing the second time.
type Change struct {
	Customer string
	Add      []*Occurrence // Verdict Send and not in the ledger: queue them
	Move     []*Occurrence // still due in the queue, at another release or on another channel
	Drop     []Drop        // still due in the queue, and over
	Skip     []*Occurrence // not in the ledger, and over: recorded as skipped, so that it is not asked again
}

// Empty reports whether there is nothing to apply.
func (c *Change) Empty() bool {
	return len(c.Add) == 0 && len(c.Move) == 0 && len(c.Drop) == 0 && len(c.Skip) == 0
}

// Drop ends an occurrence that is in the queue. Record tells whether it is recorded as skipped (or expired) with the reason, or
// taken back to being asked again by each sweep.
type Drop struct {
	ID     string
	State  State // skipped or expired
	Reason string
}

// Claim is a message that this replica holds until its lease ends. Only the holder of Token may begin, renew or complete it.
type Claim struct {
	Record Record
	Lane   Lane
	// Token is the fencing token: the end of the first lease in µs of Redis' clock, or one more than the last token of the shard if that is
	// larger. Renewals leave it as it is.
	Token int64
	// Until is the end of the first lease on this machine's clock.
	Until time.Time
	// Was is the state the message had: due, retry, claimed (a crash before sending) or uncertain (a crash while sending).
	Was State
	// Day is the UTC day, in days since 1970, under which the store keeps the record.
	Day int
}

// Intent says that a claimed message is about to be sent on the channel that its record names: state sending.
type Intent struct {
	Claim *Claim
	At    time.Time
}

// Result is how a claim ends. Record is written whole; Next is when a message that stays in the queue is due again.
type Result struct {
	Claim  *Claim
	Record Record    // with its new State, Channel, Attempts and Reason
	Next   time.Time // for due and retry
	// Overlay changes that come with the result: a dead address, an opt-out the provider knows of.
	Suppress *Suppression
	Stop     string // scope of an opt-out, "" = none
	Address  string // hash of the address that both are about
	// Event is what is to be published once the result is recorded; whoever completes the claim does that.
	Event *EventEntry
	// Leftover ends the claim and records nothing: the message was over before it was claimed, and only the queue did not know.
	Leftover bool
}

// Draft is everything a message is rendered from.
type Draft struct {
	Occurrence *Occurrence
	Customer   *Customer
	Dealer     *Dealer
	Advisor    *Advisor // nil = none
	Channel    Channel
	Locale     string // the customer's, else the dealer's
	Location   *time.Location
	Links      Links
	Now        time.Time
}
