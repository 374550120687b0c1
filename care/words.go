package care

import (
	"maps"
	"slices"
	"strings"
)

// Channel is a way to reach a customer (e-mail, SMS), a system (webhook), or an advisor who calls the customer (task).
type Channel string

// The channels.
const (
	Email   Channel = "email"
	SMS     Channel = "sms"
	Webhook Channel = "webhook"
	Task    Channel = "task"
)

// Channels lists every channel, in the order of the queue's lanes.
var Channels = []Channel{Email, SMS, Webhook, Task}

// Known reports whether c is one of the channels.
func (c Channel) Known() bool { return slices.Contains(Channels, c) }

// ToPerson reports whether quiet hours, caps and suppression apply: webhooks go to systems, and of a task a person decides when to call.
func (c Channel) ToPerson() bool { return c != Webhook && c != Task }

// Class is what a program is for; it decides which gates apply and who goes first.
type Class string

// The classes, from the most to the least urgent.
const (
	Safety     Class = "safety"
	Service    Class = "service"
	Care       Class = "care"
	Commercial Class = "commercial"
)

// Classes lists the classes from the most to the least urgent.
var Classes = []Class{Safety, Service, Care, Commercial}

// Rank is 0 for safety up to 3 for commercial; 4 for what is no class.
func (c Class) Rank() int {
	if i := slices.Index(Classes, c); i >= 0 {
		return i
	}
	return len(Classes)
}

// Known reports whether c is one of the classes.
func (c Class) Known() bool { return c.Rank() < len(Classes) }

// State is where a message stands. docs/state-machine.md draws the transitions.
type State string

// The states of a message.
const (
	StateDue         State = "due"
	StateClaimed     State = "claimed"
	StateSending     State = "sending"
	StateSent        State = "sent"
	StateDelivered   State = "delivered"
	StateUndelivered State = "undelivered"
	StateRetry       State = "retry"
	StateFailed      State = "failed"
	StateExpired     State = "expired"
	StateSkipped     State = "skipped"
	StateUncertain   State = "uncertain"
)

// States lists every state.
var States = []State{
	StateDue, StateClaimed, StateSending, StateSent, StateDelivered, StateUndelivered,
	StateRetry, StateFailed, StateExpired, StateSkipped, StateUncertain,
}

// Final reports whether no work is left to do for a message in this state. Uncertain is not final: a receipt or a person
// decides it.
func (s State) Final() bool {
	switch s {
	case StateSent, StateDelivered, StateUndelivered, StateFailed, StateExpired, StateSkipped:
		return true
	}
	return false
}

// Pending reports whether the message is still in the queue.
func (s State) Pending() bool {
	return s == StateDue || s == StateClaimed || s == StateRetry || s == StateSending
}

// Counts reports whether the message counts against a cap: it is on its way to the customer, or may have arrived.
func (s State) Counts() bool {
	switch s {
	case StateSending, StateSent, StateDelivered, StateUndelivered, StateUncertain:
		return true
	}
	return false
}

// Text is a text by locale; the key "" holds one that serves every locale.
type Text map[string]string

// In returns the text for the first of the locales it has, trying each with its fallbacks, then "", then any.
func (t Text) In(locales ...string) string {
	for _, l := range locales {
		for _, f := range LocaleChain(l) {
			if s, ok := t[f]; ok {
				return s
			}
		}
	}
	if s, ok := t[""]; ok {
		return s
	}
	for _, l := range []string{"en", "zh-CN"} {
		if s, ok := t[l]; ok {
			return s
		}
	}
	if len(t) == 0 {
		return ""
	}
	return t[slices.Min(slices.Collect(maps.Keys(t)))]
}

// LocaleChain returns the locale followed by the ones to fall back to: zh-HK → zh-TW → zh-CN → zh; en-GB → en. The dealer's
// locale and en come after it, from whoever knows the dealer.
func LocaleChain(locale string) []string {
	if locale == "" {
		return nil
	}
	chain := []string{locale}
	lower := strings.ToLower(locale)
	switch {
	case lower == "zh-hk" || lower == "zh-mo" || lower == "zh-hant" || lower == "zh-hant-hk":
		chain = append(chain, "zh-TW", "zh-CN", "zh")
	case strings.HasPrefix(lower, "zh"):
		chain = append(chain, "zh-CN", "zh")
	default:
		if i := strings.IndexByte(locale, '-'); i > 0 {
			chain = append(chain, locale[:i])
		}
	}
	return slices.Compact(chain)
}

// ValidID reports whether the id matches ^[A-Za-z0-9._:-]{1,64}$. Braces are forbidden because they would move a Redis key to
// another hash slot.
func ValidID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

// DomainOf returns the domain of an address, as domains are compared: in small letters, without the dot of the root.
func DomainOf(address string) string {
	return strings.ToLower(strings.TrimSuffix(address[strings.LastIndexByte(address, '@')+1:], "."))
}
