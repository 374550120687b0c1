package codec

import (
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/carebell/carebell/care"
)

// storedRecord is a message record as it stands in msg:<day>, where its id is the field. It is JSON; the names and their meaning are
// part of the state's version. State, class and channels are the ledger's letters, times are milliseconds since 1970, a date is
// the days since 1970, what is empty is left out.
type storedRecord struct {
	State    string          `json:"s"`
	Updated  int64           `json:"u,omitzero"`
	Customer string          `json:"c"`
	Dealer   string          `json:"d,omitzero"`
	Vehicle  string          `json:"v,omitzero"`
	Program  string          `json:"p,omitzero"`
	Step     string          `json:"t,omitzero"`
	Cycle    string          `json:"y,omitzero"`
	Class    string          `json:"k,omitzero"`
	Channel  string          `json:"h"`
	Template *string         `json:"m,omitzero"` // left out if it is called as its program
	Locale   string          `json:"l,omitzero"`
	On       int             `json:"o,omitzero"`
	Release  int64           `json:"r,omitzero"`
	Expires  *int64          `json:"x,omitzero"` // milliseconds after Release
	FirstTry *int64          `json:"f,omitzero"` // milliseconds before Updated
	Tried    string          `json:"g,omitzero"` // a letter for each channel that failed for good
	Reason   string          `json:"w,omitzero"`
	Repeats  int             `json:"n,omitzero"`
	Crashes  int             `json:"b,omitzero"`
	Parts    int             `json:"q,omitzero"`
	Also     []string        `json:"z,omitempty"`
	Attempts []storedAttempt `json:"a,omitempty"`
}

type storedAttempt struct {
	At       *int64 `json:"u,omitzero"` // left out if it is when the record was last changed
	Channel  string `json:"h,omitzero"` // left out if it is the record's
	Gateway  string `json:"g,omitzero"`
	Kind     string `json:"k,omitzero"`
	Code     string `json:"e,omitzero"`
	Took     int64  `json:"w,omitzero"` // nanoseconds
	Provider string `json:"i,omitzero"`
	Said     string `json:"s,omitzero"`
}

// EncodeRecord writes a message record as it stands in msg:<day>. It is the one function that does.
func EncodeRecord(r *care.Record) string {
	updated := millis(r.UpdatedAt)
	out := storedRecord{
		State: letterText(stateLetters, r.State), Updated: updated, Customer: r.Customer, Dealer: r.Dealer, Vehicle: r.Vehicle,
		Program: r.Program, Step: r.Step, Cycle: r.Cycle, Class: letterText(classLetters, r.Class), Channel: letterText(channelLetters, r.Channel),
		Locale: r.Locale, On: r.On.Days(), Release: millis(r.Release), Reason: r.Reason, Repeats: r.Repeats,
		Crashes: r.Crashes, Parts: r.Parts, Also: r.Also,
	}
	if !r.Expires.IsZero() {
		after := millis(r.Expires) - out.Release
		out.Expires = &after
	}
	if r.On.IsZero() {
		out.On = 0
	}
	if r.Template != r.Program {
		out.Template = &r.Template
	}
	if !r.FirstTry.IsZero() {
		before := updated - millis(r.FirstTry)
		out.FirstTry = &before
	}
	for _, ch := range r.Tried {
		out.Tried += letterText(channelLetters, ch)
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		one := storedAttempt{Gateway: a.Gateway, Kind: string(a.Kind), Code: a.Code, Took: int64(a.Took), Provider: a.Provider, Said: a.Said}
		if at := millis(a.At); at != updated {
			one.At = &at
		}
		if a.Channel != r.Channel {
			one.Channel = letterText(channelLetters, a.Channel)
		}
		out.Attempts = append(out.Attempts, one)
	}
	raw, err := json.Marshal(&out, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic("a record is numbers and texts: " + err.Error())
	}
	return string(raw)
}

var errRecord = errors.New("the message's record is damaged")

// DecodeRecord reads what EncodeRecord wrote. The id is the field in which it stood.
func DecodeRecord(id, raw string) (care.Record, error) {
	var in storedRecord
	if json.Unmarshal([]byte(raw), &in, jsontext.AllowInvalidUTF8(true)) != nil {
		return care.Record{}, errRecord
	}
	r := care.Record{
		ID: id, State: fromLetter(letterStates, in.State), Customer: in.Customer, Dealer: in.Dealer, Vehicle: in.Vehicle, Program: in.Program,
		Step: in.Step, Cycle: in.Cycle, Class: fromLetter(letterClasses, in.Class), Channel: fromLetter(letterChannels, in.Channel),
		Template: in.Program, Locale: in.Locale, Release: fromMillis(in.Release), Reason: in.Reason,
		Repeats: in.Repeats, Crashes: in.Crashes, Parts: in.Parts, Also: in.Also, UpdatedAt: fromMillis(in.Updated),
	}
	if r.State == "" || r.Channel == "" || r.Customer == "" {
		return care.Record{}, errRecord
	}
	if in.On != 0 {
		r.On = care.DateFromDays(in.On)
	}
	if in.Expires != nil {
		r.Expires = fromMillis(in.Release + *in.Expires)
	}
	if in.Template != nil {
		r.Template = *in.Template
	}
	if in.FirstTry != nil {
		r.FirstTry = fromMillis(in.Updated - *in.FirstTry)
	}
	for _, l := range in.Tried {
		r.Tried = append(r.Tried, fromLetter(letterChannels, string(l)))
	}
	for i, a := range in.Attempts {
		one := care.Attempt{
			N: i + 1, At: r.UpdatedAt, Channel: r.Channel, Gateway: a.Gateway, Kind: care.Kind(a.Kind), Code: a.Code, Took: time.Duration(a.Took),
			Provider: a.Provider, Said: a.Said,
		}
		if a.At != nil {
			one.At = fromMillis(*a.At)
		}
		if a.Channel != "" {
			one.Channel = fromLetter(letterChannels, a.Channel)
		}
		r.Attempts = append(r.Attempts, one)
	}
	return r, nil
}

// StateOf reads the state of a record, which stands first, and nothing else; "" if it cannot be read.
func StateOf(raw string) care.State {
	d := jsontext.NewDecoder(strings.NewReader(raw))
	for n := range 3 {
		token, err := d.ReadToken()
		if err != nil || n == 1 && token.String() != "s" {
			return ""
		}
		if n == 2 {
			return fromLetter(letterStates, token.String())
		}
	}
	return ""
}

// millis is a time as records have it: milliseconds since 1970, 0 for none.
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
