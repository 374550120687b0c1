package codec

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// A ledger entry is stored as text of about 60 bytes, below the 64 up to which Redis keeps a small hash in one packed block:
//
//	state class channel day(5) then, separated by |: at on program vehicle step cycle reason merged
//
// State, class and channel are one letter each and day five digits, which is what scripts read of an entry. at is in
// seconds since 1970 and on in days, both in base 36, with ".ms" after at where it has any; a cycle that is a date is ~ and days. A |,
// \, ~ or line break in a word is escaped.
const (
	entryHead = 3 + dayLen
	noLetter  = '-'
)

var stateLetters = map[care.State]byte{
	care.StateDue: 'd', care.StateClaimed: 'c', care.StateSending: 'g', care.StateSent: 's', care.StateDelivered: 'v',
	care.StateUndelivered: 'u', care.StateRetry: 'r', care.StateFailed: 'f', care.StateExpired: 'x', care.StateSkipped: 'k',
	care.StateUncertain: 'h',
}

var (
	classLetters   = map[care.Class]byte{care.Safety: 'S', care.Service: 'V', care.Care: 'C', care.Commercial: 'M'}
	channelLetters = map[care.Channel]byte{care.Email: 'e', care.SMS: 's', care.Webhook: 'w', care.Task: 't'}

	letterStates   = invert(stateLetters)
	letterClasses  = invert(classLetters)
	letterChannels = invert(channelLetters)
)

func invert[K comparable](m map[K]byte) map[byte]K {
	out := make(map[byte]K, len(m))
	for k, v := range m {
		out[v] = k
	}
	return out
}

func letter[K comparable](m map[K]byte, k K) byte {
	if b, ok := m[k]; ok {
		return b
	}
	return noLetter
}

// letterText is the letter as a text, "" for none, and fromLetter its inverse.
func letterText[K comparable](m map[K]byte, k K) string {
	if b, ok := m[k]; ok {
		return string(rune(b))
	}
	return ""
}

func fromLetter[K comparable](m map[byte]K, s string) (k K) {
	if len(s) == 1 {
		k = m[s[0]]
	}
	return k
}

// EncodeEntry writes a ledger entry; empty fields at its end are left out.
func EncodeEntry(e care.LedgerEntry) string {
	b := append(make([]byte, 0, 72), letter(stateLetters, e.State), letter(classLetters, e.Class), letter(channelLetters, e.Channel))
	day := 0
	if !e.Day.IsZero() {
		day = min(max(e.Day.Days(), 0), 99999)
	}
	b = append(b, DayText(day)...)
	b = appendTime(b, e.At)
	b = append(b, '|')
	b = appendDate(b, e.On)
	for _, s := range [...]string{e.Program, e.Vehicle, e.Step} {
		b = append(b, '|')
		b = appendEscaped(b, s)
	}
	b = append(b, '|')
	b = appendCycle(b, e.Cycle)
	for _, s := range [...]string{e.Reason, e.Merged} {
		b = append(b, '|')
		b = appendEscaped(b, s)
	}
	return string(bytes.TrimRight(b, "|"))
}

// appendDate writes the days since 1970 in base 36, nothing for no date.
func appendDate(b []byte, d care.Date) []byte {
	if d.IsZero() {
		return b
	}
	return strconv.AppendInt(b, int64(d.Days()), 36)
}

// appendCycle writes a cycle; one that is a date as ~ and its days.
func appendCycle(b []byte, s string) []byte {
	if d, err := care.ParseDate(s); err == nil {
		return strconv.AppendInt(append(b, '~'), int64(d.Days()), 36)
	}
	return appendEscaped(b, s)
}

// cycle reads what appendCycle wrote.
func cycle(raw string) (string, error) {
	if packed, ok := strings.CutPrefix(raw, "~"); ok {
		d, err := parseDays(packed)
		if err != nil {
			return "", errEntry
		}
		return d.String(), nil
	}
	return unescaped(raw), nil
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	ms := t.UnixMilli()
	b = strconv.AppendInt(b, ms/1000, 36)
	if ms%1000 != 0 {
		b = append(b, '.')
		b = strconv.AppendInt(b, ms%1000, 10)
	}
	return b
}

