package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// leases are the claims of this replica that have no outcome yet.
type leases struct {
	mu        sync.Mutex
	claims    map[string]*care.Claim
	customers map[string]int // people with a message among them: their caps are asked one at a time
}

func newLeases() leases {
	return leases{claims: map[string]*care.Claim{}, customers: map[string]int{}}
}

func (l *leases) add(c *care.Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims[c.Record.ID] == nil && c.Record.Channel.ToPerson() {
		l.customers[c.Record.Customer]++
	}
	l.claims[c.Record.ID] = c
}

func (l *leases) release(c *care.Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims[c.Record.ID] != c {
		return
	}
	delete(l.claims, c.Record.ID)
	if c.Record.Channel.ToPerson() {
		if l.customers[c.Record.Customer]--; l.customers[c.Record.Customer] <= 0 {
			delete(l.customers, c.Record.Customer)
		}
	}
}

// others reports whether any message of these lanes is leased but those that wait.
func (l *leases) others(lanes []care.Lane, waiting []*care.Claim) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.claims {
		if !slices.Contains(waiting, c) && slices.Contains(lanes, c.Lane) {
			return true
		}
	}
	return false
}

func (l *leases) busy(customer string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.customers[customer] > 0
}

func (l *leases) list() []*care.Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	claims := make([]*care.Claim, 0, len(l.claims))
	for _, c := range l.claims {
		claims = append(claims, c)
	}
	return claims
}

// renew keeps the leases until done is closed or ctx ends. A claim that was taken over is dropped from the list, and its outcome will
// be refused.
func (e *Engine) renew(ctx context.Context, done <-chan struct{}) {
	tick := time.NewTicker(e.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-tick.C:
		}
		claims := e.leases.list()
		if len(claims) == 0 {
			continue
		}
		ours, err := e.cfg.Queue.Renew(ctx, claims, e.cfg.Lease)
		if err != nil {
			e.cfg.Log.Warn("leases could not be renewed", slog.Any("error", err), slog.Int("messages", len(claims)))
			continue
		}
		for i, ok := range ours {
			if !ok {
				e.leases.release(claims[i])
			}
		}
	}
}
