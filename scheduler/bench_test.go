package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

// benchRecords are records like that of the specification, with dates all over the year.
func benchRecords(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		r := strings.NewReplacer(
			"C100001", fmt.Sprintf("C%06d", i), `lunar:1985-12-30`, fmt.Sprintf("1985-%02d-%02d", i%12+1, i%28+1),
			`"delivered_on":"2024-02-29"`, fmt.Sprintf(`"delivered_on":"2024-%02d-%02d"`, i/3%12+1, i%28+1),
			`"insurance_until":"2027-02-28"`, fmt.Sprintf(`"insurance_until":"2027-%02d-%02d"`, i/5%12+1, i%28+1),
			`"closed_on":"2026-05-02"`, fmt.Sprintf(`"closed_on":"2026-%02d-%02d"`, i/7%11+1, i%28+1),
			"RM77M", fmt.Sprintf("%05d", i), "RM88N", fmt.Sprintf("%05d", i+n),
		)
		out[i] = []byte(r.Replace(wang))
	}
	return out
}

// BenchmarkPlan plans customers with two cars each as a sweep does; the target is 60,000 customers a second on one core, with
// their records decoded.
func BenchmarkPlan(b *testing.B) {
	programs, dealer := trade()
	p := newPlanner(b, dealer, programs...)
	records := benchRecords(5000)
	all := make([]*care.Facts, len(records))
	for i, raw := range records {
		all[i] = facts(b, string(raw))
	}
	now := at(b, "2026-11-22 10:00")
	r := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(Horizon), Now: now}
	perSecond := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "customers/s")
	}
	b.Run("sweep", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for i := 0; b.Loop(); i++ {
			n += len(p.Plan(all[i%len(all)], r))
		}
		perSecond(b)
		b.ReportMetric(float64(n)/float64(b.N), "occurrences/op")
	})
	b.Run("sweep with decoding", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c, defects, err := record.Decode(records[i%len(records)])
			if err != nil {
				b.Fatal(err)
			}
			p.Plan(&care.Facts{ID: c.ID, Customer: c, Defects: defects}, r)
		}
		perSecond(b)
	})
	b.Run("nothing is due", func(b *testing.B) {
		b.ReportAllocs()
		quiet := facts(b, strings.NewReplacer("2027-02-10", "2030-02-10", "2026-12-24", "2020-05-05").Replace(wang))
		for b.Loop() {
			p.Plan(quiet, r)
		}
		perSecond(b)
	})
	b.Run("a year", func(b *testing.B) {
		b.ReportAllocs()
		year := Request{From: now, To: now.AddDate(1, 0, 0)}
		for i := 0; b.Loop(); i++ {
			p.Plan(all[i%len(all)], year)
		}
		perSecond(b)
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		var f *care.Facts
		var rec *care.Record
		for _, f = range all {
			if list := p.Plan(f, Request{From: now, To: now.Add(Horizon)}); len(list) > 0 && list[0].Verdict == care.Send {
				rec = recordOf(list[0])
				break
			}
		}
		for b.Loop() {
			if o := p.Check(f, rec, Request{Now: rec.Release}); o.Verdict != care.Send {
				b.Fatal(o.Reason)
			}
		}
	})
}
