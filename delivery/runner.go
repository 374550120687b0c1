package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// A runner delivers one channel: it has its own workers, rate and breaker, so that what befalls it costs no other channel.
type runner struct {
	e       *Engine
	ch      care.Channel
	sender  Sender
	lanes   []care.Lane
	workers int
	pace    *pace
	breaker breaker
	log     *slog.Logger
	jobs    chan *job
}

// job is a message ready to be handed over.
type job struct {
	claim    *care.Claim
	occ      *care.Occurrence
	message  *care.Message
	policy   string
	next     []care.Channel
	prepared time.Time // on the machine's clock
}

func newRunner(e *Engine, ch care.Channel) *runner {
	workers := e.cfg.Connections[ch]
	if workers <= 0 {
		workers = 16
	}
	r := &runner{
		e: e, ch: ch, sender: e.cfg.Senders[ch], workers: workers, log: e.cfg.Log.With(slog.String("channel", string(ch))),
		pace: e.paces[ch], jobs: make(chan *job, workers),
	}
	for _, l := range care.Lanes {
		if l.Channel == ch {
			r.lanes = append(r.lanes, l)
		}
	}
	return r
}

// run claims until claiming ends; attempts in hand end by themselves or with sending.
func (r *runner) run(claiming, sending context.Context) {
	done := make(chan struct{}, r.workers)
	for range r.workers {
		go func() {
			// A worker has at most one outcome that is not written yet: with what it is handing over, that bounds what a crash
			// can make uncertain to twice the connections.
			var written <-chan struct{}
			for j := range r.jobs {
				if written != nil {
					<-written
				}
				written = r.work(claiming, sending, j)
			}
			done <- struct{}{}
		}()
	}
	for claiming.Err() == nil {
		if !r.round(claiming, sending) {
			idle := time.NewTimer(r.e.cfg.Idle)
			select {
			case <-claiming.Done():
			case <-idle.C:
			}
			idle.Stop()
		}
	}
	close(r.jobs)
	for range r.workers {
		<-done
	}
}

// round claims and prepares one batch; false = there was nothing to do.
func (r *runner) round(ctx, sending context.Context) bool {
	op, err := r.e.cfg.Operator.Operator(ctx)
	if err != nil || op != nil && (op.All || op.Channels[r.ch]) {
		return false
	}
	most := r.breaker.allows(r.e.cfg.Machine(), r.pace.most(batchMost))
	if most == 0 {
		return false
	}
	claims, err := r.e.cfg.Queue.Claim(ctx, r.lanes, most, r.e.cfg.Lease)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("nothing could be claimed", slog.Any("error", err))
		}
		return false
	}
	if len(claims) == 0 {
		return false
	}
	// Everything claimed is in hand until its result is written, so that its lease is kept. A customer another batch has a
	// message of in hand waits a moment: two at once could both pass a cap.
	mine := claims[:0:0]
	for _, c := range claims {
		if c.Record.Channel.ToPerson() && r.e.held.busy(c.Record.Customer) && !inBatch(mine, c) {
			r.e.cfg.Busy(1)
			r.putBack(c, r.e.cfg.Now().Add(busyCustomer))
			continue
		}
		r.e.held.take(c)
		mine = append(mine, c)
	}
	r.e.cfg.Busy(len(mine))
	suspects := slices.Clone(mine)
	suspects = slices.DeleteFunc(suspects, func(c *care.Claim) bool { return c.Record.Crashes < suspectAfter })
	mine = slices.DeleteFunc(mine, func(c *care.Claim) bool { return c.Record.Crashes >= suspectAfter })
	for _, j := range r.announce(ctx, r.prepare(ctx, mine, op)) {
		// Back-pressure: a slow provider holds up this channel's claiming and nothing else.
		r.jobs <- j
	}
	for _, c := range suspects {
		r.alone(ctx, sending, c, suspects, op)
	}
	return true
}

