package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/carebell/carebell/care"
)

// stored is a message record as msg:<day> keeps it: JSON with short names, because there are many. The id is the hash's field; the owner is
// the queue's score. Times are milliseconds since 1970. Scripts read s, u, c and h with a pattern, so no attempt may have these names.
type stored struct {
	Customer string          `json:"u"`
	Dealer   string          `json:"d,omitempty"`
	Vehicle  string          `json:"v,omitempty"`
	Program  string          `json:"p,omitempty"`
	Step     string          `json:"e,omitempty"`
	Cycle    string          `json:"y,omitempty"`
	Class    string          `json:"c"` // letter, as in the ledger
	Template string          `json:"t,omitempty"`
	Locale   string          `json:"l,omitempty"`
	On       int             `json:"o,omitempty"` // days since 1970
	Release  int64           `json:"r,omitempty"`
	Expires  int64           `json:"x,omitempty"`
	State    string          `json:"s"` // letter, as in the ledger
	Channel  string          `json:"h"` // letter, as in the ledger
	Tried    []care.Channel  `json:"k,omitempty"`
	Reason   string          `json:"m,omitempty"`
	Attempts []storedAttempt `json:"a,omitempty"`
	Repeats  int             `json:"n,omitempty"`
	Crashes  int             `json:"b,omitempty"`
	Parts    int             `json:"z,omitempty"`
	Also     []string        `json:"w,omitempty"`
	Updated  int64           `json:"g,omitempty"`
	FirstTry int64           `json:"f,omitempty"`
}

type storedAttempt struct {
	At       int64         `json:"T"`
	Channel  string        `json:"H"`
	Gateway  string        `json:"G,omitempty"`
	Kind     care.Kind     `json:"K,omitempty"`
	Code     string        `json:"C,omitempty"`
	Took     time.Duration `json:"D,omitempty"`
	Provider string        `json:"P,omitempty"`
}

// movePatch and dropPatch are the fields that a move and a drop change.
type movePatch struct {
	On       int      `json:"o"`
	Release  int64    `json:"r"`
	Expires  int64    `json:"x"`
	Channel  string   `json:"h"`
	Class    string   `json:"c"`
	Template string   `json:"t"`
	Also     []string `json:"w"`
	Updated  int64    `json:"g"`
}

type dropPatch struct {
	State   string `json:"s"`
	Reason  string `json:"m"`
	Updated int64  `json:"g"`
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func days(d care.Date) int {
	if d.IsZero() {
		return 0
	}
	return d.Days()
}

func word[K comparable](m map[K]byte, k K) string { return string(rune(letter(m, k))) }

func unword[K comparable](m map[byte]K, s string) (k K) {
	if len(s) == 1 {
		k = m[s[0]]
	}
	return k
}

// encodeRecord writes a record as it is stored.
func encodeRecord(r *care.Record) (string, error) {
	s := stored{
		Customer: r.Customer, Dealer: r.Dealer, Vehicle: r.Vehicle, Program: r.Program, Step: r.Step, Cycle: r.Cycle,
		Class: word(classLetters, r.Class), Template: r.Template, Locale: r.Locale, On: days(r.On), Release: millis(r.Release),
		Expires: millis(r.Expires), State: word(stateLetters, r.State), Channel: word(channelLetters, r.Channel), Tried: r.Tried,
		Reason: r.Reason, Repeats: r.Repeats, Crashes: r.Crashes, Parts: r.Parts, Also: r.Also, Updated: millis(r.UpdatedAt),
		FirstTry: millis(r.FirstTry),
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		s.Attempts = append(s.Attempts, storedAttempt{
			millis(a.At), word(channelLetters, a.Channel), a.Gateway, a.Kind, a.Code, a.Took, a.Provider,
		})
	}
	raw, err := json.Marshal(&s)
	if err != nil {
		return "", fmt.Errorf("message %s: %w", r.ID, err)
	}
	return string(raw), nil
}

var errRecord = errors.New("the message's record is damaged")

// decodeRecord reads what encodeRecord wrote.
func decodeRecord(id, raw string) (care.Record, error) {
	var s stored
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		return care.Record{}, errRecord
	}
	r := care.Record{
		ID: id, Customer: s.Customer, Dealer: s.Dealer, Vehicle: s.Vehicle, Program: s.Program, Step: s.Step, Cycle: s.Cycle,
		Class: unword(letterClasses, s.Class), Template: s.Template, Locale: s.Locale, Release: fromMillis(s.Release),
		Expires: fromMillis(s.Expires), State: unword(letterStates, s.State), Channel: unword(letterChannels, s.Channel), Tried: s.Tried,
		Reason: s.Reason, Repeats: s.Repeats, Crashes: s.Crashes, Parts: s.Parts, Also: s.Also, UpdatedAt: fromMillis(s.Updated),
		FirstTry: fromMillis(s.FirstTry),
	}
	if s.On != 0 {
		r.On = care.DateFromDays(s.On)
	}
	if r.State == "" || r.Channel == "" || r.Customer == "" {
		return care.Record{}, errRecord
	}
	for i := range s.Attempts {
		a := &s.Attempts[i]
		r.Attempts = append(r.Attempts, care.Attempt{
			N: i + 1, At: fromMillis(a.At), Channel: unword(letterChannels, a.Channel), Gateway: a.Gateway, Kind: a.Kind, Code: a.Code,
			Took: a.Took, Provider: a.Provider,
		})
	}
	return r, nil
}
