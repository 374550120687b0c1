package measure

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/sweep"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
)

// dueAtOnce is how many messages the row due looks for among all customers.
const dueAtOnce = 3000

// prepareDue loads all customers: 3,000 messages are due, every fifth of the others has one in the two days to come.
func prepareDue(ctx context.Context, w *world) error {
	if err := w.load(ctx, w.opt.Customers, ""); err != nil {
		return err
	}
	o := w.due(0, person(w.day, 0, care.Email), "maintenance")
	if o == nil {
		return fmt.Errorf("the plan has nothing for a customer of the bench")
	}
	now := w.now()
	step := max(1, w.opt.Customers/dueAtOnce)
	var changes []care.Change
	for i := range w.opt.Customers {
		one := *o
		switch {
		case i%step == 0 && i/step < dueAtOnce:
			one.Release = now.Add(-time.Duration(i/step) * time.Millisecond)
		case i%5 == 1:
			one.Release = now.Add(time.Hour + time.Duration(i)*time.Millisecond%(47*time.Hour))
		default:
			continue
		}
		one.Customer = customerID(i)
		one.ID = care.OccurrenceID(one.Customer, one.Vehicle, one.Program, one.Step, one.Cycle)
		changes = append(changes, care.Change{Customer: one.Customer, Add: []*care.Occurrence{&one}})
		if len(changes) == chunk || i == w.opt.Customers-1 {
			if _, err := w.store.Apply(ctx, changes); err != nil {
				return err
			}
			changes = changes[:0]
		}
	}
	_, err := w.store.Apply(ctx, changes)
	return err
}

// measureDue claims what is due among all customers, and reads those customers, with overlays and ledgers and then without. The reads of the
// limit behind each drive what has just been read out of the processor's caches, before the same customers are read again.
func measureDue(ctx context.Context, w *world) (run, error) {
	claimed, ledgers, err := w.readDue(ctx, w.store.Facts)
	if err != nil {
		return run{}, err
	}
	if _, err := w.bareGets(ctx); err != nil {
		return run{}, err
	}
	_, records, err := w.readDue(ctx, w.store.Customers)
	if err != nil {
		return run{}, err
	}
	rate, err := w.bareGets(ctx)
	if err != nil {
		return run{}, err
	}
	return run{
		ours: millis(records), limit: dueAtOnce / rate * 1000, score: millis(records),
		note: fmt.Sprintf("3,000 due among %d customers; with overlays and ledgers, as the daemon reads them before it sends, %.1f ms, of it the claim %.1f ms",
			w.opt.Customers, millis(ledgers), millis(claimed)),
	}, nil
}

// bareGets is how many customers' records redis-benchmark reads in a second.
func (w *world) bareGets(ctx context.Context) (rate float64, err error) {
	rate, _, err = w.redis.benchmark(ctx, "-n", "300000", "-P", "100", "-c", "1", "-r", "100000", "GET", "care:customer:C000__rand_int__")
	return rate, err
}

// readDue claims all that is due, has its customers read, and gives it back. It says when all was claimed, and when all was read.
func (w *world) readDue(ctx context.Context, read func(context.Context, []string) ([]*care.Facts, error)) (claimed, took time.Duration, err error) {
	runtime.GC() // of what loading and the run before left behind
	began := time.Now()
	claims, err := w.store.Claim(ctx, care.Lanes, 2*dueAtOnce, time.Minute) // nobody knows beforehand how many are due
	if err != nil {
		return 0, 0, err
	}
	claimed = time.Since(began)
	ids := make([]string, len(claims))
	for i, c := range claims {
		ids[i] = c.Record.Customer
	}
	facts, err := read(ctx, ids)
	if err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	if len(claims) != dueAtOnce || len(facts) != len(claims) {
		return 0, 0, fmt.Errorf("%d of %d were claimed", len(claims), dueAtOnce)
	}
	back := make([]care.Result, len(claims))
	for i, c := range claims {
		rec := c.Record
		rec.State = care.StateDue
		back[i] = care.Result{Claim: c, Record: rec, Next: rec.Release}
	}
	_, err = w.store.Complete(ctx, back)
	return claimed, took, err
}

// swept is what a sweep took.
type swept struct {
	wall, cpu, redis time.Duration
	customers        int
}

// leader is kept for the runs.
type leader struct {
	sweeper *sweep.Sweeper
	first   swept
}

