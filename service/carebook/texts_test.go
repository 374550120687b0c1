package carebook

import (
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/channels/sms"
)

// TestTextsAreShort counts the parts of every text message of the default book for a usual name and model and a dealer's signature of eight
// characters: one, or two if it shows a link or the dealer's gateway counts English as Chinese.
func TestTextsAreShort(t *testing.T) {
	t.Parallel()
	c, err := Open(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range c.Templates.Names() {
		for _, locale := range c.Templates.Locales(name, care.SMS) {
			for _, country := range []string{"CN", "US"} {
				d := c.Templates.SampleFor(name, care.SMS, locale)
				o := d.Occurrence
				o.Subject.Also = nil
				o.Due = care.NewDate(2026, 12, 12)
				d.Dealer.Country, d.Dealer.SMSSignature = country, care.Text{"zh-CN": "上海浦东别克中心", "en": "Example Motors"}
				d.Advisor.Name = care.Text{"zh-CN": "顾文彬", "en": "Gu Wenbin"}
				if country == "US" {
					d.Advisor.Phone = "+12125550123"
				}
				if v := o.Subject.Vehicle; v != nil {
					if v.Model = "Envision"; locale == "zh-CN" {
						v.Model = "昂科威PLUS"
					}
				}
				m, err := c.Templates.Render(d)
				if err != nil {
					t.Fatal(err)
				}
				want := 1
				if strings.Contains(string(m.Text), "https://") || locale == "en" && country == "CN" {
					want = 2
				}
				n++
				if parts, _ := sms.Parts(string(m.Text), m.Signature, sms.StyleFor(country)); parts > want && (country == "CN" || locale == "en") {
					t.Errorf("%s/%s in %s: %d parts, want %d: 【%s】%s (%d characters)", name, locale, country, parts, want, m.Signature, m.Text, len([]rune(string(m.Text))))
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d texts", n)
	}
}

// TestSampleLinks holds that a sample's links are about as long as true ones.
func TestSampleLinks(t *testing.T) {
	t.Parallel()
	signer := token.NewSigner([]byte(strings.Repeat("k", 32)))
	c, err := Open(Options{Signer: signer, PublicURL: "https://care.example", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	d := c.Templates.SampleFor("service-followup", care.Email, "zh-CN")
	d.Channel = care.SMS
	shown := c.Templates.Shows(d)
	shown.Survey, shown.RSVP, shown.Odometer, shown.Unsubscribe = true, true, true, true
	sample := d.Links
	got := c.links.of(d, shown, false)
	for name, both := range map[string][2]string{
		"survey": {sample.Survey, got.Survey}, "rsvp": {sample.RSVP, got.RSVP}, "odometer": {sample.Odometer, got.Odometer}, "unsubscribe": {sample.Unsubscribe, got.Unsubscribe},
	} {
		if len(both[0]) < len(both[1]) || len(both[0]) > len(both[1])+6 {
			t.Errorf("%s: the sample has %d characters, a true link %d: %s", name, len(both[0]), len(both[1]), both[1])
		}
	}
}
