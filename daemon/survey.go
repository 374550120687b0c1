package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// survey goes through all customers with a worker per processor and keeps none of them: whoever visits adds up what it needs.
type survey struct {
	checked  *carebook.Compiled
	feed     feed
	store    *store.Store // nil with a file
	operator *care.Operator
	span     PlanOptions
	workers  int
	progress Progress
	size     int64 // bytes of the file, 0 = unknown
}

// feed hands out every customer in parcels; it can be asked more than once.
type feed func(ctx context.Context, each func(*parcel) error) error

// parcel is some customers on their way to a worker: facts from Redis, or lines of a file that the worker decodes.
type parcel struct {
	facts []*care.Facts
	block []byte
	name  string
	first int // number of the block's first line
}

// newSurvey opens Redis or the file; close ends the connection. With a file there is neither overlay nor ledger.
func (e *Env) newSurvey(ctx context.Context, opt PlanOptions, progress Progress) (s *survey, closeSource func(), err error) {
	checked, err := e.check(opt.Book)
	if err != nil {
		return nil, nil, err
	}
	s = &survey{checked: checked, span: opt, workers: runtime.GOMAXPROCS(0), progress: progress}
	if s.progress == nil {
		s.progress = func(string, int64, int64) {}
	}
	if opt.File != "" {
		s.feed, s.size, err = fileFeed(opt.File)
		return s, func() {}, err
	}
	st, err := e.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.operator, err = st.Operator(ctx); err != nil {
		st.Close()
		return nil, nil, err
	}
	s.store, s.feed = st, storeFeed(st)
	return s, st.Close, nil
}

func storeFeed(st *store.Store) feed {
	return func(ctx context.Context, each func(*parcel) error) error {
		return st.Scan(ctx, func(batch []*care.Facts) error { return each(&parcel{facts: slices.Clone(batch)}) })
	}
}

// request is the one that plan makes of a customer.
func (s *survey) request(f *care.Facts) scheduler.Request {
	loc := time.UTC
	if f.Customer != nil {
		loc = s.checked.Planner.Location(f.Customer)
	}
	return scheduler.Request{From: s.span.From.In(loc), To: s.span.To.In(loc), Now: s.span.Now, Operator: s.operator}
}

// plan visits every customer with their plan, as Plan has it. What the worker's number counts is the visitor's own: visits with
// one number never overlap. The plan may be kept, the facts must not be.
func (s *survey) plan(ctx context.Context, visit func(worker int, f *care.Facts, plan []*care.Occurrence)) error {
	p := s.checked.Planner
	peers, err := s.peers(ctx)
	if err != nil {
		return err
	}
	return s.each(ctx, "planning", func(worker int, f *care.Facts) {
		r := s.request(f)
		r.Peers = peers
		visit(worker, f, p.Plan(f, r))
	})
}

// peers learns of households and capacity in a pass of its own, where messages depend on them.
func (s *survey) peers(ctx context.Context) (*scheduler.Peers, error) {
	p := s.checked.Planner
	if !p.NeedsPeers(s.span.From.earliest(), s.span.To.latest()) {
		return nil, nil
	}
	peers := p.NewPeers()
	return peers, s.each(ctx, "who shares with whom", func(_ int, f *care.Facts) { peers.Add(f, s.request(f)) })
}

// each calls work for every customer, on all processors.
func (s *survey) each(ctx context.Context, what string, work func(worker int, f *care.Facts)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parcels := make(chan *parcel, 2*s.workers)
	var done atomic.Int64
	var group sync.WaitGroup
	for worker := range s.workers {
		group.Go(func() {
			for p := range parcels {
				n := int64(len(p.block))
				for _, f := range p.open() {
					work(worker, f)
					if s.size == 0 {
						n++
					}
				}
				s.progress(what, done.Add(n), s.size)
			}
		})
	}
	err := s.feed(ctx, func(p *parcel) error {
		select {
		case parcels <- p:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(parcels)
	group.Wait()
	return err
}

// open returns the parcel's customers.
func (p *parcel) open() []*care.Facts {
	if p.block == nil {
		return p.facts
	}
	out := p.facts
	n := p.first - 1
	for line := range bytes.Lines(p.block) {
		n++
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
		if len(line) == 0 {
			continue
		}
		f := &care.Facts{}
		f.Customer, f.Defects, f.Err = record.Decode(line)
		if f.ID = fmt.Sprintf("%s:%d", p.name, n); f.Customer != nil {
			f.ID = f.Customer.ID
		}
		out = append(out, f)
	}
	return out
}

// longestLine is more than any customer record needs.
const longestLine = 4 << 20

// blockSize is how much of a file a worker is given at a time: enough to be worth the hand-over, little enough that a few in
// flight are no memory to speak of.
const blockSize = 256 << 10

// fileFeed reads a file of customer records, one JSON document per line. Standard input ("-") is kept in memory: it is read twice.
func fileFeed(name string) (feed, int64, error) {
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
	return func(_ context.Context, each func(*parcel) error) error {
		r, err := open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return readBlocks(r, name, each)
	}, size, nil
}

// readBlocks cuts a file into parcels of whole lines.
func readBlocks(r io.Reader, name string, each func(*parcel) error) error {
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
			if err := each(&parcel{block: block[:cut:cut], name: name, first: line}); err != nil {
				return err
			}
			line += bytes.Count(block[:cut], []byte("\n"))
		}
		if last {
			return nil
		}
	}
}
