package templates_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

func TestBranches(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"x/zh-CN/sms.txt": `{% if advisor.name %}甲{% if due.days > 99 %}远{% else %}近{% endif %}{% elsif visit.km %}乙{% endif %}{% case forecast.winner %}{% when "km" %}里{% when "date" %}日{% endcase %}{% unless event.title %}无{{ visit.order }}{% endunless %}{% case locale %}{% endcase %}`,
		"y/zh-CN/sms.txt": `{% if event.title %}{{ event.title }}{% else %}x{% endif %}`,
	})
	got, err := set.Branches(draft("x", care.SMS, "zh-CN"))
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, b := range got {
		if b.Err != nil {
			t.Errorf("%s: %v", b.Tag, b.Err)
			continue
		}
		shown = append(shown, b.Tag+" "+string(b.Message.Text))
	}
	want := []string{
		" 甲近里无RO-889",
		"{% elsif visit.km %} 乙里无RO-889", " 里无RO-889",
		"{% if due.days > 99 %} 甲远里无RO-889",
		`{% when "date" %} 甲近日无RO-889`, " 甲近无RO-889",
		" 甲近里",
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("branches (-want +got):\n%s", diff)
	}
	if got[3].Line != 1 || got[3].Column != 23 || got[3].File != "templates/x/zh-CN/sms.txt" {
		t.Errorf("place: %+v", got[3])
	}

	got, err = set.Branches(draft("y", care.SMS, "zh-CN"))
	if err != nil || len(got) != 2 || care.KindOf(got[1].Err) != care.KindContent {
		t.Errorf("a branch whose value is missing: got %+v, %v", got, err)
	}
}

// TestDefaultBookBranches takes every branch of every message of the default book.
func TestDefaultBookBranches(t *testing.T) {
	t.Parallel()
	set, _ := templates.Load(defaultBook(t))
	n := 0
	for _, name := range set.Names() {
		for _, ch := range care.Channels {
			for _, locale := range set.Locales(name, ch) {
				d := set.Sample(locale)
				d.Channel, d.Occurrence.Template = ch, name
				all, err := set.Branches(d)
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range all {
					if b.Err != nil {
						t.Errorf("%s:%d:%d %s: %v", b.File, b.Line, b.Column, b.Tag, b.Err)
					}
				}
				n += len(all)
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d branches", n)
	}
}
