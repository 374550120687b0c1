package codec

import (
	"errors"
	"strconv"
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
	Ready    int64           `json:"e,omitzero"` // milliseconds after Release
	Tried    string          `json:"g,omitzero"` // a letter for each channel that failed for good
	Reason   string          `json:"w,omitzero"`
	Repeats  int             `json:"n,omitzero"`
	Crashes  int             `json:"b,omitzero"`
	Parts    int             `json:"q,omitzero"`
	Also     []string        `json:"z,omitempty"`
	Kin      []string        `json:"i,omitempty"` // only while it waits
	Reopened bool            `json:"j,omitzero"`
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

// EncodeRecord writes a message record as it stands in msg:<day>. It is the one function that does, by hand: reflection takes three times
// as long, and each message is written three times.
func EncodeRecord(r *care.Record) string {
	updated, release := millis(r.UpdatedAt), millis(r.Release)
	w := writer{make([]byte, 0, 320)}
	w.text("s", letterText(stateLetters, r.State))
	w.number("u", updated, updated != 0)
	w.text("c", r.Customer)
	w.some("d", r.Dealer)
	w.some("v", r.Vehicle)
	w.some("p", r.Program)
	w.some("t", r.Step)
	w.some("y", r.Cycle)
	w.some("k", letterText(classLetters, r.Class))
	w.text("h", letterText(channelLetters, r.Channel))
	if r.Template != r.Program {
		w.text("m", r.Template)
	}
	w.some("l", r.Locale)
	w.number("o", int64(r.On.Days()), !r.On.IsZero())
	w.number("r", release, release != 0)
	w.number("x", millis(r.Expires)-release, !r.Expires.IsZero())
	w.number("f", updated-millis(r.FirstTry), !r.FirstTry.IsZero())
	w.number("e", millis(r.Ready)-release, r.Ready.After(r.Release))
	var tried []byte
	for _, ch := range r.Tried {
		tried = append(tried, letterText(channelLetters, ch)...)
	}
	w.some("g", string(tried))
	w.some("w", r.Reason)
	w.number("n", int64(r.Repeats), r.Repeats != 0)
	w.number("b", int64(r.Crashes), r.Crashes != 0)
	w.number("q", int64(r.Parts), r.Parts != 0)
	w.list("z", r.Also)
	if r.State.Pending() {
		w.list("i", r.Kin)
	}
	if r.Reopened {
		w.name("j")
		w.b = append(w.b, "true"...)
	}
	if len(r.Attempts) > 0 {
		w.name("a")
		for i := range r.Attempts {
			w.b = append(w.b, listMark(i))
			w.attempt(&r.Attempts[i], r, updated)
		}
		w.b = append(w.b, ']')
	}
	return string(append(w.b, '}'))
}

func (w *writer) attempt(a *care.Attempt, r *care.Record, updated int64) {
	at, start := millis(a.At), len(w.b)
	w.number("u", at, at != updated)
	if a.Channel != r.Channel {
		w.some("h", letterText(channelLetters, a.Channel))
	}
	w.some("g", a.Gateway)
	w.some("k", string(a.Kind))
	w.some("e", a.Code)
	w.number("w", int64(a.Took), a.Took != 0)
	w.some("i", a.Provider)
	w.some("s", a.Said)
	if len(w.b) == start {
		w.b = append(w.b, '{')
	}
	w.b = append(w.b, '}')
}

// listMark stands before an item of a list.
func listMark(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

// writer writes a JSON object, name by name.
type writer struct{ b []byte }

// name writes a name, and what stands before it: whatever ends in a quote, a digit or a bracket has names before.
func (w *writer) name(name string) {
	mark := byte(',')
	if n := len(w.b); n == 0 || w.b[n-1] == '[' || w.b[n-1] == ',' {
		mark = '{'
	}
	w.b = append(append(append(w.b, mark, '"'), name...), '"', ':')
}

func (w *writer) quoted(s string, before ...byte) {
	if plain(s) {
		w.b = append(append(append(append(w.b, before...), '"'), s...), '"')
		return
	}
	w.b, _ = jsontext.AppendQuote(append(w.b, before...), s) // the error tells of odd characters only, which are replaced
}

// plain reports whether a text is quoted as it stands, as nearly all are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

func (w *writer) text(name, s string) {
	w.name(name)
	w.quoted(s)
}

// some writes a text that is left out if it is empty.
func (w *writer) some(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) list(name string, texts []string) {
	if len(texts) == 0 {
		return
	}
	w.name(name)
	for i, s := range texts {
		w.quoted(s, listMark(i))
	}
	w.b = append(w.b, ']')
}

// number writes a number if there is one.
func (w *writer) number(name string, n int64, there bool) {
	if there {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
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
		Repeats: in.Repeats, Crashes: in.Crashes, Parts: in.Parts, Also: in.Also, Kin: in.Kin, Reopened: in.Reopened, UpdatedAt: fromMillis(in.Updated),
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
	if in.Ready != 0 {
		r.Ready = fromMillis(in.Release + in.Ready)
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
