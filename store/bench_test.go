package store

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/lua"
)

// fill queues n due messages of n customers.
func (b *bundle) fill(tb testing.TB, n int) {
	tb.Helper()
	const chunk = 2000
	for at := 0; at < n; at += chunk {
		changes := make([]care.Change, 0, chunk)
		for i := at; i < min(n, at+chunk); i++ {
			o := occurrence(customer(i), 0, epoch.Add(-time.Minute))
			changes = append(changes, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
		}
		if _, err := b.Apply(tb.Context(), changes); err != nil {
			tb.Fatal(err)
		}
	}
}

// perMessage reports the time, our CPU time and Redis' for each of n messages, from now until the function it returns is called.
func perMessage(b *testing.B, s *bundle, n int) func() {
	b.Helper()
	cpu := func() (sum float64) {
		info, err := lua.Info(b.Context(), s.single, "cpu")
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
			var sec float64
			if _, err := fmt.Sscan(info[name], &sec); err != nil {
				b.Fatal(err)
			}
			sum += sec
		}
		return sum
	}
	own := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, mine := cpu(), own()
	b.ResetTimer()
	return func() {
		b.StopTimer()
		b.ReportMetric(float64((own()-mine).Nanoseconds())/1000/float64(n), "own-µs/msg")
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/msg")
		b.ReportMetric((cpu()-before)*1e6/float64(n), "redis-µs/msg")
	}
}

// BenchmarkLife takes messages in batches of 100 from due to sent: claim, facts, intents, results.
func BenchmarkLife(b *testing.B) {
	s := onRedis(b)
	s.fill(b, b.N)
	b.ReportAllocs()
	report := perMessage(b, s, b.N)
	done := 0
	for done < b.N {
		claims, err := s.Claim(b.Context(), care.Lanes, 100, time.Minute)
		if err != nil || len(claims) == 0 {
			b.Fatal(len(claims), done, err)
		}
		ids := make([]string, len(claims))
		intents := make([]care.Intent, len(claims))
		results := make([]care.Result, len(claims))
		for i, c := range claims {
			ids[i] = c.Record.Customer
			intents[i] = care.Intent{Claim: c, At: epoch}
			results[i] = result(c, care.StateSent, epoch)
		}
		if _, err := s.Facts(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Begin(b.Context(), intents); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Complete(b.Context(), results); err != nil {
			b.Fatal(err)
		}
		done += len(claims)
	}
	report()
}

func BenchmarkClaim(b *testing.B) {
	s := onRedis(b)
	s.fill(b, b.N)
	b.ReportAllocs()
	report := perMessage(b, s, b.N)
	for done := 0; done < b.N; {
		claims, err := s.Claim(b.Context(), care.Lanes, 100, time.Minute)
		if err != nil || len(claims) == 0 {
			b.Fatal(len(claims), err)
		}
		done += len(claims)
	}
	report()
}

func BenchmarkComplete(b *testing.B) {
	s := onRedis(b)
	s.fill(b, b.N)
	var results []care.Result
	for len(results) < b.N {
		claims, err := s.Claim(b.Context(), care.Lanes, 1000, time.Hour)
		if err != nil || len(claims) == 0 {
			b.Fatal(len(claims), err)
		}
		for _, c := range claims {
			results = append(results, result(c, care.StateSent, epoch))
		}
	}
	b.ReportAllocs()
	report := perMessage(b, s, b.N)
	for at := 0; at < len(results); at += 100 {
		if _, err := s.Complete(b.Context(), results[at:min(at+100, len(results))]); err != nil {
			b.Fatal(err)
		}
	}
	report()
}

func BenchmarkIdleClaim(b *testing.B) {
	s := onRedis(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Claim(b.Context(), care.Lanes[:2], 100, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	s := onRedis(b)
	b.ReportAllocs()
	report := perMessage(b, s, b.N)
	s.fill(b, b.N)
	report()
}

func record(i int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"dealer":"sh-pudong","name":"王小明","email":"wang%d@example.com","phone":"+8613800138000","locale":"zh-CN",`+
		`"birthday":"1985-02-20","grade":"A","consent":{"sms":{"service":true,"commercial":false}},"vehicles":[{"id":"LSGHXRT911E8RM77M",`+
		`"make":"Buick","model":"Regal","delivered_on":"2024-03-01","odometer":[{"on":"2026-05-02","km":31000}],`+
		`"visits":[{"order":"RO-889","closed_on":"2026-05-02","km":31000}]}]}`, customer(i), i)
}

func (b *bundle) customers(tb testing.TB, n int) {
	tb.Helper()
	for at := 0; at < n; at += batch {
		ids := make([]string, min(batch, n-at))
		for i := range ids {
			ids[i] = customer(at + i)
		}
		if _, err := b.Merge(tb.Context(), ids, func(i int, _ []byte) ([]byte, error) { return record(at + i), nil }); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	s := onRedis(b)
	b.ReportAllocs()
	report := perMessage(b, s, b.N)
	s.customers(b, b.N)
	report()
}

func BenchmarkScan(b *testing.B) {
	s := onRedis(b)
	s.customers(b, b.N)
	b.ReportAllocs()
	report := perMessage(b, s, b.N)
	n := 0
	if err := s.Scan(b.Context(), func(f []*care.Facts) error { n += len(f); return nil }); err != nil || n < b.N {
		b.Fatal(n, err)
	}
	report()
}

// BenchmarkFacts reads customers with a record, and a ledger of one message, 3,000 at a time.
func BenchmarkFacts(b *testing.B) {
	s := onRedis(b)
	const n = 3000
	s.customers(b, n)
	s.fill(b, n)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = customer(i)
	}
	b.ReportAllocs()
	report := perMessage(b, s, n*b.N)
	for range b.N {
		facts, err := s.Facts(b.Context(), ids)
		if err != nil || len(facts) != n || facts[n-1].Customer == nil || len(facts[n-1].Ledger) != 1 {
			b.Fatal(len(facts), err)
		}
	}
	report()
}

// BenchmarkMemory reports what Redis holds for a customer with three messages, beside the record itself.
func BenchmarkMemory(b *testing.B) {
	server := ownRedis(b, "--appendonly", "yes")
	s := bundleAt(b, server.URL(), false)
	used := func() float64 {
		info, err := lua.Info(b.Context(), s.single, "memory")
		if err != nil {
			b.Fatal(err)
		}
		var n float64
		if _, err := fmt.Sscan(info["used_memory_dataset"], &n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	const n = 5000
	before := used()
	for b.Loop() {
		s.customers(b, n)
		s.redis.Del(b.Context(), keyspace.Changes)
		records := used()
		b.ReportMetric((records-before)/n, "B/record")
		b.ReportMetric(float64(len(record(1))), "B/JSON")
		for step := range 3 {
			changes := make([]care.Change, n)
			for i := range changes {
				o := occurrence(customer(i), step, epoch.AddDate(0, -step, 0))
				changes[i] = care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}}
			}
			if _, err := s.Apply(b.Context(), changes); err != nil {
				b.Fatal(err)
			}
			if step == 0 {
				b.ReportMetric((used()-records)/n, "B/first-message")
			}
		}
		b.ReportMetric((used()-records)/n, "B/3-messages")
		for {
			claims, err := s.Claim(b.Context(), care.Lanes, 1000, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			if len(claims) == 0 {
				break
			}
			results := make([]care.Result, len(claims))
			for i, c := range claims {
				results[i] = result(c, care.StateSent, epoch)
			}
			if _, err := s.Complete(b.Context(), results); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((used()-records)/n, "B/3-sent")
	}
}
