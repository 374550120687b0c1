package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// backlogs is how many runs' messages the backlog of the row memory has: 100,000 unless told otherwise.
const backlogs = 5

// memory is what a process has had in its memory, in MB.
type memory struct {
	most float64 // at the most, with the pages of its program
	own  float64 // now, without them: nobody else can have these
}

func (m memory) String() string {
	return fmt.Sprintf("%.1f MB (%.1f MB without its program)", m.most, m.own)
}

// memoryOf reads what the system has counted for a process. Only Linux tells the most of a process that still runs.
func memoryOf(pid int) (m memory, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	for name, to := range map[string]*float64{"VmHWM": &m.most, "RssAnon": &m.own} {
		_, rest, _ := strings.Cut(string(raw), "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		fields := strings.Fields(line)
		if len(fields) != 2 || fields[1] != "kB" {
			return m, fmt.Errorf("the system does not tell %s of a process", name)
		}
		kB, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return m, err
		}
		*to = kB / 1024
	}
	return m, nil
}

// swept is kept for the runs: a sweep of all customers is measured once, because loading them takes longer than all the rest.
type sweptMemory struct {
	memory
	customers int
}

// prepareMemory measures the daemon while it sweeps all customers for the first time and sends what that finds due by e-mail.
func prepareMemory(ctx context.Context, w *world) (err error) {
	if w.opt.Messages > 20_000 {
		w.opt.Messages = 20_000
	}
	if err := w.load(ctx, w.opt.Customers, ""); err != nil {
		return err
	}
	m, err := w.watch(ctx, func(ctx context.Context, s *served) (bool, error) {
		w.opt.Progress("memory: customers", int64(s.value(ctx, "carebell_sweep_customers_total")), int64(w.opt.Customers))
		return s.value(ctx, "carebell_sweep_last_success_timestamp_seconds") > 0, nil
	})
	w.extra = sweptMemory{m, w.opt.Customers}
	return err
}

// measureMemory measures the daemon while it sends a backlog.
func measureMemory(ctx context.Context, w *world) (run, error) {
	n := backlogs * w.opt.Messages
	if err := w.backlog(ctx, n, care.Email); err != nil {
		return run{}, err
	}
	// Another replica leads the sweep.
	if _, _, err := w.store.Lead(ctx, "bench", time.Hour); err != nil {
		return run{}, err
	}
	m, err := w.watch(ctx, func(ctx context.Context, _ *served) (bool, error) {
		left, err := w.left(ctx)
		w.opt.Progress("memory: mails", int64(n-left), int64(n))
		return left == 0, err
	})
	if err != nil {
		return run{}, err
	}
	swept := w.extra.(sweptMemory)
	return run{
		ours: max(m.most, swept.most), score: max(m.most, swept.most),
		note: fmt.Sprintf("carebell serve as a process of its own: backlog of %d mails %v, first sweep of %d customers %v", n, m, swept.customers, swept.memory),
	}, w.checkSent(ctx, n)
}

// left counts the messages in the queue.
func (w *world) left(ctx context.Context) (n int, err error) {
	depths, err := w.store.Depth(ctx)
	for _, d := range depths {
		n += d.Due + d.Later + d.Claimed
	}
	return n, err
}

// watch runs the daemon as a process of its own, with a mail server, until over says that its work is done, and returns what it had in
// memory.
func (w *world) watch(ctx context.Context, over func(ctx context.Context, s *served) (bool, error)) (m memory, err error) {
	ctx, cancel := within(ctx, time.Minute+time.Duration(w.opt.Customers+backlogs*w.opt.Messages)*time.Millisecond)
	defer cancel()
	address, p, err := sink(ctx)
	if err != nil {
		return m, err
	}
	defer func() { _ = p.stop() }()
	s, err := w.serve(ctx, "CARE_SMTP_URL=smtp://"+address, "CARE_SMTP_CONNECTIONS="+strconv.Itoa(connections))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	for done := false; !done; {
		select {
		case err := <-s.done:
			s.done <- err
			return m, nil // end says why
		case <-ctx.Done():
			return m, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
		if done, err = over(ctx, s); err != nil {
			return m, err
		}
	}
	return memoryOf(s.cmd.Process.Pid)
}