// alone prepares and hands over a message that was there at several crashes while the channel has nothing else in hand: if it is the
// one that crashes the process, no innocent one is set aside with it. Suspects are rare, so nobody minds that the channel waits.
func (r *runner) alone(claiming, sending context.Context, c *care.Claim, waiting []*care.Claim, op *care.Operator) {
	for r.e.held.others(r.lanes, waiting) && claiming.Err() == nil {
		wait := time.NewTimer(aloneLook)
		select {
		case <-claiming.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	for _, j := range r.prepare(claiming, []*care.Claim{c}, op) {
		if written := r.work(claiming, sending, j); written != nil {
			<-written
		}
	}
}

// announce tells Config.Batch of what is about to be handed over. Without its word nothing goes.
func (r *runner) announce(ctx context.Context, jobs []*job) []*job {
	if r.e.cfg.Batch == nil || len(jobs) == 0 {
		return jobs
	}
	messages := make([]*care.Message, len(jobs))
	for i, j := range jobs {
		messages[i] = j.message
	}
	err := r.e.cfg.Batch(ctx, messages)
	if err == nil {
		return jobs
	}
	r.log.Warn("a batch is given back", slog.Any("error", err), slog.Int("messages", len(jobs)))
	for _, j := range jobs {
		r.putBack(j.claim, r.e.cfg.Now().Add(retryBase))
	}
	return nil
}

func inBatch(claims []*care.Claim, c *care.Claim) bool {
	return slices.ContainsFunc(claims, func(o *care.Claim) bool { return o.Record.Customer == c.Record.Customer })
}

// prepare reads the customers afresh, asks the gates again and renders. What does not go is settled here.
func (r *runner) prepare(ctx context.Context, claims []*care.Claim, op *care.Operator) []*job {
	ids := make([]string, 0, len(claims))
	index := make(map[string]int, len(claims))
	for _, c := range claims {
		if _, ok := index[c.Record.Customer]; !ok {
			index[c.Record.Customer] = len(ids)
			ids = append(ids, c.Record.Customer)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	facts, err := r.e.cfg.Customers.Facts(ctx, ids)
	if err != nil || len(facts) != len(ids) {
		if ctx.Err() == nil {
			r.log.Warn("customers could not be read", slog.Any("error", err), slog.Int("messages", len(claims)))
		}
		for _, c := range claims {
			r.putBack(c, r.e.cfg.Now())
		}
		return nil
	}
	book := r.e.cfg.Book()
	jobs := make([]*job, 0, len(claims))
	for _, c := range claims {
		f := facts[index[c.Record.Customer]]
		if j := r.prepareOne(book, f, c, op); j != nil {
			jobs = append(jobs, j)
			// The next message of this customer in the batch is gated as if this one had gone.
			if f.Ledger == nil {
				f.Ledger = care.Ledger{}
			}
			entry := f.Ledger[c.Record.ID]
			entry.State, entry.At, entry.Class, entry.Channel = care.StateSending, r.e.cfg.Now(), c.Record.Class, r.ch
			f.Ledger[c.Record.ID] = entry
		}
	}
	return jobs
}

func (r *runner) prepareOne(book Book, f *care.Facts, c *care.Claim, op *care.Operator) *job {
	now := r.e.cfg.Now()
	policy := UncertainPolicy(book.Program(c.Record.Program), r.ch)
	if c.Was == care.StateUncertain {
		// The attempt that the crash cut off goes on record first: whatever comes of this claim, it is known that it may have arrived.
		c.Record.Attempts = append(slices.Clone(c.Record.Attempts), care.Attempt{
			N: len(c.Record.Attempts) + 1, At: c.Record.UpdatedAt, Channel: c.Record.Channel, Kind: care.KindUncertain, Code: crashed,
		})
		c.Was = care.StateClaimed
		if policy == Hold {
			r.end(c, care.StateUncertain, crashed)
			return nil
		}
	}
	if c.Record.Crashes >= maxCrashes {
		r.end(c, care.StateFailed, "crashes")
		r.log.Error("a message was there at three crashes and is set aside", slog.String("message", c.Record.ID), slog.String("program", c.Record.Program))
		return nil
	}
	occ := book.Check(f, &c.Record, now, op)
	switch {
	case occ == nil:
		r.end(c, care.StateSkipped, "serviced")
		return nil
	case occ.Verdict == care.Skip:
		state := care.StateSkipped
		if occ.Reason == "expired" {
			state = care.StateExpired
		}
		r.end(c, state, occ.Reason)
		return nil
	case occ.Release.After(now):
		r.putBackWith(c, c.Record, occ.Release, occ.Reason)
		return nil
	case len(occ.Channels) > 0 && !slices.Contains(occ.Channels, r.ch):
		if !mayHaveArrived(&c.Record) {
			// The customer's wishes changed: the message moves to the lane of the channel they want now.
			moved := c.Record
			moved.Channel = occ.Channel
			r.putBackWith(c, moved, now, "")
			return nil
		}
		r.end(c, care.StateUncertain, "channel_gone")
		return nil
	}
	message, err := r.compose(book, f, c, occ, now)
	if err != nil {
		return nil
	}
	c.Record.Locale, c.Record.Template = message.Locale, message.Template
	c.Record.Also = c.Record.Also[:0:0]
	for _, also := range occ.Subject.Also {
		c.Record.Also = append(c.Record.Also, also.ID)
	}
	next := make([]care.Channel, 0, 2)
	for _, ch := range occ.Channels {
		if ch != r.ch && !slices.Contains(c.Record.Tried, ch) && r.e.cfg.Senders[ch] != nil {
			next = append(next, ch)
		}
	}
	return &job{claim: c, occ: occ, message: message, policy: policy, next: next, prepared: r.e.cfg.Machine()}
}

// compose renders; what cannot be rendered is set aside: never a message with a hole.
func (r *runner) compose(book Book, f *care.Facts, c *care.Claim, occ *care.Occurrence, now time.Time) (*care.Message, error) {
	m, err := book.Compose(f, occ, r.ch, now)
	if err == nil {
		m.Attempt, m.At, m.Expires = len(c.Record.Attempts)+1, now, c.Record.Expires
		return m, nil
	}
	code := "render"
	if e, ok := errors.AsType[*care.Error](err); ok && e.Code != "" {
		code = e.Code
	}
	r.log.Error("a message could not be rendered and is set aside", slog.String("message", c.Record.ID),
		slog.String("customer", c.Record.Customer), slog.String("program", c.Record.Program), slog.String("template", occ.Template), slog.Any("error", err))
	r.end(c, care.StateFailed, code)
	return nil, err
}

// work records the intent, hands the message over and settles what comes of it. The channel it returns (nil if nothing was
// handed over) is closed when the outcome is written.
func (r *runner) work(claiming, sending context.Context, j *job) <-chan struct{} {
	c := j.claim
	if claiming.Err() != nil { // a shutdown is no attempt
		r.putBack(c, r.e.cfg.Now())
		return nil
	}
	if r.e.cfg.Machine().Sub(j.prepared) > stale {
		op, err := r.e.cfg.Operator.Operator(claiming)
		if err != nil {
			r.putBack(c, r.e.cfg.Now())
			return nil
		}
		fresh := r.prepare(claiming, []*care.Claim{c}, op)
		if len(fresh) == 0 {
			return nil // settled by prepare
		}
		j = fresh[0]
	}
	if r.e.cfg.DryRun {
		r.end(c, care.StateSkipped, "dry_run")
		return nil
	}
	if r.pace.wait(claiming) != nil {
		r.putBack(c, r.e.cfg.Now())
		return nil
	}
	repeats := c.Record.Repeats
	if afterUncertain(&c.Record) {
		c.Record.Repeats++
	}
	c.Record.State, c.Record.Channel = care.StateSending, r.ch
	if ok, err := r.e.begin.wait(care.Intent{Claim: c, At: r.e.cfg.Now()}); err != nil || !ok {
		// Nothing was handed over. If the claim is no longer ours its new owner goes on; else it is given back as it was.
		c.Record.Repeats = repeats
		r.putBack(c, r.e.cfg.Now())
		return nil
	}
	began := r.e.cfg.Machine()
	ctx, cancel := context.WithTimeout(sending, r.e.cfg.Timeout)
	receipt, err := r.send(ctx, j.message)
	cancel()
	took := r.e.cfg.Machine().Sub(began)
	kind := care.KindOf(err)
	r.e.cfg.Observer.Attempt(r.ch, kind, took)
	r.breaker.record(r.e.cfg.Machine(), kind)
	rec, next := settle(c.Record, try{
		receipt: receipt, err: err, at: r.e.cfg.Now(), took: took, policy: j.policy, next: j.next, unit: jitter(),
		stopped: sending.Err() != nil && kind == care.KindRetry,
	})
	r.logAttempt(&rec, kind, err)
	written := make(chan struct{})
	r.submit(c, rec, next, kind, j, func(bool, error) { close(written) })
	if kind == care.KindOperator {
		code := ""
		if e, ok := errors.AsType[*care.Error](err); ok {
			code = e.Code
		}
		r.log.Error("the channel is paused: a person must act, then run carebell resume --channel "+string(r.ch), slog.String("code", code))
		if err := r.e.cfg.Operator.PauseChannel(context.WithoutCancel(sending), r.ch, code); err != nil {
			r.log.Error("the channel could not be paused", slog.Any("error", err))
		}
	}
	return written
}

// send guards against a sender that panics: one message must not take the process, and with it everybody else's, down.
func (r *runner) send(ctx context.Context, m *care.Message) (receipt care.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("a sender panicked", slog.String("message", m.ID), slog.String("program", m.Program))
			err = &care.Error{Kind: care.KindUncertain, Code: "panic"}
		}
	}()
	return r.sender.Send(ctx, m)
}

// crashed is the code of an attempt of which nothing is known because the process died.
const crashed = "crash_while_sending"

// mayHaveArrived reports whether any attempt ended without an answer. Then no other channel may be tried, and no end but a yes is
// certain.
func mayHaveArrived(rec *care.Record) bool {
	return slices.ContainsFunc(rec.Attempts, func(a care.Attempt) bool { return a.Kind == care.KindUncertain })
}

// afterUncertain reports whether the message may have arrived at its last attempt. What a person resolved to be sent again was
// counted as a repeat by the decision.
func afterUncertain(rec *care.Record) bool {
	n := len(rec.Attempts)
	return rec.Reason != "resolved" && n > 0 && rec.Attempts[n-1].Kind == care.KindUncertain
}

func (r *runner) logAttempt(rec *care.Record, kind care.Kind, err error) {
	level := slog.LevelDebug
	if kind != "" {
		level = slog.LevelInfo
	}
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("message", rec.ID), slog.String("customer", rec.Customer), slog.String("program", rec.Program),
		slog.String("state", string(rec.State)), slog.Int("attempt", len(rec.Attempts)),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	r.log.LogAttrs(context.Background(), level, "attempt", attrs...)
}

// end settles a message that is not handed over now and will not be. One that may have arrived before is never called failed, skipped
// or expired: nobody knows, and a receipt or a person will say.
func (r *runner) end(c *care.Claim, state care.State, reason string) {
	rec := c.Record
	if mayHaveArrived(&rec) {
		state = care.StateUncertain
	}
	rec.State, rec.Reason, rec.UpdatedAt = state, reason, r.e.cfg.Now()
	r.submit(c, rec, time.Time{}, "", nil, nil)
}

func (r *runner) putBack(c *care.Claim, next time.Time) {
	r.putBackWith(c, c.Record, next, c.Record.Reason)
}

// putBackWith gives a message back to be due again at next, as rec says. The claim's own record keeps its release and channel: they
// are part of where the message stands, for the store and for what is held here.
func (r *runner) putBackWith(c *care.Claim, rec care.Record, next time.Time, reason string) {
	rec.State, rec.Reason, rec.UpdatedAt = backInQueue(rec), reason, r.e.cfg.Now()
	r.submit(c, rec, next, "", nil, nil)
}

// submit hands a result to the committer, with the event and whatever else the answer brings with it.
func (r *runner) submit(c *care.Claim, rec care.Record, next time.Time, kind care.Kind, j *job, written func(bool, error)) {
	res := care.Result{Claim: c, Record: rec, Next: next}
	if j != nil {
		switch kind {
		case care.KindRecipient:
			if r.e.cfg.Hash != nil {
				res.Suppress = &care.Suppression{Channel: r.ch, Hash: r.e.cfg.Hash(j.message.To), Reason: string(kind), At: rec.UpdatedAt}
			}
		case care.KindOptedOut:
			res.Stop = string(r.ch)
		}
	}
	if rec.State.Final() || rec.State == care.StateUncertain {
		res.Event = &care.EventEntry{
			At: rec.UpdatedAt, ID: rec.ID, Customer: rec.Customer, Dealer: rec.Dealer, Vehicle: rec.Vehicle, Program: rec.Program,
			Step: rec.Step, Channel: rec.Channel, State: rec.State, Reason: rec.Reason,
		}
	}
	r.e.settle.submit(res, written)
}
