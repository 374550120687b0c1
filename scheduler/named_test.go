package scheduler

import (
	"testing"

	"github.com/carebell/carebell/care"
)

// An expression is answered by the words that it names as it is by all of them.
func TestAudienceSeesTheWordsItNames(t *testing.T) {
	t.Parallel()
	programs, d := trade()
	p := newPlanner(t, d, programs...)
	f := facts(t, wang)
	now := at(t, "2026-11-22 10:00")
	run := p.begin(f, Request{Now: now})
	defer run.end()
	answers := map[bool]int{}
	for _, source := range []string{
		`grade == "A"`, `age_days < 600`, `days_since_visit >= 180`, `messages_last_30d == 0`, `rsvp != "no"`, `dealer.country == "CN"`, `true`,
		`customer.name != ""`, `customer.birthday != "" and customer.id == "C100001"`, `"ev" in customer.tags`,
		`vehicle.make == "Buick"`, `vehicle.age_days == age_days`, `vehicle.odometer[0].km > 0`, `len(vehicle.visits) > 0`, `vehicle.visits[7].km > 0`,
		`len(vehicles) == 2`, `any(vehicles, .model == "GL8")`, `vehicles[0].id == vehicle.id`, `len(vehicles) > 0 ? customer.grade == "A" : false`,
		`$env["grade"] == "A"`, `len($env.vehicles) == 2`, `$env.customer.name != ""`, `let v = vehicles; len(v) == 2`,
	} {
		for vehicle := range f.Customer.Vehicles {
			some, problem := compileAudience(&care.Book{}, "test", source, ofVehicle)
			if problem != nil {
				t.Fatalf("%s: %v", source, problem)
			}
			all := *some
			all.named = named{customer: true, vehicles: true, makes: true, loops: true}
			c := &candidate{vehicle: vehicle, occ: &care.Occurrence{}}
			got, failure := run.fits(c, some, now)
			want, wanted := run.fits(c, &all, now)
			if got != want || failure != wanted {
				t.Errorf("%s of vehicle %d: %t %q, want %t %q", source, vehicle, got, failure, want, wanted)
			}
			answers[got]++
		}
	}
	if answers[true] == 0 || answers[false] == 0 {
		t.Errorf("all say the same: %v", answers)
	}
}
