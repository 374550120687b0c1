package scheduler

import (
	"time"

	"github.com/carebell/carebell/care"
)

// The quiet hours of a dealer who says nothing (design A3; 47 CFR 64.1200 has 21:00 to 08:00, China's gateways take marketing
// from 08:00 to 22:00).
var (
	quietDefault    = care.Window{From: 21 * 60, To: 8 * 60}
	quietCommercial = care.Window{From: 20 * 60, To: 9 * 60}
)

// QuietHours returns a dealer's quiet hours for a class. A dealer whose default is none has none for any class but those it
// names; one who sets a default alone keeps the longer hours for offers.
func QuietHours(d *care.Dealer, class care.Class) care.Window {
	if w, ok := d.QuietHours[string(class)]; ok {
		return w
	}
	w, ok := d.QuietHours["default"]
	switch {
	case !ok && class == care.Commercial, ok && class == care.Commercial && !w.IsZero():
		return quietCommercial
	case !ok:
		return quietDefault
	}
	return w
}

// quiet puts a release off to the end of the quiet hours it falls into: the customer's, else the dealer's for the class; for an
// offer both. Safety by e-mail and webhooks go at any time. It is false when no time of the day is left.
func (r *run) quiet(c *candidate, t time.Time) (time.Time, bool) {
	class := c.occ.Class
	if !c.lead.ToPerson() || class == care.Safety && c.lead == care.Email {
		return t, true
	}
	own, theirs := r.prefs.Quiet, QuietHours(r.dealer.Dealer, class)
	if !own.IsZero() && class != care.Commercial {
		theirs = care.Window{}
	}
	loc := r.location()
	for range 8 {
		switch minute := minuteOf(t.In(loc)); {
		case own.Contains(minute):
			t = windowEnd(t, own, loc)
		case theirs.Contains(minute):
			t = windowEnd(t, theirs, loc)
		default:
			return t, true
		}
	}
	return t, false
}

func minuteOf(local time.Time) int { return local.Hour()*60 + local.Minute() }

// windowEnd returns the next moment at which the clocks show the end of a window that t lies in.
func windowEnd(t time.Time, w care.Window, loc *time.Location) time.Time {
	local := t.In(loc)
	day := care.DateOf(local)
	if minuteOf(local) >= int(w.To) {
		day = day.AddDays(1)
	}
	if w.To == 24*60 {
		return day.AddDays(1).At(0, 0, loc)
	}
	end := day.At(int(w.To)/60, int(w.To)%60, loc)
	if !end.After(t) {
		// The clocks went back and show this hour again: the end that counts is the one after t.
		end = t.Truncate(time.Minute).Add(time.Duration(int(w.To)-minuteOf(local)) * time.Minute)
	}
	return end
}
