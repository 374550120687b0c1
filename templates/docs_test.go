package templates_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/templates"
)

// TestDocs holds the tables of docs/templates.md against the code.
func TestDocs(t *testing.T) {
	t.Parallel()
	const file = "../docs/templates.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := string(raw)
	for name, table := range map[string]string{"variables": variableTable(t), "also": alsoTable(), "filters": filterTable(t)} {
		mark := "<!-- " + name + ": go test ./templates -update -->\n"
		head, rest, ok := strings.Cut(want, mark)
		_, tail, ok2 := strings.Cut(rest, "<!-- end -->")
		if !ok || !ok2 {
			t.Fatalf("docs/templates.md has no place for the table of %s", name)
		}
		want = head + mark + table + "<!-- end -->" + tail
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("docs/templates.md differs from the code; go test ./templates -update writes it anew (-want +got):\n%s", diff)
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// variableTable also holds that each variable of the sample is what the catalogue says.
func variableTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| variable | is | sample | on | can be missing if |\n|---|---|---|---|---|\n")
	for _, v := range templates.Catalogue() {
		sample := v.En
		if v.Zh != v.En {
			sample = v.Zh + " / " + v.En
		}
		on := strings.Join(v.On, ", ")
		switch {
		case on == "":
			on = "–"
		case len(v.On) > 3:
			on = "all of a vehicle"
		}
		maybe := v.Maybe
		if maybe == "" {
			maybe = "never"
		}
		fmt.Fprintf(&b, "| `%s` | %s: %s | %s | %s | %s |\n", v.Name, v.Type, cell(v.Meaning), cell(sample), on, maybe)
	}
	return b.String()
}

func alsoTable() string {
	var b strings.Builder
	b.WriteString("| field | is |\n|---|---|\n")
	for _, f := range templates.AlsoFields() {
		fmt.Fprintf(&b, "| `%s` | %s: %s |\n", f.Name, f.Type, f.Meaning)
	}
	return b.String()
}

// examples of the filters; what they come to is rendered.
var examples = map[string]string{
	"date": `{{ due.on | date: "%d/%m/%Y" }}`, "date_local": "{{ due.on | date_local }}", "date_short": "{{ due.on | date_short }}", "km": "{{ visit.km | km }}", "distance": "{{ visit.km | distance }}",
	"lunar_date": "{{ due.on | lunar_date }}", "mask": "{{ vehicle.plate | mask }}", "money": `{{ 1234.5 | money: "CNY" }}`, "phone": "{{ customer.phone | phone }}",
	"relative_days": "{{ due.on | relative_days }}", "salutation": "{{ customer.salutation | salutation }}", "weekday": "{{ due.on | weekday }}",
	"abs": "{{ -3 | abs }}", "append": `{{ vehicle.model | append: "!" }}`, "at_least": "{{ due.days | at_least: 14 }}", "at_most": "{{ due.days | at_most: 7 }}",
	"capitalize": `{{ "brake PADS" | capitalize }}`, "ceil": "{{ 2.1 | ceil }}", "compact": `{{ "a,,b" | split: "," | compact | join: "-" }}`, "default": `{{ event.place | default: "A" | size }}`,
	"divided_by": "{{ due.days | divided_by: 7 }}", "downcase": `{{ "ABC" | downcase }}`, "first": "{{ visit.declined | first }}", "floor": "{{ 2.9 | floor }}",
	"join": `{{ visit.declined | join: " + " }}`, "last": "{{ visit.declined | last }}", "lstrip": `{{ " a" | lstrip }}`, "map": `{{ also | map: "on" | join }}`,
	"minus": "{{ due.days | minus: 3 }}", "modulo": "{{ due.days | modulo: 7 }}", "pluralize": `{{ due.days }} {{ due.days | pluralize: "day", "days" }}`, "plus": "{{ due.days | plus: 3 }}",
	"prepend": `{{ vehicle.model | prepend: "Buick " }}`, "remove": `{{ "a-b-c" | remove: "-" }}`, "remove_first": `{{ "a-b-c" | remove_first: "-" }}`, "replace": `{{ "a-b-c" | replace: "-", "/" }}`,
	"replace_first": `{{ "a-b-c" | replace_first: "-", "/" }}`, "reverse": `{{ visit.declined | reverse }}`, "round": "{{ forecast.rate | round }}", "rstrip": `{{ "a " | rstrip }}`,
	"size": "{{ visit.declined | size }}", "slice": "{{ vehicle.id | slice: -6, 6 }}", "sort": `{{ "b,a" | split: "," | sort | join: "" }}`, "split": `{{ "a,b" | split: "," | last }}`,
	"strip": `{{ " a " | strip }}`, "times": "{{ due.days | times: 2 }}", "truncate": "{{ dealer.address | truncate: 6 }}", "uniq": `{{ "a,a,b" | split: "," | uniq | join: "" }}`, "upcase": "{{ vehicle.make | upcase }}",
}

func filterTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("The first are carebell's own, the others are Liquid's.\n\n| filter | does | for example | zh-CN | en |\n|---|---|---|---|---|\n")
	for _, f := range templates.Filters() {
		src, ok := examples[f.Name]
		if !ok {
			t.Fatalf("the filter %s has no example", f.Name)
		}
		set, problems := templates.Load(bookOf(map[string]string{"x/zh-CN/sms.txt": src, "x/en/sms.txt": src}), templates.Options{Lunar: calendar.Words})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var out [2]string
		for i, locale := range []string{"zh-CN", "en"} {
			d := set.Sample(locale)
			d.Channel, d.Occurrence.Template = care.SMS, "x"
			d.Occurrence.Subject.Also = []*care.Occurrence{{Due: day("2026-12-04")}}
			m, err := set.Render(d)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			out[i] = string(m.Text)
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", cell(f.Usage), f.Meaning, cell(src), cell(out[0]), cell(out[1]))
	}
	return b.String()
}

// TestCatalogue holds that the sample has every variable, with the value that the catalogue names.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, v := range templates.Catalogue() {
		if v.Name == "subject" || v.Name == "preheader" || v.Name == "also" {
			continue // of the message itself; TestEmail has them
		}
		for _, locale := range []string{"zh-CN", "en"} {
			files[v.Name+"/"+locale+"/sms.txt"] = "{{ " + v.Name + " }}"
		}
	}
	set := load(t, files)
	for _, v := range templates.Catalogue() {
		for locale, want := range map[string]string{"zh-CN": v.Zh, "en": v.En} {
			if files[v.Name+"/"+locale+"/sms.txt"] == "" {
				continue
			}
			d := set.Sample(locale)
			d.Channel, d.Occurrence.Template = care.SMS, v.Name
			if v.Name == "years" {
				d.Occurrence.Due = day("2026-03-01")
			}
			m, err := set.Render(d)
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
				continue
			}
			if v.Type == "list" {
				want = strings.SplitAfter(want, "、")[0]
				if !strings.HasPrefix(string(m.Text), want) {
					t.Errorf("%s in %s: got %q, want it to begin with %q", v.Name, locale, m.Text, want)
				}
				continue
			}
			if string(m.Text) != want {
				t.Errorf("%s in %s: got %q, want %q", v.Name, locale, m.Text, want)
			}
		}
	}
}