// sweeper is one that leads, and knows what the sweeps before have learnt.
func (w *world) sweeper() (*sweep.Sweeper, error) {
	return sweep.New(sweep.Config{
		Planner: func() *scheduler.Planner { return w.checked.Planner }, Source: w.store, Operators: w.store, Leader: w.store,
		Queue: sweep.QueueFunc(func(ctx context.Context, changes []care.Change) error {
			_, err := w.store.Apply(ctx, changes)
			return err
		}),
		Holder: "bench", Now: w.now, Log: w.opt.Log,
		Observer: sweep.Observer{Batch: func(p sweep.Progress) {
			w.opt.Progress("sweep: customers", int64(p.Customers), int64(w.opt.Customers))
		}},
	})
}

// sweep goes through all customers once as the daemon does.
func (w *world) sweep(ctx context.Context, s *sweep.Sweeper) (out swept, err error) {
	redisBefore, err := w.redis.cpu(ctx)
	if err != nil {
		return out, err
	}
	began, before := time.Now(), cpu()
	p, err := s.Sweep(ctx)
	if err != nil {
		return out, err
	}
	out.wall, out.cpu, out.customers = time.Since(began), cpu()-before, p.Customers
	after, err := w.redis.cpu(ctx)
	out.redis = after - redisBefore
	return out, err
}

func prepareSweep(ctx context.Context, w *world) error {
	if err := w.load(ctx, w.opt.Customers, ""); err != nil {
		return err
	}
	s, err := w.sweeper()
	if err != nil {
		return err
	}
	first, err := w.sweep(ctx, s) // queues what is due, and learns who shares what; those after it find that, as nearly all sweeps do
	w.extra = &leader{s, first}
	return err
}

// measureSweep sweeps with one core, and scales to a million customers.
func measureSweep(ctx context.Context, w *world) (run, error) {
	cores := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(cores)
	lead := w.extra.(*leader)
	s, err := w.sweep(ctx, lead.sweeper)
	if err != nil {
		return run{}, err
	}
	rate, _, err := w.redis.benchmark(ctx, "-n", "500000", "-P", "1000", "-c", "1", "-r", strconv.Itoa(min(w.opt.Customers, 1_000_000)), "GET", "care:customer:C000__rand_int__")
	if err != nil {
		return run{}, err
	}
	million := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(s.customers) }
	return run{
		ours: million(s.wall), limit: 1e6 / rate, score: million(s.wall),
		note: fmt.Sprintf("%d customers with GOMAXPROCS=1; of a million: daemon %.1f s of processor time, Redis %.1f s (%.1f and %.1f the first time, on all cores); beside it, a million bare GETs",
			s.customers, million(s.cpu), million(s.redis), million(lead.first.cpu), million(lead.first.redis)),
	}, nil
}

// measureRedis fills Redis with half a year of messages (CARE_RETENTION) of some customers, all sent, and counts what is ours in it.
func measureRedis(ctx context.Context, w *world) (run, error) {
	if err := w.empty(ctx); err != nil {
		return run{}, err
	}
	n := 1 + w.opt.Messages/4
	if err := w.load(ctx, n, ""); err != nil {
		return run{}, err
	}
	if _, err := w.redis.do(ctx, "DEL", "care:changes"); err != nil {
		return run{}, err
	}
	before, err := w.redis.info(ctx, "memory", "used_memory_dataset")
	if err != nil {
		return run{}, err
	}
	size, messages, err := w.halfYear(ctx, n)
	if err != nil {
		return run{}, err
	}
	after, err := w.redis.info(ctx, "memory", "used_memory_dataset")
	if err != nil {
		return run{}, err
	}
	// The stream of events is trimmed to a length that does not depend on the customers.
	events, err := w.redis.memory(ctx, "care:events")
	if err != nil {
		return run{}, err
	}
	out := run{ours: (after - before - events) / float64(n), limit: float64(size) / float64(n)}
	out.score = out.ours / out.limit
	out.note = fmt.Sprintf("%d customers with %.1f messages each in 180 days, all sent: ledgers, records and indexes; beside them care:events, trimmed to 100,000 entries: %.0f bytes each",
		n, float64(messages)/float64(n), events/float64(messages))
	return out, nil
}

