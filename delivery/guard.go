package delivery

import (
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// A guard watches one gateway for a refusal that is about us and that nobody knows as such: the same permanent code for guardMost
// different recipients in a row, none accepted between. Until that is known, a message that was refused is not failed: it waits, as a
// retry, for an acceptance through the gateway or another code, which show that the refusal was about the message alone. With the last
// of guardMost the gateway is doubted: all that wait go again when a person has resumed the channel.
//
// A gateway that refuses one message and is asked for no other tells nothing more: so a message waits a few seconds when it is the first,
// and longer the more were refused before it. What waits is in Redis as a retry; the guard only remembers how each would end. A process
// that forgets it sends the message again.
type guard struct {
	mu         sync.Mutex
	code       string
	recipients map[string]bool // who was refused with the code, in a row
	held       map[string]*heldResult
}

// heldResult is how a message ends if its refusal was about it alone.
type heldResult struct {
	result  care.Result
	until   time.Time // then that is decided
	decided bool
}

const (
	guardMost = 10
	guardLook = time.Second // until a message that waits is looked at again
)

// guardWaits is how long a refusal waits for what comes after it, by how many were refused so in a row.
var guardWaits = [...]time.Duration{0, 2 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}

// Refused is the reason of a message that waits because its gateway may refuse all alike.
const Refused = "refused"

// accepted is told that the gateway took a message: what was refused before was refused for itself.
func (g *guard) accepted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.code != "" {
		g.decide()
	}
}

// decide ends the row. The caller holds mu.
func (g *guard) decide() {
	for _, h := range g.held {
		h.decided = true
	}
	g.code = ""
	clear(g.recipients)
}

// forget has all that wait go again: the gateway wants nothing from us just now.
func (g *guard) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.held)
	clear(g.recipients)
	g.code = ""
}

// refused takes how a message would end after a permanent refusal, and says what to do instead: the record that waits and when it is due
// again, or that the gateway is doubted.
func (g *guard) refused(now time.Time, code, to string, end care.Result) (waits care.Result, doubted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		g.held, g.recipients = map[string]*heldResult{}, map[string]bool{}
	}
	if code != g.code {
		g.decide()
		g.code = code
	}
	g.recipients[to] = true
	waits = end
	waits.Record.State, waits.Record.Reason, waits.Record.Channel = care.StateRetry, Refused, end.Claim.Record.Channel
	waits.Record.Tried = end.Claim.Record.Tried
	waits.Next, waits.Suppress, waits.Stop, waits.Address = now.Add(guardLook), nil, "", ""
	if len(g.recipients) >= guardMost {
		clear(g.held) // they go again, and so does this one
		g.decide()
		return waits, true
	}
	g.held[end.Record.ID] = &heldResult{result: end, until: now.Add(guardWaits[min(len(g.recipients), len(guardWaits)-1)])}
	return waits, false
}

// look says how a message ends that was refused: its result, once that is decided; that it waits on; or that nothing is known of it, so
// that it goes again.
func (g *guard) look(now time.Time, id string) (end *care.Result, waits bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.held[id]
	switch {
	case h == nil:
		return nil, false
	case !h.decided && now.Before(h.until):
		return nil, true
	}
	delete(g.held, id)
	return &h.result, false
}
