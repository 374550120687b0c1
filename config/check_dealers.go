package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/config/yaml"
)

const dealersFile = "dealers.yaml"

const idRemedy = "use 1 to 64 of A-Z a-z 0-9 . _ : -"

// dealerCheck checks one dealer; at is its YAML path.
type dealerCheck struct {
	*reader
	d  *care.Dealer
	at string
}

func (r *reader) checkDealers() {
	seen := map[string]bool{}
	for i, d := range r.book.Dealers {
		c := dealerCheck{r, d, yaml.Index("$.dealers", i)}
		c.id(d.Dealer, "dealer", seen)
		c.identity()
		c.reach()
		c.limits()
		c.intervals()
		c.advisors()
	}
}

// bad reports a fault at a field of the dealer.
func (c dealerCheck) bad(ok bool, field, message, remedy string) {
	if !ok {
		c.add(dealersFile, c.at+"."+field, "bad-value", message, remedy)
	}
}

func (c dealerCheck) missing(ok bool, field, remedy string) bool {
	if !ok {
		c.add(dealersFile, c.at+"."+field, "missing-field", field+" is missing", remedy)
	}
	return ok
}

func (c dealerCheck) id(id, field string, seen map[string]bool) {
	switch {
	case !c.missing(id != "", field, "give it a short name"):
	case !care.ValidID(id):
		c.bad(false, field, fmt.Sprintf("%q cannot be a name here", id), idRemedy)
	case seen[id]:
		c.add(dealersFile, c.at+"."+field, "duplicate", fmt.Sprintf("%s %q is there twice", field, id), "keep one of them")
	}
	seen[id] = true
}

// identity checks who and where the dealer is.
func (c dealerCheck) identity() {
	d := c.d
	c.missing(len(d.Name) > 0, "name", "write the name that customers know")
	if c.missing(d.TimeZone != "", "time_zone", "write an IANA zone such as Asia/Shanghai") {
		c.bad(isZone(d.TimeZone), "time_zone", fmt.Sprintf("%q is no time zone", d.TimeZone), "write an IANA zone such as Asia/Shanghai or America/New_York")
	}
	if c.missing(d.Locale != "", "locale", "write zh-CN or en") {
		c.bad(yaml.IsLocale(d.Locale), "locale", fmt.Sprintf("%q is no language", d.Locale), "write zh-CN, en or the like")
	}
	if c.missing(d.Country != "", "country", "write two letters such as CN: phone numbers without + are read as its numbers") {
		c.bad(isCountry(d.Country), "country", fmt.Sprintf("%q is no country", d.Country), "write two capital letters of ISO 3166 such as CN, US or GB")
	}
	c.bad(d.DateFormat == "" || slices.Contains([]string{"DMY", "MDY", "YMD"}, d.DateFormat), "date_format", fmt.Sprintf("%q is no order of day, month and year", d.DateFormat), "write DMY, MDY or YMD")
	c.bad(d.Currency == "" || isCurrency(d.Currency), "currency", fmt.Sprintf("%q is no currency", d.Currency), "write three capital letters of ISO 4217 such as CNY")
	for _, ch := range slices.Sorted(maps.Keys(d.Prices)) {
		if !care.Channel(ch).Known() {
			c.add(dealersFile, yaml.Key(c.at+".prices", ch), "unknown-name", fmt.Sprintf("%q is no channel", ch), yaml.Suggest(ch, words(care.Channels)))
		}
		c.bad(d.Prices[ch] >= 0, "prices."+ch, "a price is negative", "write what one costs, or 0")
	}
}

// reach checks how the dealer is reached, and from where its messages come.
func (c dealerCheck) reach() {
	d := c.d
	c.bad(d.Phone == "" || isPhoneOf(d.Phone, d.Country) || isShort(d.Phone), "phone",
		"this is no phone number", `write it in quotes with + and the country code: "+862150000000"`)
	c.bad(d.From.Email == "" || isEmail(d.From.Email), "from.email", "this is no e-mail address", "write one bare address such as care@dealer.example")
	c.bad(d.BookingURL == "" || isURL(d.BookingURL), "booking_url", "this is no address of a page", "write https://…, or leave it out")
	c.bad(d.Webhook == "" || isURL(d.Webhook), "webhook", "this is no address of an endpoint", "write https://…, or leave it out")
	for _, l := range slices.Sorted(maps.Keys(d.SMSSignature)) {
		if s := d.SMSSignature[l]; strings.ContainsAny(s, "【】[]\r\n") {
			at := c.at + ".sms_signature"
			if l != "" {
				at = yaml.Key(at, l)
			}
			c.add(dealersFile, at, "bad-value", "the signature has brackets or a line end", "write the bare name: 【】 is put around it when it is sent")
		}
	}
}

