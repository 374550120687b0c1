package public

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/feedback"
)

func withoutICS(name string) string {
	text, ok := strings.CutSuffix(name, ".ics")
	if !ok {
		return "" // no token
	}
	return text
}

// calendar serves the event as an iCalendar file (RFC 5545), so that a phone can put it into its calendar.
func (p *Pages) calendar(w http.ResponseWriter, _ *http.Request, v *visit) {
	if v.Facts.Event == nil {
		p.invited(w, v)
		return
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="event.ics"`)
	_, _ = w.Write(calendarFile(&v.Facts, v.Now))
}

// calendarFile writes the event. Its UID depends on dealer and event only, so that a file opened again replaces the old entry, and
// SEQUENCE rises with each change of the event. Hours are in UTC (section 3.3.5, form 2), which needs no VTIMEZONE.
func calendarFile(f *feedback.CustomerFacts, now time.Time) []byte {
	e := f.Event
	var b strings.Builder
	line := func(name, value string) { fold(&b, name+":"+value) }
	line("BEGIN", "VCALENDAR")
	line("VERSION", "2.0")
	line("PRODID", "-//carebell//carebell//EN")
	line("CALSCALE", "GREGORIAN")
	line("METHOD", "PUBLISH")
	line("BEGIN", "VEVENT")
	line("UID", eventUID(f.DealerID, e.Event))
	line("SEQUENCE", strconv.Itoa(max(f.EventRevision, 0)))
	line("DTSTAMP", now.UTC().Format(icsTime))
	if start, ok := clock(e.On, e.StartsAt, f.EventZone()); ok {
		line("DTSTART", start.UTC().Format(icsTime))
		if end, ok := clock(e.On, e.EndsAt, f.EventZone()); ok && end.After(start) {
			line("DTEND", end.UTC().Format(icsTime))
		}
	} else {
		line("DTSTART;VALUE=DATE", strings.ReplaceAll(e.On.String(), "-", ""))
	}
	line("SUMMARY", icsText(e.Title.In(f.Locale)))
	if where := join(", ", e.Place.In(f.Locale), e.Address.In(f.Locale)); where != "" {
		line("LOCATION", icsText(where))
	}
	if who := join(" ", f.Dealer, f.DealerPhone); who != "" {
		line("DESCRIPTION", icsText(who))
	}
	if e.Enabled {
		line("STATUS", "CONFIRMED")
	} else {
		line("STATUS", "CANCELLED")
	}
	line("END", "VEVENT")
	line("END", "VCALENDAR")
	return []byte(b.String())
}

const icsTime = "20060102T150405Z"

func join(sep string, parts ...string) string {
	var out []string
	for _, s := range parts {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, sep)
}

// eventUID is a UUID of version 8 (RFC 9562), as RFC 7986 section 5.3 advises: it names no host and no customer.
func eventUID(dealer, event string) string {
	h := sha256.Sum256([]byte("carebell event\x00" + dealer + "\x00" + event))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// icsText escapes a text (RFC 5545 section 3.3.11). Other control characters may not stand in one at all.
func icsText(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(feedback.Clean(s, 500))
}

// fold writes a content line in pieces of at most 75 octets, never inside a character (section 3.1).
func fold(b *strings.Builder, line string) {
	for limit := 75; len(line) > limit; limit = 74 { // the space that continues a line counts
		cut := limit
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		b.WriteString(line[:cut] + "\r\n ")
		line = line[cut:]
	}
	b.WriteString(line + "\r\n")
}

// clock is the moment of a local HH:MM.
func clock(on care.Date, hhmm string, loc *time.Location) (time.Time, bool) {
	at, err := time.Parse("15:04", hhmm)
	if err != nil || on.IsZero() {
		return time.Time{}, false
	}
	return on.At(at.Hour(), at.Minute(), loc), true
}
