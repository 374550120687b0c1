package care

import (
	"slices"
	"time"
)

// AddressState is what is known of a phone number or mailbox, whoever has it: a person's no is carried by the address, so it holds for
// every record that has it, now or later. The address itself is kept as a keyed hash only (contact.Hash).
type AddressState struct {
	Stop   Stop        `json:"stop,omitzero"`    // the last no that came from it
	Grant  Stop        `json:"grant,omitzero"`   // the last yes
	Dead   Suppression `json:"dead,omitzero"`    // nobody is there
	Erased time.Time   `json:"erased,omitzero"`  // when a customer who had it was erased
	Served []string    `json:"served,omitempty"` // who had it too when it was erased, or was allowed since
	Words  []string    `json:"words,omitempty"`  // ids of texts that said stop or start: a repeat changes nothing
}

// AddressHash names an address of a customer.
type AddressHash struct {
	Channel Channel
	Hash    string
}

// tick is how near two moments may be so that the clock does not tell which came first: then the order counts in which they are taken.
const tick = 100 * time.Millisecond

// Refuse takes a no. One that is older than the last word changes nothing.
func (a *AddressState) Refuse(no Stop) {
	if no.At.Before(a.Stop.At.Add(-tick)) || no.At.Before(a.Grant.At.Add(-tick)) {
		return
	}
	if !no.At.After(a.Grant.At) {
		no.At = a.Grant.At.Add(time.Millisecond)
	}
	a.Stop = no
}

// Agree takes a yes, which lifts the no unless it is older.
func (a *AddressState) Agree(yes Stop) {
	if yes.At.Before(a.Stop.At.Add(-tick)) {
		return
	}
	if !yes.At.After(a.Stop.At) {
		yes.At = a.Stop.At.Add(time.Millisecond)
	}
	a.Grant = yes
}

// wordsKept is how many texts that said stop or start are remembered by their ids.
const wordsKept = 100

// Heard reports whether a text with this id was taken before.
func (a *AddressState) Heard(id string) bool { return slices.Contains(a.Words, id) }

// Hear remembers a text that said stop or start.
func (a *AddressState) Hear(id string) {
	if !a.Heard(id) {
		a.Words = append(a.Words, id)
		a.Words = a.Words[max(0, len(a.Words)-wordsKept):]
	}
}

// Stopped reports whether the last word was a no.
func (a *AddressState) Stopped() bool { return !a.Stop.At.IsZero() && !a.Grant.At.After(a.Stop.At) }

// Erase marks the address of an erased customer. Of those whose address it is too, others are served on; a second erasure adds none.
func (a *AddressState) Erase(customer string, others []string, at time.Time) {
	if a.Erased.IsZero() {
		a.Served = others
	}
	a.Erased = at
	a.Served = slices.DeleteFunc(slices.Clone(a.Served), func(id string) bool { return id == customer })
}

// Allow lets a customer be served who has the address of an erased one. It reports whether that changes anything.
func (a *AddressState) Allow(customer string) bool {
	if !a.erasedFor(customer) {
		return false
	}
	a.Served = append(a.Served, customer)
	return true
}

func (a *AddressState) erasedFor(customer string) bool {
	return !a.Erased.IsZero() && !slices.Contains(a.Served, customer)
}

// Learn adds to the facts what is known of one of the customer's addresses: its last word, unless the customer's own is newer, whether
// it is dead, and whether it is an erased customer's. The overlay is copied: what is kept of the customer stays as it is.
func (f *Facts) Learn(at AddressHash, a *AddressState) {
	if a.erasedFor(f.ID) {
		f.AddressErased = true
	}
	o := new(Overlay)
	if f.Overlay != nil {
		*o = *f.Overlay
	}
	if scope := string(at.Channel); a.Stopped() {
		o.Stops = newer(o.Stops, scope, a.Stop)
	} else if _, own := o.Stops[scope]; own {
		o.Grants = newer(o.Grants, scope, a.Grant)
	}
	if !a.Dead.At.IsZero() && !o.Dead(at) {
		dead := a.Dead
		dead.Channel, dead.Hash = at.Channel, at.Hash
		o.Suppressed = append(slices.Clone(o.Suppressed), dead)
	}
	if f.Overlay != nil || len(o.Stops)+len(o.Suppressed) > 0 {
		f.Overlay = o
	}
}

// newer returns the words with one more, unless there is a later one of its scope.
func newer(words map[string]Stop, scope string, word Stop) map[string]Stop {
	if word.At.IsZero() || !word.At.After(words[scope].At) {
		return words
	}
	out := map[string]Stop{scope: word}
	for s, w := range words {
		if s != scope {
			out[s] = w
		}
	}
	return out
}

// Dead reports whether the address is known to be dead, or not the customer's.
func (o *Overlay) Dead(at AddressHash) bool {
	return o != nil && slices.ContainsFunc(o.Suppressed, func(s Suppression) bool { return s.Channel == at.Channel && s.Hash == at.Hash })
}
