package measure

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
)

// offline is a world without a Redis: the default book.
func offline(b *testing.B) *world {
	b.Helper()
	w := &world{dir: b.TempDir(), day: lastWednesday(care.DateOf(time.Now())), began: time.Now()}
	w.base = w.day.At(11, 0, time.FixedZone("", 8*3600))
	if err := writeBook(w.book(), false); err != nil {
		b.Fatal(err)
	}
	var problems []problem.Problem
	var err error
	w.checked, problems, err = carebook.Check(carebook.Options{
		Dir: w.book(), Now: w.now, PublicURL: "https://care.example", Signer: token.NewSigner([]byte("a key of the bench and of nothing else")),
	})
	if err != nil {
		b.Fatal(err, problems)
	}
	return w
}

// planned is a customer of whom something is due.
func planned(b *testing.B, ch care.Channel) (checked *carebook.Compiled, f *care.Facts, o *care.Occurrence, now time.Time) {
	b.Helper()
	w := offline(b)
	program := map[care.Channel]string{care.Webhook: "desk"}[ch]
	raw := person(w.day, 7, ch)
	if o = w.due(7, raw, program); o == nil || o.Channel != ch {
		b.Fatalf("the plan has nothing on %s: %+v", ch, o)
	}
	c, defects, err := record.Decode(raw)
	if err != nil {
		b.Fatal(err)
	}
	f = &care.Facts{ID: c.ID, Customer: c, Defects: defects, Ledger: care.Ledger{
		o.ID: {Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, On: o.On, State: care.StateClaimed, Class: o.Class, Channel: o.Channel, At: o.Release},
	}}
	return w.checked, f, o, w.base
}

// BenchmarkSweep decodes and plans the customers of the row sweep, one at a time: what is due for them is in the queue already, as in nearly
// all sweeps.
func BenchmarkSweep(b *testing.B) {
	w := offline(b)
	p, now := w.checked.Planner, w.now()
	r := scheduler.Request{From: now.Add(-p.LongestExpiry()), To: now.Add(48 * time.Hour), Now: now}
	records, all := make([][]byte, 5000), make([]*care.Facts, 5000)
	for i := range records {
		records[i] = person(w.day, i, "")
		c, defects, err := record.Decode(records[i])
		if err != nil {
			b.Fatal(err)
		}
		f := &care.Facts{ID: c.ID, Customer: c, Defects: defects}
		for _, o := range p.Changes(f, p.Plan(f, r), r).Add {
			if f.Ledger == nil {
				f.Ledger = care.Ledger{}
			}
			f.Ledger[o.ID] = care.LedgerEntry{
				Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, On: o.On, State: care.StateDue, Class: o.Class, Channel: o.Channel, At: o.Release,
			}
		}
		all[i] = f
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, _, err := record.Decode(records[i%len(records)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			f := all[i%len(all)]
			if change := p.Changes(f, p.Plan(f, r), r); !change.Empty() {
				b.Fatalf("%+v", change)
			}
		}
	})
}

// BenchmarkCheck asks the plan for a message at the moment of sending.
func BenchmarkCheck(b *testing.B) {
	for _, ch := range care.Channels {
		b.Run(string(ch), func(b *testing.B) {
			checked, f, o, now := planned(b, ch)
			rec := &care.Record{
				ID: o.ID, Customer: o.Customer, Dealer: o.Dealer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, On: o.On,
				Class: o.Class, Template: o.Template, Release: o.Release, Expires: o.Expires, Channel: o.Channel,
			}
			b.ReportAllocs()
			for b.Loop() {
				if got := checked.Check(f, rec, now, nil); got == nil || got.Verdict != care.Send {
					b.Fatalf("%+v", got)
				}
			}
		})
	}
}

// BenchmarkCompose renders and addresses a message, with the links it shows.
func BenchmarkCompose(b *testing.B) {
	for _, ch := range care.Channels {
		b.Run(string(ch), func(b *testing.B) {
			checked, f, o, now := planned(b, ch)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := checked.Compose(f, o, ch, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