func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '|':
			b = append(b, '\\', 'p')
		case '~':
			b = append(b, '\\', 't')
		case '\\':
			b = append(b, '\\', '\\')
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, s[i])
		}
	}
	return b
}

var unescaper = strings.NewReplacer(`\p`, "|", `\t`, "~", `\n`, "\n", `\\`, `\`)

// words goes through the parts of a text between separators; after the last one they are empty.
type words struct {
	rest string
	done bool
}

func (w *words) raw() string {
	if w.done {
		return ""
	}
	word, rest, more := strings.Cut(w.rest, "|")
	w.rest, w.done = rest, !more
	return word
}

func (w *words) text() string { return unescaped(w.raw()) }

func unescaped(s string) string {
	if strings.IndexByte(s, '\\') >= 0 {
		return unescaper.Replace(s)
	}
	return s
}

var errEntry = errors.New("the ledger entry is damaged")

// DecodeEntry reads what EncodeEntry wrote.
func DecodeEntry(s string) (care.LedgerEntry, error) {
	if len(s) < entryHead {
		return care.LedgerEntry{}, errEntry
	}
	e := care.LedgerEntry{State: letterStates[s[0]], Class: letterClasses[s[1]], Channel: letterChannels[s[2]]}
	day, err := strconv.Atoi(s[3:entryHead])
	if err != nil || e.State == "" {
		return care.LedgerEntry{}, errEntry
	}
	if day > 0 {
		e.Day = care.DateFromDays(day)
	}
	w := words{rest: s[entryHead:]}
	if e.At, err = parseTime(w.raw()); err != nil {
		return care.LedgerEntry{}, errEntry
	}
	if e.On, err = parseDays(w.raw()); err != nil {
		return care.LedgerEntry{}, errEntry
	}
	e.Program, e.Vehicle, e.Step = w.text(), w.text(), w.text()
	if e.Cycle, err = cycle(w.raw()); err != nil {
		return care.LedgerEntry{}, errEntry
	}
	e.Reason, e.Merged = w.text(), w.text()
	return e, nil
}

func parseDays(s string) (care.Date, error) {
	if s == "" {
		return care.Date{}, nil
	}
	days, err := strconv.ParseInt(s, 36, 32)
	return care.DateFromDays(int(days)), err
}

func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	sec, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(sec, 36, 64)
	if err != nil {
		return time.Time{}, err
	}
	ms := 0
	if frac != "" {
		if ms, err = strconv.Atoi(frac); err != nil {
			return time.Time{}, err
		}
	}
	return time.UnixMilli(n*1000 + int64(ms)).UTC(), nil
}

// EntryState reads the state of an entry and nothing else, "" if there is none.
func EntryState(raw string) care.State {
	if raw == "" {
		return ""
	}
	return letterStates[raw[0]]
}

// OverlayField is where the overlay stands in a customer's ledger. No occurrence has such an id.
const OverlayField = "+"

// DecodeLedger reads a customer's ledger, as HGETALL lists it, and the overlay as it is stored, nil = there is none. An entry that is damaged
// stands in the ledger as one that is over; what is over since before stale is left out, and named in old.
func DecodeLedger(flat []any, stale time.Time) (l care.Ledger, overlay *string, old []string) {
	if len(flat) == 0 {
		return nil, nil, nil
	}
	l = make(care.Ledger, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		id, _ := flat[i].(string)
		raw, _ := flat[i+1].(string)
		if id == OverlayField {
			overlay = &raw
			continue
		}
		e, err := DecodeEntry(raw)
		if err != nil {
			e = care.DamagedEntry()
		} else if !e.State.Pending() && e.At.Before(stale) {
			old = append(old, id)
			continue
		}
		l[id] = e
	}
	return l, overlay, old
}

// EntryOf is the ledger's view of a message record. While the message is pending its At is the release. Whole seconds will do, and keep
// the entry short.
func EntryOf(r *care.Record, day care.Date, at time.Time) care.LedgerEntry {
	if r.State == care.StateDue {
		at = r.Release
	}
	return care.LedgerEntry{
		State: r.State, At: at.Truncate(time.Second), Class: r.Class, Channel: r.Channel, Program: r.Program, Vehicle: r.Vehicle, Step: r.Step,
		Cycle: r.Cycle, On: r.On, Day: day, Reason: r.Reason,
	}
}