// limits checks what keeps customers from being disturbed.
func (c dealerCheck) limits() {
	d := c.d
	classes := append([]string{"default"}, words(care.Classes)...)
	for _, class := range slices.Sorted(maps.Keys(d.QuietHours)) {
		if !slices.Contains(classes, class) {
			c.add(dealersFile, yaml.Key(c.at+".quiet_hours", class), "unknown-name", fmt.Sprintf("%q is no class of programs", class), yaml.Suggest(class, classes))
		}
	}
	for _, grade := range slices.Sorted(maps.Keys(d.Caps)) {
		if n := d.Caps[grade].PerWeek; n != nil {
			c.bad(*n >= 0, "caps."+grade+".per_week", "a cap is negative", "write 0 for no messages at all, or none for no cap")
		}
	}
	c.bad(d.LeapDay == "feb28" || d.LeapDay == "mar1", "leap_day", fmt.Sprintf("%q is no day for birthdays on 29 February", d.LeapDay), "write feb28 or mar1")
	c.bad(d.Units == "" || d.Units == "km" || d.Units == "mi", "units", fmt.Sprintf("%q is no unit of distances", d.Units), "write km or mi")
	c.bad(d.DefaultKMPerDay > 0 && d.DefaultKMPerDay <= 1500, "default_km_per_day", "no car drives that far a day", "write the km of an average day, such as 40")
}

func (c dealerCheck) intervals() {
	for i, r := range c.d.Intervals {
		at := yaml.Index("intervals", i)
		c.missing(r.Make != "", at+".make", `write a make, or "*" for any`)
		c.missing(r.Model != "", at+".model", `write a model, or "*" for any`)
		c.bad(r.Powertrain == "" || slices.Contains(care.Powertrains, r.Powertrain), at+".powertrain",
			fmt.Sprintf("%q is no powertrain", r.Powertrain), "write petrol, diesel, hybrid, phev or ev, or leave it out for all")
		c.missing(!r.ServiceInterval.IsZero() || !r.FirstService.IsZero(), at+".service_interval", "write {km: 10000, months: 12}")
		for name, v := range map[string]care.Interval{"service_interval": r.ServiceInterval, "first_service": r.FirstService} {
			c.bad(v.KM >= 0 && v.Months >= 0 && v.Months <= 240, at+"."+name, name+" is out of range", "write km and months from 0 up; 0 does not count")
		}
	}
}

func (c dealerCheck) advisors() {
	seen := map[string]bool{}
	for i, a := range c.d.Advisors {
		at := yaml.Index("advisors", i)
		advisor := dealerCheck{c.reader, c.d, c.at + "." + at}
		advisor.id(a.Advisor, "advisor", seen)
		advisor.missing(len(a.Name) > 0, "name", "write the name that messages are signed with")
		advisor.bad(a.Phone == "" || isPhoneOf(a.Phone, c.d.Country) || isShort(a.Phone), "phone",
			"this is no phone number", `write it in quotes with + and the country code: "+8613900000000"`)
		advisor.bad(a.Email == "" || isEmail(a.Email), "email", "this is no e-mail address", "write one bare address such as chen@dealer.example")
	}
	ids := slices.Sorted(maps.Keys(seen))
	for i, a := range c.d.Advisors {
		at := c.at + "." + yaml.Index("advisors", i) + ".stand_in"
		switch {
		case a.StandIn == "":
		case !seen[a.StandIn]:
			c.add(dealersFile, at, "unknown-name", fmt.Sprintf("stand_in: there is no advisor %q", a.StandIn), yaml.Suggest(a.StandIn, ids))
		case a.Left && c.d.AdvisorFor(a.Advisor) == nil:
			c.add(dealersFile, at, "bad-value", "whoever stands in for "+a.Advisor+" has left too", "name somebody who is there")
		}
	}
}

// words are the names of channels or classes as texts.
func words[T ~string](all []T) []string {
	names := make([]string, len(all))
	for i, w := range all {
		names[i] = string(w)
	}
	return names
}

func isZone(s string) bool {
	_, err := time.LoadLocation(s)
	return err == nil && s != "" && s != "Local"
}

func isCountry(s string) bool {
	region, err := language.ParseRegion(s)
	return err == nil && len(s) == 2 && region.IsCountry() && region.String() == s
}

func isCurrency(s string) bool {
	unit, err := currency.ParseISO(s)
	return err == nil && unit.String() == s
}

func isPhoneOf(s, country string) bool { _, ok := contact.Phone(s, country); return ok }

// isShort reports whether it is a service number that only works inside the country, such as 95568.
func isShort(s string) bool { return len(s) >= 3 && len(s) <= 6 && strings.Trim(s, "0123456789") == "" }

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http")
}
