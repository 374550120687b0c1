package operate

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

// Status is how the daemon is.
type Status struct {
	Version    string       `json:"version"`
	At         time.Time    `json:"at"`
	Book       string       `json:"book"` // its version
	BookLoaded time.Time    `json:"book_loaded"`
	Dealers    []string     `json:"dealers"`
	Programs   []string     `json:"programs"` // by name
	Lanes      []LaneStatus `json:"lanes"`
	Uncertain  int          `json:"uncertain"`
	Failed     int          `json:"failed"`
	Tasks      int          `json:"tasks"`  // for people, open
	Paused     []string     `json:"paused"` // scopes: all, program:x, dealer:x, channel:x
	Brakes     []string     `json:"brakes"` // dealer/program
	Leader     string       `json:"leader"` // "" = nobody leads the sweep
	Leading    bool         `json:"leading"`
	DryRun     bool         `json:"dry_run"`
}

// LaneStatus counts one lane of the queue.
type LaneStatus struct {
	Lane    string `json:"lane"` // care.Lane.String()
	Due     int    `json:"due"`  // released
	Later   int    `json:"later"`
	Claimed int    `json:"claimed"`
}

// MessageFilter selects messages; what is zero does not matter.
type MessageFilter struct {
	State    care.State
	Program  string
	Channel  care.Channel
	Customer string
	Dealer   string
	Limit    int
}

// CustomerFile is what the console shows of a customer.
type CustomerFile struct {
	Customer *care.Customer // nil if the record cannot be read
	Defects  []care.Defect
	Overlay  *care.Overlay
	Timeline []care.EventEntry  // the newest first
	Due      []*care.Occurrence // what the plan has ahead, with its verdicts, in order
	Location *time.Location     // in which times are shown
}

// Task is what a person has to do about a customer. What the customer said is not in it: it stands on their timeline.
type Task struct {
	Key      string       `json:"key"` // names it when it is ticked off
	At       time.Time    `json:"at"`
	ID       string       `json:"id,omitempty"` // of the message
	Customer string       `json:"customer"`
	Dealer   string       `json:"dealer,omitempty"`
	Advisor  string       `json:"advisor,omitempty"` // name of who looks after the customer
	Vehicle  string       `json:"vehicle,omitempty"`
	Program  string       `json:"program,omitempty"`
	Step     string       `json:"step,omitempty"`
	Channel  care.Channel `json:"channel,omitempty"`
	Reason   string       `json:"reason"`
	Script   string       `json:"script,omitempty"`    // of a call: what to say
	NoNumber bool         `json:"no_number,omitempty"` // of a call: the record has none

	Location *time.Location `json:"-"` // in which At is shown; nil = UTC
}

// Local is when the task came up, on the dealer's clock.
func (t *Task) Local() time.Time {
	if t.Location == nil {
		return t.At.UTC()
	}
	return t.At.In(t.Location)
}

// TaskFilter selects tasks; a dealer that is "" does not matter.
type TaskFilter struct {
	Dealer string
	Limit  int
}

// TaskList is what a filter selects.
type TaskList struct {
	Tasks   []Task    `json:"tasks"` // the newest first
	Open    int       `json:"open"`  // how many there are, also beyond the limit
	At      time.Time `json:"at"`
	Dealers []string  `json:"-"` // that can be asked for
}

// ParseMessageFilter reads a filter from a query; limit holds where the query has none. The error says what to write instead.
func ParseMessageFilter(q url.Values, limit int) (MessageFilter, error) {
	f := MessageFilter{
		State: care.State(q.Get("state")), Program: q.Get("program"), Channel: care.Channel(q.Get("channel")),
		Customer: q.Get("customer"), Dealer: q.Get("dealer"), Limit: limit,
	}
	switch {
	case f.State != "" && !slices.Contains(care.States, f.State):
		return f, errors.New("state: there is no such state")
	case f.Channel != "" && !f.Channel.Known():
		return f, errors.New("channel: write email, sms or webhook")
	case f.Customer != "" && !care.ValidID(f.Customer):
		return f, errors.New("customer: that is no customer's id")
	}
	return f, parseLimit(q, &f.Limit)
}

// ParseTaskFilter does the same for tasks.
func ParseTaskFilter(q url.Values, limit int) (TaskFilter, error) {
	f := TaskFilter{Dealer: q.Get("dealer"), Limit: limit}
	return f, parseLimit(q, &f.Limit)
}

func parseLimit(q url.Values, limit *int) error {
	given := q.Get("limit")
	if given == "" {
		return nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > MostRows {
		return errors.New("limit: write a number from 1 to " + strconv.Itoa(MostRows))
	}
	*limit = n
	return nil
}

var taskKey = regexp.MustCompile(`^[0-9a-f]{32}$`)

// ValidTaskKey reports whether a text can be the key of a task.
func ValidTaskKey(key string) bool { return taskKey.MatchString(key) }
