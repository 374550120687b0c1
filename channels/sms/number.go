package sms

import (
	"errors"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
)

// numberer is a gateway that does not take every number in E.164: it writes one in its own form, or says that it cannot.
type numberer interface {
	number(to, country string) (string, error)
}

// writes reports whether a gateway can be given a number (E.164) of a dealer's customer without making another of it.
func (r *route) writes(to, country string) bool {
	n, ok := r.gateway.(numberer)
	if !ok {
		return true
	}
	_, err := n.number(to, country)
	return err == nil
}

// otherNumber refuses a number that the gateway's form would make another one: its text would reach a stranger.
func otherNumber() *care.Error {
	return content("country", "the gateway takes numbers of one country, in its national form, and this is none: route it to a gateway that takes number: e164")
}

// home is the country whose national numbers a gateway of a dealer takes; a dealer without one is in China.
func home(country string) string {
	if country == "" {
		return "CN"
	}
	return country
}

// number is the number in the form that the gateway's file asks for.
func (g *generic) number(to, country string) (string, error) {
	form := func(e164, _ string) (string, error) { return e164, nil }
	switch g.spec.Number {
	case "digits":
		form = contact.Digits
	case "national":
		form = contact.National
	}
	n, err := form(to, home(country))
	if err != nil {
		return "", otherNumber()
	}
	return n, nil
}

// number is as Aliyun takes it: a mainland number without its code, every other with it (SendSms, PhoneNumbers). Eleven digits
// that begin with 1 are a mobile of the mainland to Aliyun, so that some numbers of North America cannot be written at all.
func (y *aliyun) number(to, _ string) (string, error) {
	if mobile, err := contact.National(to, "CN"); err == nil && len(mobile) == 11 && mobile[0] == '1' {
		return mobile, nil
	}
	n, err := contact.Digits(to, "CN")
	if err != nil {
		return "", otherNumber()
	}
	return n, nil
}

// plus completes a number of a callback, as the countries that the account is for write theirs; an account for every country is read as
// one of China.
func (p *provider) plus(number string) string {
	countries := p.Countries
	if len(countries) == 0 {
		countries = []string{"CN"}
	}
	if n := contact.Readings(number, countries...); len(n) > 0 {
		return n[0]
	}
	return ""
}

// chinese completes a number in a callback of a provider of the mainland.
func chinese(number string) string { return (&provider{}).plus(number) }

// check refuses what is none of ours to send before any gateway is asked.
func (s *Sender) check(m *care.Message) error {
	if !e164(m.To) {
		return &care.Error{Kind: care.KindRecipient, Code: "bad_number", Local: true, Err: errors.New("the customer's number is not in E.164 form")}
	}
	if !care.ValidID(m.WireID()) {
		return content("bad_id", "the message's id is none")
	}
	if !s.allowed(m.To) {
		return content("country", "numbers of this country are not written to")
	}
	return nil
}

// e164 reports whether s is + and 7 to 15 digits (ITU-T E.164).
func e164(s string) bool {
	_, err := contact.Digits(s, "")
	return err == nil
}