// halfYear plans the half year behind us for n customers and sends it in thought, every customer's first message before any second one.
// It returns the bytes of the customers' records and how many messages there were.
func (w *world) halfYear(ctx context.Context, n int) (size, messages int, err error) {
	now := w.now()
	var rounds [][]care.Change
	for i := range n {
		raw := person(w.day, i, "")
		size += len(raw)
		c, _, err := record.Decode(raw)
		if err != nil {
			return 0, 0, err
		}
		k := 0
		past := scheduler.Request{From: now.AddDate(0, 0, -180), To: now, Now: now.AddDate(0, 0, -180)}
		for _, o := range w.checked.Planner.Plan(&care.Facts{ID: c.ID, Customer: c}, past) {
			if o.Verdict != care.Send || o.Release.After(now) {
				continue
			}
			if k == len(rounds) {
				rounds = append(rounds, nil)
			}
			rounds[k] = append(rounds[k], care.Change{Customer: c.ID, Add: []*care.Occurrence{o}})
			k++
		}
		messages += k
	}
	for _, round := range rounds {
		for part := range slices.Chunk(round, chunk) {
			if _, err := w.store.Apply(ctx, part); err != nil {
				return 0, 0, err
			}
		}
		if err := w.drain(ctx, len(round), queueBatch); err != nil {
			return 0, 0, err
		}
	}
	return size, messages, nil
}

// prepareImport writes the file that is imported.
func prepareImport(_ context.Context, w *world) (err error) {
	f, err := os.Create(w.table())
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	b, day := bufio.NewWriter(f), w.day
	fmt.Fprintln(b, "客户编号,客户姓名,性别,手机号,邮箱,生日,客户等级,服务顾问,车牌号,车架号,品牌,车型,年款,购车日期,上次进厂日期,上次进厂里程,保险到期日,年检到期日,短信同意,邮件同意")
	for i := range w.opt.Customers {
		visited := day.AddDays(-1 - i*7%700)
		fmt.Fprintf(b, "%s,王小明,男,138%08d,wang%d@customer.example,1985-%02d-%02d,A,gu,沪A%05d,LSGHX%012d,Buick,Regal,2023,%s,%s,31000,%s,%s,是,是\n",
			customerID(i), i%100_000_000, i, 1+i%12, 1+i%28, i%100_000, i, visited.AddDays(-700), visited, day.AddDays(60+i*11%300), day.AddDays(60+i*13%600))
	}
	return b.Flush()
}

func (w *world) table() string { return filepath.Join(w.dir, "customers.csv") }

// measureImport imports the file into an empty Redis. The limit is redis-benchmark writing as many records of that size.
func measureImport(ctx context.Context, w *world) (run, error) {
	if err := w.empty(ctx); err != nil {
		return run{}, err
	}
	before := cpu()
	began := time.Now()
	book, err := carebook.Open(carebook.Options{Dir: w.book(), Now: w.now})
	if err != nil {
		return run{}, err
	}
	st, err := store.Open(ctx, store.Options{URL: w.redis.url(), AllowUnsafe: true, Reader: true, Clock: w.now, Logger: w.opt.Log})
	if err != nil {
		return run{}, err
	}
	defer st.Close()
	into := operate.Service{Store: st, Book: func() (*carebook.Compiled, error) { return book, nil }, Now: w.now, Log: w.opt.Log}
	report, err := into.Import(ctx, care.CommandLine(), operate.ImportOptions{
		Files: []string{w.table()}, Dealer: "bench", Progress: func(_ string, done, total int64) { w.opt.Progress("import: bytes", done, total) },
	})
	if err != nil {
		return run{}, err
	}
	took, used := time.Since(began), cpu()-before
	n := w.opt.Customers
	if got := report.Files[0].Created; got != n {
		return run{}, fmt.Errorf("%d of %d rows became customers", got, n)
	}
	rate, _, err := w.redis.benchmark(ctx, "-t", "set", "-n", "500000", "-P", "100", "-c", "1", "-d", strconv.Itoa(len(person(w.day, 1, ""))), "-r", "1000000")
	if err != nil {
		return run{}, err
	}
	return run{
		ours: perSecond(n, took), limit: rate, score: perSecond(n, took),
		note: fmt.Sprintf("%d rows of a CSV file into an empty Redis, %.1f µs of processor time a row", n, micros(used, n)),
	}, nil
}
