package store

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// A message record is stored as text, because there are many: fields in a fixed order, separated by |, those at the end left out
// when they are empty.
//
//	state class channel | customer | updated | on | release | expires | template | also | reason |
//	dealer | vehicle | program | step | cycle | locale | first try | tried | counts | attempt | attempt | …
//
// State, class and channel are one letter each, as in the ledger; behind them stands the slot of a message that is pending (slot.go).
// Times, dates, cycles and escapes are the ledger's too. A template
// that is called as its program is ~. Tried are letters of channels; counts are repeats.crashes.parts, nothing if all are 0. An
// attempt is at~channel~gateway~kind~code~took~provider: at is left out if it is when the record was last changed, channel if it is
// the record's, took is nanoseconds in base 36. The id is the hash's field; the owner stands in flight.
//
// A first try is left out if there was none, and -milliseconds before the last change if it was not long ago.
//
// A message that is over has its vehicle, program, step, cycle and on in the ledger alone: its record has ~ for the program, and
// nothing for the others (complete).
//
// Scripts read the first two fields and change those up to reason (apply.lua).
const (
	fieldSep   = '|'
	attemptSep = '~'
)

// recordBuffer is about as long as records get; longer ones cost an allocation more.
const recordBuffer = 256

// maxAgo is how many milliseconds before the last change a first try is written as how long ago it was.
const maxAgo = 36 * 36 * 36 * 36

// encodeRecord writes a record as it is stored. The slot counts for a message that is pending.
func encodeRecord(r *care.Record, slot string) string {
	return string(appendRecord(make([]byte, 0, recordBuffer), r, slot))
}

func appendRecord(b []byte, r *care.Record, slot string) []byte {
	start := len(b)
	b = append(b, letter(stateLetters, r.State), letter(classLetters, r.Class), letter(channelLetters, r.Channel))
	if r.State.Pending() {
		b = append(b, slot...)
	}
	b = append(b, fieldSep)
	b = appendEscaped(b, r.Customer)
	b = append(b, fieldSep)
	b = appendQueueFields(b, r)
	for _, s := range [...]string{r.Reason, r.Dealer} {
		b = append(b, fieldSep)
		b = appendEscaped(b, s)
	}
	if r.State.Pending() {
		for _, s := range [...]string{r.Vehicle, r.Program, r.Step} {
			b = append(b, fieldSep)
			b = appendEscaped(b, s)
		}
		b = append(b, fieldSep)
		b = appendCycle(b, r.Cycle)
	} else {
		b = append(b, "||~||"...)
	}
	b = append(b, fieldSep)
	b = appendEscaped(b, r.Locale)
	b = append(b, fieldSep)
	if ago := r.UpdatedAt.UnixMilli() - r.FirstTry.UnixMilli(); !r.FirstTry.IsZero() && ago >= 0 && ago < maxAgo {
		b = strconv.AppendInt(append(b, noLetter), ago, 36)
	} else {
		b = appendTime(b, r.FirstTry)
	}
	b = append(b, fieldSep)
	for _, ch := range r.Tried {
		b = append(b, letter(channelLetters, ch))
	}
	b = append(b, fieldSep)
	if r.Repeats != 0 || r.Crashes != 0 || r.Parts != 0 {
		b = strconv.AppendInt(b, int64(r.Repeats), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(r.Crashes), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(r.Parts), 10)
	}
	for i := range r.Attempts {
		b = append(b, fieldSep)
		b = appendAttempt(b, r, &r.Attempts[i])
	}
	return trimmed(b, start)
}

// trimmed leaves out empty fields at the end of what was written from start on.
func trimmed(b []byte, start int) []byte {
	for len(b) > start && b[len(b)-1] == fieldSep {
		b = b[:len(b)-1]
	}
	return b
}

// appendQueueFields writes what a move in the queue changes: fields 3 to 8.
func appendQueueFields(b []byte, r *care.Record) []byte {
	b = appendTime(b, r.UpdatedAt)
	b = append(b, fieldSep)
	if r.State.Pending() {
		b = appendDate(b, r.On)
	}
	b = append(b, fieldSep)
	b = appendTime(b, r.Release)
	b = append(b, fieldSep)
	b = appendTime(b, r.Expires)
	b = append(b, fieldSep)
	if r.Template != "" && r.Template == r.Program {
		b = append(b, '~')
	} else {
		b = appendEscaped(b, r.Template)
	}
	b = append(b, fieldSep)
	for i, id := range r.Also {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, id...)
	}
	return b
}

func appendAttempt(b []byte, r *care.Record, a *care.Attempt) []byte {
	start := len(b)
	switch {
	case a.At.UnixMilli() == r.UpdatedAt.UnixMilli():
	case a.At.IsZero():
		b = append(b, noLetter)
	default:
		b = appendTime(b, a.At)
	}
	b = append(b, attemptSep)
	if a.Channel != r.Channel {
		b = append(b, letter(channelLetters, a.Channel))
	}
	for _, s := range [...]string{a.Gateway, string(a.Kind), a.Code} {
		b = append(b, attemptSep)
		b = appendEscaped(b, s)
	}
	b = append(b, attemptSep)
	if a.Took != 0 {
		b = strconv.AppendInt(b, int64(a.Took), 36)
	}
	b = append(b, attemptSep)
	b = appendEscaped(b, a.Provider)
	for len(b) > start+1 && b[len(b)-1] == attemptSep { // one stays: an attempt is never an empty field
		b = b[:len(b)-1]
	}
	return b
}

