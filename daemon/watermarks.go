package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/daemon/metrics"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/store"
)

// watermarkFile is what CARE_STATE_DIR holds: how far Redis had come when this replica last saw it.
const watermarkFile = "watermark.json"

// keptWatermark is the file's content.
type keptWatermark struct {
	SeenAt    time.Time       `json:"seen_at"` // when Redis was last as expected
	Watermark store.Watermark `json:"watermark"`
}

// watermarks are what this replica knows of how far Redis had come. Only New and then the watch use it.
type watermarks struct {
	file string        // "" = nothing outlives the process
	good time.Time     // when Redis was last as expected
	kept keptWatermark // as in the file

	noticed  bool      // that Redis went back in time
	told     bool      // the other replicas
	accepted time.Time // the operator's last word when it was noticed
}

// errRestored and errUnsafe are what readyz says.
var errRestored = errors.New("redis was restored from a snapshot or lost its last writes: nothing is sent; " +
	"look at what went meanwhile, then run carebell resume --restored")

var errUnsafe = errors.New("redis can lose messages")

// readWatermark reads what CARE_STATE_DIR remembers of Redis.
func (d *Daemon) readWatermark(context.Context) error {
	m := &d.watermarks
	dir := d.env.Settings.StateDir
	if dir == "" || d.env.Settings.Trial() != "" { // a trial is thrown away
		return nil
	}
	m.file = filepath.Join(dir, watermarkFile)
	raw, err := os.ReadFile(m.file)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("CARE_STATE_DIR: %w", err)
	case json.Unmarshal(raw, &m.kept) != nil:
		m.kept = keptWatermark{}
		d.log.Error("what CARE_STATE_DIR holds cannot be read and is written anew: a restored Redis would not be noticed now")
	default:
		m.good = m.kept.SeenAt
	}
	if err := writeWhole(m.file, m.kept); err != nil {
		return fmt.Errorf("CARE_STATE_DIR: %w", err)
	}
	return nil
}

// expectWatermark compares Redis with what was remembered. A Redis that went back in time is no reason not to start: nothing is sent, and
// readyz and the log say why.
func (d *Daemon) expectWatermark(ctx context.Context) error {
	if err := d.store.Expect(ctx, d.watermarks.kept.Watermark); err != nil && !errors.Is(err, store.ErrRestored) {
		return err
	}
	return d.checkRestored(ctx)
}

// checkRestored looks whether Redis has gone back in time, stops every replica if it has, and goes on once an operator has decided. An error
// means that Redis did not answer.
func (d *Daemon) checkRestored(ctx context.Context) error {
	m := &d.watermarks
	err := d.store.Expect(ctx, store.Watermark{})
	if err == nil {
		m.good = d.env.Now()
		return nil
	}
	if !errors.Is(err, store.ErrRestored) {
		return err
	}
	at, _, err := d.store.Accepted(ctx)
	if err != nil {
		return err
	}
	// An operator's word counts if it is newer than what this replica has seen, or came since it noticed (whatever the clocks say).
	if !m.noticed && at.After(m.good) || m.noticed && !at.Equal(m.accepted) {
		if err := d.store.Accept(ctx); err != nil {
			return err
		}
		m.noticed, m.told = false, false
		d.log.Info("an operator has accepted the state of Redis: going on")
		return nil
	}
	if !m.noticed {
		m.noticed, m.accepted = true, at
		d.log.Error("nothing is sent any more", slog.Any("error", errRestored))
	}
	if !m.told {
		if err := d.store.StopRestored(ctx); err != nil {
			d.log.Warn("the other replicas could not be told", slog.Any("error", err))
			return nil
		}
		m.told = true
	}
	return nil
}

// persist writes the watermark to CARE_STATE_DIR if there is something new.
func (d *Daemon) persist(watermark store.Watermark) {
	m := &d.watermarks
	if m.file == "" || m.kept.Watermark == watermark {
		return
	}
	kept := keptWatermark{SeenAt: m.good, Watermark: watermark}
	if err := writeWhole(m.file, kept); err != nil {
		d.log.Warn("CARE_STATE_DIR cannot be written", slog.Any("error", err))
		return
	}
	m.kept = kept
}

// writeWhole writes JSON so that a crash leaves the old file or the new one.
func writeWhole(file string, v any) (err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(append(raw, '\n')); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// guard keeps delivery from claiming while Redis can lose messages, or this replica does not know the time.
type guard struct {
	*stops
	unsafe *atomic.Pointer[string]
	clock  *clock
}

var _ delivery.Operator = guard{}

// Operator returns what operators have stopped; an error means that nothing may be claimed.
func (g guard) Operator(ctx context.Context) (*care.Operator, error) {
	if g.unsafe.Load() != nil {
		return nil, errUnsafe
	}
	if err := g.clock.fault(); err != nil {
		return nil, err
	}
	return g.stops.Operator(ctx)
}

// halted says why nothing is sent: in a word for the metrics, "" if Redis does not answer, and as an error; nil if messages are sent.
func (d *Daemon) halted(ctx context.Context) (word string, err error) {
	if why := d.unsafe.Load(); why != nil {
		return metrics.HaltUnsafe, fmt.Errorf("%w: %s", errUnsafe, *why)
	}
	if err := d.clock.fault(); err != nil {
		return metrics.HaltClock, err
	}
	if d.store.Restored() {
		return metrics.HaltRestored, errRestored
	}
	if _, stopped, err := d.store.Accepted(ctx); err != nil {
		return "", fmt.Errorf("no answer from Redis: %w", err)
	} else if stopped {
		return metrics.HaltRestored, errRestored
	}
	return "", nil
}
