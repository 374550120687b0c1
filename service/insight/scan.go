package insight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// scan goes through all customers with a worker per processor and keeps none of them: whoever visits adds up what it needs.
type scan struct {
	book     *carebook.Compiled
	who      care.Principal
	source   source
	store    *store.Store // nil with a file
	operator *care.Operator
	period   Period
	workers  int
	progress Progress
	size     int64 // bytes of the file, 0 = unknown
}

// source calls each with every customer, in batches; it can be asked more than once.
type source func(ctx context.Context, each func(*batch) error) error

// batch is some customers on their way to a worker: facts from Redis, or lines of a file that the worker decodes.
type batch struct {
	facts []*care.Facts
	block []byte
	name  string
	first int // number of the block's first line
}

// newScan prepares a scan of the store, or of a file. With a file there is neither overlay nor ledger.
func (s *Service) newScan(ctx context.Context, who care.Principal, file string, period Period, progress Progress) (*scan, error) {
	book, err := s.Book()
	if err != nil {
		return nil, err
	}
	out := &scan{book: book, who: who, period: period, workers: runtime.GOMAXPROCS(0), progress: progress}
	if out.progress == nil {
		out.progress = func(string, int64, int64) {}
	}
	if file != "" {
		out.source, out.size, err = fileSource(file)
		return out, err
	}
	if s.Store == nil {
		return nil, errNoStore
	}
	if out.operator, err = s.Store.Operator(ctx); err != nil {
		return nil, err
	}
	out.store, out.source = s.Store, storeSource(s.Store)
	return out, nil
}

func storeSource(st *store.Store) source {
	return func(ctx context.Context, each func(*batch) error) error {
		return st.Scan(ctx, func(some []*care.Facts) error { return each(&batch{facts: slices.Clone(some)}) })
	}
}

// request is the one that plan makes of a customer.
func (s *scan) request(f *care.Facts) scheduler.Request {
	loc := time.UTC
	if f.Customer != nil {
		loc = s.book.Planner.Location(f.Customer)
	}
	return scheduler.Request{From: s.period.From.In(loc), To: s.period.To.In(loc), Now: s.period.Now, Operator: s.operator}
}

// plan visits every customer with their plan, as Plan has it. What the worker's number counts is the visitor's own: visits with
// one number never overlap. The plan may be kept, the facts must not be.
func (s *scan) plan(ctx context.Context, visit func(worker int, f *care.Facts, plan []*care.Occurrence)) error {
	kin, peers, err := s.meet(ctx)
	if err != nil {
		return err
	}
	one := func(worker int, f *care.Facts) {
		if s.book.Visible(s.who, f.Customer) {
			r := s.request(f)
			r.Peers = peers
			visit(worker, f, s.book.Planner.Plan(f, r))
		}
	}
	var mu sync.Mutex
	kept := map[string]*care.Facts{} // of a file, which cannot be asked for single customers
	err = s.everybody(ctx, "planning", func(worker int, f *care.Facts) {
		switch {
		case !kin.In(f.ID):
			one(worker, f)
		case s.store == nil:
			mu.Lock()
			kept[f.ID] = f
			mu.Unlock()
		}
	})
	if err != nil {
		return err
	}
	for _, group := range kin.Groups() {
		facts, err := s.facts(ctx, group, kept)
		if err != nil {
			return err
		}
		scheduler.Together(facts)
		for _, f := range facts {
			one(0, f)
		}
	}
	return nil
}

// facts reads a group of customers, from the store or from what was kept of a file.
func (s *scan) facts(ctx context.Context, ids []string, kept map[string]*care.Facts) ([]*care.Facts, error) {
	if s.store != nil {
		return s.store.Facts(ctx, ids)
	}
	out := make([]*care.Facts, len(ids))
	for i, id := range ids {
		out[i] = kept[id]
	}
	return out, nil
}

// others reads customers by their ids, from a file in a pass of its own.
func (s *scan) others(ctx context.Context, ids []string) ([]*care.Facts, error) {
	if s.store != nil {
		return s.store.Facts(ctx, ids)
	}
	var mu sync.Mutex
	var out []*care.Facts
	err := s.everybody(ctx, "who shares with them", func(_ int, f *care.Facts) {
		if slices.Contains(ids, f.ID) {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, f)
		}
	})
	slices.SortFunc(out, func(a, b *care.Facts) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}

