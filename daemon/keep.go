package daemon

import (
	"context"
	"log/slog"
	"time"
)

// How often the leader looks for damage and shortens what only grows.
const (
	repairEvery = 30 * time.Second // what has lost its place in the queue goes again within a minute
	trimEvery   = 30               // repairs
)

// keepHouse is the leader's housekeeping: pending messages that stand in no queue come back, streams, old records and ledgers are trimmed.
func (d *Daemon) keepHouse(ctx context.Context) {
	tick := time.NewTicker(repairEvery)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !d.leads.Load() {
			continue
		}
		n++
		if found, err := d.store.Repair(ctx); err != nil {
			d.log.Warn("damage could not be looked for", slog.Any("error", err))
		} else if found > 0 {
			d.log.Warn("messages that stood in no queue were put back", slog.Int("messages", found))
		}
		if err := d.store.TrimLedgers(ctx); err != nil {
			d.log.Warn("ledgers could not be trimmed", slog.Any("error", err))
		}
		if n%trimEvery == 1 {
			if err := d.store.Trim(ctx); err != nil {
				d.log.Warn("streams could not be trimmed", slog.Any("error", err))
			}
		}
	}
}
