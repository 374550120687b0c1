package insight

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
)

// twoDealers is a book of the dealers a and b with one program.
func twoDealers(t *testing.T) *carebook.Compiled {
	t.Helper()
	dealer := func(name string) string {
		return "  - {dealer: " + name + ", name: " + name + ", time_zone: UTC, locale: en, country: CN, phone: \"+862150000000\", from: {name: A, email: a@a.example}, " +
			"sms_signature: A, consent_default: {service: true}}\n"
	}
	files := fstest.MapFS{
		"dealers.yaml":           {Data: []byte("dealers:\n" + dealer("a") + dealer("b"))},
		"programs/p.yaml":        {Data: []byte("program: p\ntrigger: {on: calendar, dates: [\"--11-25\"]}\nschedule: \"0 10 * * *\"\nexpires: same_day\nchannels: [sms]\nsteps: [{step: s, template: t}]\n")},
		"templates/t/en/sms.txt": {Data: []byte("Hello\n")},
	}
	book, err := carebook.Open(carebook.Options{Files: files, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// Two dealers' customers of one household, who share a number; one of a dealer who is not in the book; one that cannot be read.
const twoDealersPeople = `{"id":"A1","dealer":"a","phone":"13800138000","household":"H"}
{"id":"A2","dealer":"a","phone":"nonsense","birthday":"yesterday"}
{"id":"B0","dealer":"b","phone":"13800138000"}
{"id":"B1","dealer":"b","phone":"13800138000","household":"H"}
{"id":"B2","dealer":"b","phone":"nonsense","birthday":"yesterday"}
{"id":"X1","dealer":"elsewhere","phone":"13800138001"}
not json
`

var (
	nobody = care.Principal{}
	ofA    = care.Principal{Name: "Chen", Role: "advisor", Dealers: []string{"a"}}
)

func peopleOfTwoDealers(t *testing.T) (*Service, PlanOptions) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "people.jsonl")
	if err := os.WriteFile(file, []byte(twoDealersPeople), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := quarter()
	opt.File = file
	return serviceOf(twoDealers(t)), opt
}

// Whoever is bound to dealers sees, counts and is told of their customers only; the operator of all.
func TestPrincipalsSeeTheirDealersOnly(t *testing.T) {
	t.Parallel()
	service, opt := peopleOfTwoDealers(t)
	broken := opt.File + ":7"
	for name, tt := range map[string]struct {
		who                        care.Principal
		planned, defects, flaws    []string // customers, each once
		customers, goes, forecasts int
	}{
		"nobody": {who: nobody},
		"a": {
			who: ofA, planned: []string{"A1", "A2"}, defects: []string{"A2"}, flaws: []string{"A2"}, customers: 2, goes: 1, forecasts: 2,
		},
		"all": {
			who: care.CommandLine(), planned: []string{"A1", "A2", "B0", "B1", "B2"}, defects: []string{broken, "A2", "B2", "X1"},
			flaws: []string{broken, "A2", "B0", "B2", "X1"}, customers: 7, goes: 1, forecasts: 7,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			planned, defects, flaws := names{}, names{}, names{}
			asked := opt
			asked.Defect = func(customer, _, _ string) { defects.add(customer) }
			err := service.Plan(t.Context(), tt.who, asked, func(l PlanLine) error { planned.add(l.Customer); return nil })
			if err != nil {
				t.Fatal(err)
			}
			customers, err := service.Hygiene(t.Context(), tt.who, HygieneOptions{File: opt.File}, func(f Flaw) error {
				flaws.add(f.Customer)
				if !tt.who.All() && strings.ContainsAny(f.Detail, "BX") {
					t.Errorf("a flaw names somebody else's customer: %+v", f)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			forecast, err := service.Forecast(t.Context(), tt.who, ForecastOptions{PlanOptions: opt})
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2][]string{"plan": {tt.planned, planned.sorted()}, "defects": {tt.defects, defects.sorted()}, "hygiene": {tt.flaws, flaws.sorted()}} {
				if d := cmp.Diff(pair[0], pair[1]); d != "" {
					t.Errorf("%s: %s", what, d)
				}
			}
			if customers != tt.customers || forecast.Customers != tt.forecasts {
				t.Errorf("hygiene counts %d customers, forecast %d, want %d and %d", customers, forecast.Customers, tt.customers, tt.forecasts)
			}
			for _, v := range forecast.Volumes {
				if !tt.who.Sees(v.Dealer) {
					t.Errorf("the forecast counts %+v", v)
				}
			}
			for _, u := range forecast.Unreachable {
				if !tt.who.Sees(u.Dealer) {
					t.Errorf("the forecast names %+v", u)
				}
			}
			service := *service
			service.Now = func() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }
			today, _, err := service.Today(t.Context(), tt.who, opt.File)
			if err != nil || today.Customers != tt.goes {
				t.Errorf("today %+v, %v, want %d customers", today, err, tt.goes)
			}
		})
	}
}

// Another dealer's customer is as unknown as one who does not exist, and no answer names one.
func TestExplainKnowsTheirDealersOnly(t *testing.T) {
	t.Parallel()
	service, opt := peopleOfTwoDealers(t)
	ask := func(who care.Principal, id string) (*Explanation, error) {
		return service.Explain(t.Context(), who, ExplainOptions{Customer: id, File: opt.File, Locale: "en", Others: true})
	}
	_, missing := ask(ofA, "NOBODY")
	for _, id := range []string{"B1", "B2", "X1"} {
		_, err := ask(ofA, id)
		if !errors.Is(err, ErrNoCustomer) || strings.ReplaceAll(err.Error(), id, "NOBODY") != missing.Error() {
			t.Errorf("%s: %v, want what is said of one who does not exist: %v", id, err, missing)
		}
		if _, err := ask(care.CommandLine(), id); err != nil {
			t.Errorf("the operator asks for %s: %v", id, err)
		}
	}
	if _, err := ask(nobody, "A1"); !errors.Is(err, ErrNoCustomer) {
		t.Errorf("nobody is told of A1: %v", err)
	}
	named := func(x *Explanation) string {
		for _, p := range x.Programs {
			for _, n := range p.Next {
				for _, g := range n.Gates {
					if g.Gate == "duplicate_household" && !g.Pass {
						return "stopped by " + g.Detail
					}
				}
			}
		}
		return ""
	}
	ofB := care.Principal{Name: "Li", Role: "advisor", Dealers: []string{"b"}}
	for who, want := range map[*care.Principal]string{{Name: "all"}: "stopped by A1", &ofB: "stopped by "} {
		x, err := ask(*who, "B1")
		if err != nil {
			t.Fatal(err)
		}
		if got := named(x); got != want {
			t.Errorf("%s is told that B1 is %q, want %q", who.Name, got, want)
		}
	}
}

// names gathers names, each once.
type names map[string]bool

func (n names) add(name string) { n[name] = true }

func (n names) sorted() []string {
	var out []string
	for name := range n {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
