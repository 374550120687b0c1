package events

import (
	"context"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store"
)

// NoNumber is said before the script of a call to a customer of whom there is no number.
const NoNumber = "no_number"

// Caller puts due calls on the advisors' list. It is the channel task: a call is sent when it stands there, and what came of it is said
// by whoever closes it. Sent again, the same call stands there once.
type Caller struct {
	Note func(ctx context.Context, entries []care.EventEntry) error
}

// Send puts a call on the list.
func (c Caller) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	task := care.EventEntry{
		At: m.At, ID: m.ID, Customer: m.Customer, Dealer: m.Dealer, Vehicle: m.Vehicle, Program: m.Program, Step: m.Step, Channel: care.Task,
		Kind: care.KindTask, Reason: store.TaskCall, Script: string(m.Text),
	}
	if strings.TrimSpace(m.To) == "" {
		task.Value = NoNumber
	}
	if err := c.Note(ctx, []care.EventEntry{task}); err != nil {
		return care.Receipt{}, &care.Error{Kind: care.KindRetry, Code: "store", Err: err}
	}
	return care.Receipt{ID: m.ID, Channel: care.Task, Gateway: string(care.Task), State: care.StateSent, At: m.At}, nil
}