// meet learns of those who share addresses and cars, and of capacity, in a pass of its own. It reads every dealer's customers: what
// somebody gets depends on them, whoever asks.
func (s *scan) meet(ctx context.Context) (*scheduler.Kin, *scheduler.Peers, error) {
	p := s.book.Planner
	kin := p.NewKin()
	var peers *scheduler.Peers
	if p.NeedsPeers(s.period.From.earliest(), s.period.To.latest()) {
		peers = p.NewPeers()
	}
	err := s.everybody(ctx, "who shares with whom", func(_ int, f *care.Facts) {
		kin.Add(f)
		if peers != nil {
			peers.Add(f, s.request(f))
		}
	})
	kin.Close()
	return kin, peers, err
}

// each calls work for every customer whom the principal may see, on all processors.
func (s *scan) each(ctx context.Context, what string, work func(worker int, f *care.Facts)) error {
	return s.everybody(ctx, what, func(worker int, f *care.Facts) {
		if s.book.Visible(s.who, f.Customer) {
			work(worker, f)
		}
	})
}

func (s *scan) everybody(ctx context.Context, what string, work func(worker int, f *care.Facts)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan *batch, 2*s.workers)
	var done atomic.Int64
	var group sync.WaitGroup
	for worker := range s.workers {
		group.Go(func() {
			for b := range batches {
				n := int64(len(b.block))
				for _, f := range b.open() {
					work(worker, f)
					if s.size == 0 {
						n++
					}
				}
				s.progress(what, done.Add(n), s.size)
			}
		})
	}
	err := s.source(ctx, func(b *batch) error {
		select {
		case batches <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(batches)
	group.Wait()
	return err
}

// open returns the customers of a batch.
func (b *batch) open() []*care.Facts {
	if b.block == nil {
		return b.facts
	}
	out := b.facts
	n := b.first - 1
	for line := range bytes.Lines(b.block) {
		n++
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
		if len(line) == 0 {
			continue
		}
		f := &care.Facts{}
		f.Customer, f.Defects, f.Err = record.Decode(line)
		if f.ID = fmt.Sprintf("%s:%d", b.name, n); f.Customer != nil {
			f.ID = f.Customer.ID
		}
		out = append(out, f)
	}
	return out
}

// longestLine is more than any customer record needs.
const longestLine = 4 << 20

// blockSize is how much of a file a worker is given at a time: enough to be worth it, little enough that a few on their
// way are no memory to speak of.
const blockSize = 256 << 10

// fileSource reads a file of customer records, one JSON document per line. Standard input ("-") is kept in memory: it is read twice.
func fileSource(name string) (source, int64, error) {
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	var size int64
	if name == "-" {
		all, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, 0, fmt.Errorf("standard input: %w", err)
		}
		open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(all)), nil }
		size = int64(len(all))
	} else {
		info, err := os.Stat(name)
		if err != nil {
			return nil, 0, err
		}
		size = info.Size()
	}
	return func(_ context.Context, each func(*batch) error) error {
		r, err := open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return readBlocks(r, name, each)
	}, size, nil
}

// readBlocks cuts a file into batches of whole lines.
func readBlocks(r io.Reader, name string, each func(*batch) error) error {
	var rest []byte
	for line := 1; ; {
		block := make([]byte, len(rest)+blockSize)
		copy(block, rest)
		n, err := io.ReadFull(r, block[len(rest):])
		block = block[:len(rest)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("%s: %w", name, err)
		}
		cut := len(block)
		if !last {
			cut = bytes.LastIndexByte(block, '\n') + 1
		}
		rest = block[cut:]
		if len(rest) > longestLine {
			return fmt.Errorf("%s: a line is longer than %d MiB: it needs one JSON document per line", name, longestLine>>20)
		}
		if cut > 0 {
			if err := each(&batch{block: block[:cut:cut], name: name, first: line}); err != nil {
				return err
			}
			line += bytes.Count(block[:cut], []byte("\n"))
		}
		if last {
			return nil
		}
	}
}
