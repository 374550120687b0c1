package codec

import (
	"time"

	"github.com/carebell/carebell/care"
)

// EventFields are the names of an entry's fields, in the order in which they are written; the first four are always there.
var EventFields = [...]any{"at", "id", "customer", "dealer", "vehicle", "program", "step", "channel", "state", "reason", "kind", "value", "by"}

// AppendEvent appends an entry's names and values.
func AppendEvent(words []any, e *care.EventEntry) []any {
	for i, v := range [len(EventFields)]string{
		e.At.UTC().Format(time.RFC3339Nano), e.ID, e.Customer, e.Dealer, e.Vehicle, e.Program, e.Step, string(e.Channel), string(e.State), e.Reason,
		e.Kind, e.Value, e.By,
	} {
		if i < 4 || v != "" {
			words = append(words, EventFields[i], v)
		}
	}
	return words
}

// Event reads an entry of care:events. What it lacks stays empty.
func Event(values map[string]any) care.EventEntry {
	get := func(name string) string {
		s, _ := values[name].(string)
		return s
	}
	at, _ := time.Parse(time.RFC3339Nano, get("at"))
	return care.EventEntry{
		At: at, ID: get("id"), Customer: get("customer"), Dealer: get("dealer"), Vehicle: get("vehicle"), Program: get("program"),
		Step: get("step"), Channel: care.Channel(get("channel")), State: care.State(get("state")), Reason: get("reason"),
		Kind: get("kind"), Value: get("value"), By: get("by"),
	}
}