var errRecord = errors.New("the message's record is damaged")

// words goes through the parts of a text between separators; after the last one they are empty.
type words struct {
	rest string
	sep  byte
	done bool
}

func (w *words) raw() string {
	if w.done {
		return ""
	}
	at := strings.IndexByte(w.rest, w.sep)
	if at < 0 {
		w.done = true
		return w.rest
	}
	word := w.rest[:at]
	w.rest = w.rest[at+1:]
	return word
}

func (w *words) text() string { return unescaped(w.raw()) }

func unescaped(s string) string {
	if strings.IndexByte(s, '\\') >= 0 {
		return unescaper.Replace(s)
	}
	return s
}

// complete fills in what the record of a message that is over has in the ledger alone.
func complete(r *care.Record, entry string) {
	if e, err := decodeEntry(entry); err == nil {
		r.Vehicle, r.Program, r.Step, r.Cycle, r.On = e.Vehicle, e.Program, e.Step, e.Cycle, e.On
	}
	if r.Template == templateOfProgram {
		r.Template = r.Program
	}
}

// asProgram stands for a name that is kept elsewhere: a template's that is called as its program, a program's that the ledger has.
const asProgram = "~"

// templateOfProgram is the template of a message that is over and called as its program, until complete knows the program. No name of a
// template is like it: they are UTF-8.
const templateOfProgram = "\xff"

// decodeRecord reads what encodeRecord wrote, for a message that is over all but what complete adds. The record shares the memory of raw.
func decodeRecord(id, raw string) (care.Record, error) {
	w := words{rest: raw, sep: fieldSep}
	head := w.raw()
	if len(head) != 3 && len(head) != 3+slotLen {
		return care.Record{}, errRecord
	}
	r := care.Record{
		ID: id, State: letterStates[head[0]], Class: letterClasses[head[1]], Channel: letterChannels[head[2]], Customer: w.text(),
	}
	if r.State == "" || r.Channel == "" || r.Customer == "" {
		return care.Record{}, errRecord
	}
	bad := false
	at := func() time.Time {
		t, err := parseTime(w.raw())
		bad = bad || err != nil
		return t
	}
	r.UpdatedAt = at()
	var err error
	if on := w.raw(); on != "" {
		r.On, err = parseDays(on)
		bad = bad || err != nil
	}
	r.Release, r.Expires = at(), at()
	template := w.raw()
	if also := w.raw(); also != "" {
		r.Also = strings.Split(also, ",")
	}
	r.Reason, r.Dealer, r.Vehicle = w.text(), w.text(), w.text()
	program := w.raw()
	r.Step = w.text()
	if r.Template = unescaped(template); program == asProgram {
		if template == asProgram {
			r.Template = templateOfProgram
		}
	} else {
		if r.Program = unescaped(program); template == asProgram {
			r.Template = r.Program
		}
	}
	if r.Cycle, err = cycle(w.raw()); err != nil {
		bad = true
	}
	r.Locale = w.text()
	if first := w.raw(); strings.HasPrefix(first, string(noLetter)) {
		ago, err := strconv.ParseInt(first[1:], 36, 32)
		bad = bad || err != nil
		r.FirstTry = r.UpdatedAt.Add(-time.Duration(ago) * time.Millisecond)
	} else if r.FirstTry, err = parseTime(first); err != nil {
		bad = true
	}
	for _, l := range []byte(w.raw()) {
		r.Tried = append(r.Tried, letterChannels[l])
	}
	if counts := w.raw(); counts != "" {
		parts := words{rest: counts, sep: '.'}
		for _, n := range [...]*int{&r.Repeats, &r.Crashes, &r.Parts} {
			if *n, err = strconv.Atoi(parts.raw()); err != nil {
				bad = true
			}
		}
	}
	for !w.done {
		a, ok := decodeAttempt(w.raw(), &r)
		r.Attempts, bad = append(r.Attempts, a), bad || !ok
	}
	if bad {
		return care.Record{}, errRecord
	}
	return r, nil
}

// customerOf returns the customer that a record names, without reading the rest of it.
func customerOf(raw string) string {
	w := words{rest: raw, sep: fieldSep}
	w.raw()
	return w.text()
}

func decodeAttempt(raw string, r *care.Record) (care.Attempt, bool) {
	w := words{rest: raw, sep: attemptSep}
	if raw == "" {
		return care.Attempt{}, false
	}
	a := care.Attempt{N: len(r.Attempts) + 1, At: r.UpdatedAt, Channel: r.Channel}
	var err error
	if at := w.raw(); at == string(noLetter) {
		a.At = time.Time{}
	} else if at != "" {
		if a.At, err = parseTime(at); err != nil {
			return a, false
		}
	}
	if ch := w.raw(); ch != "" {
		a.Channel = letterChannels[ch[0]]
	}
	a.Gateway, a.Kind, a.Code = w.text(), care.Kind(w.text()), w.text()
	if took := w.raw(); took != "" {
		n, err := strconv.ParseInt(took, 36, 64)
		if err != nil {
			return a, false
		}
		a.Took = time.Duration(n)
	}
	a.Provider = w.text()
	return a, true
}
