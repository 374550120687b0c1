package templates_test

import (
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

// The budgets of the default book on one core: 60 µs a mail (HTML and text), 8 µs an SMS.
func BenchmarkRender(b *testing.B) {
	set, _ := templates.Load(defaultBook(b))
	for _, locale := range []string{"zh-CN", "en"} {
		for _, ch := range []care.Channel{care.Email, care.SMS, care.Webhook} {
			b.Run(string(ch)+"/"+locale, func(b *testing.B) {
				d := set.Sample(locale)
				d.Channel, d.Occurrence.Template = ch, "maintenance"
				b.ReportAllocs()
				for b.Loop() {
					if _, err := set.Render(d); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	book := defaultBook(b)
	for b.Loop() {
		if set, _ := templates.Load(book); len(set.Names()) == 0 {
			b.Fatal("no templates")
		}
	}
}
