package templates_test

import (
	"testing"

	"github.com/carebell/carebell/care"
)

// TestWhoIsAddressed writes to people whose records are in another language than the text.
func TestWhoIsAddressed(t *testing.T) {
	t.Parallel()
	const texts = "{{ customer.salutation }}/{{ vehicle.model }}/{{ visit.technician }}/{{ advisor.name }}"
	const defaults = "---\ndefaults: {customer.salutation: there, vehicle.model: car, visit.technician: our workshop, advisor.name: We}\n---\n"
	set := load(t, map[string]string{
		"x/zh-CN/sms.txt": texts, "x/en/sms.txt": defaults + texts, "x/de/sms.txt": texts, "x/ja/sms.txt": defaults + texts,
	})
	for _, c := range []struct {
		locale, salutation, name, model, technician string
		advisor                                     care.Text
		want                                        string
	}{
		{"zh-CN", "王先生", "王小明", "君威", "李师傅", care.Text{"": "陈志强"}, "王先生/君威/李师傅/陈志强"},
		{"zh-CN", "", "赵六", "君威", "李师傅", care.Text{"zh-CN": "陈志强", "en": "Chen Zhiqiang"}, "赵六车主/君威/李师傅/陈志强"},
		{"zh-CN", "", "Mary Smith", "Regal", "Lee", care.Text{"en": "Chris Chen"}, "Mary Smith/Regal/Lee/Chris Chen"},
		{"zh-CN", "Ms. Smith", "Mary Smith", "Regal", "Lee", care.Text{"": "Chris Chen"}, "Ms. Smith/Regal/Lee/Chris Chen"},
		{"en", "王先生", "王小明", "君威", "李师傅", care.Text{"zh-CN": "陈志强", "en": "Chen Zhiqiang"}, "there/car/our workshop/Chen Zhiqiang"},
		{"en", "王先生", "Wang Xiaoming", "Regal", "Lee", care.Text{"": "陈志强"}, "Wang Xiaoming/Regal/Lee/陈志强"},
		{"en", "", "王小明", "昂科威PLUS", "Lee师傅", care.Text{"zh-CN": "陈志强"}, "there/car/our workshop/陈志强"},
		{"en", "Ms. Smith", "Mary Smith", "Regal", "Lee", care.Text{"de": "X", "en": "Y"}, "Ms. Smith/Regal/Lee/Y"},
		{"de", "王先生", "王小明", "君威", "李师傅", care.Text{"": "陈志强"}, "王先生/君威/李师傅/陈志强"}, // better than no message: nothing stands in
		{"ja", "王先生", "王小明", "君威", "李师傅", care.Text{"": "陈志强"}, "王先生/君威/李师傅/陈志强"},
	} {
		d := draft("x", care.SMS, c.locale)
		d.Customer.Salutation, d.Customer.Name, d.Advisor.Name = c.salutation, c.name, c.advisor
		d.Occurrence.Subject.Vehicle.Model, d.Occurrence.Subject.Visit.Technician = c.model, c.technician
		m, err := set.Render(d)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if got := string(m.Text); got != c.want {
			t.Errorf("%s %q %q: got %s, want %s", c.locale, c.salutation, c.name, got, c.want)
		}
	}
}

// TestFirstService tells a new car's first service from the others.
func TestFirstService(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{"x/en/sms.txt": "{% if service.first %}first{% else %}later{% endif %}"})
	for _, c := range []struct {
		name string
		of   func(v *care.Vehicle)
		want string
	}{
		{"no visit", func(*care.Vehicle) {}, "first"},
		{"a few km at the handover", func(v *care.Vehicle) { v.OdometerAtDelivery = 1000 }, "first"},
		{"a repair", func(v *care.Vehicle) { v.Visits = []care.Visit{{Kind: "repair"}} }, "first"},
		{"a service", func(v *care.Vehicle) { v.Visits = []care.Visit{{Kind: "repair"}, {Kind: "maintenance"}} }, "later"},
		{"a visit without a kind", func(v *care.Vehicle) { v.Visits = []care.Visit{{}} }, "later"},
		{"a service in the workshop's own words", func(v *care.Vehicle) { v.Visits = []care.Visit{{Kind: "大保养套餐"}} }, "later"},
		{"a used car", func(v *care.Vehicle) { v.OdometerAtDelivery = 1001 }, "later"},
	} {
		d := draft("x", care.SMS, "en")
		d.Dealer.VisitKinds = map[string]string{"大保养套餐": "maintenance"}
		c.of(d.Occurrence.Subject.Vehicle)
		m, err := set.Render(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(m.Text); got != c.want {
			t.Errorf("%s: got %s", c.name, got)
		}
	}
}
