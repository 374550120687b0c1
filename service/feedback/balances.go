package feedback

import (
	"context"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

const (
	balanceFirst = 30 * time.Second
	balanceEvery = 15 * time.Minute
)

// BalancePoller asks SMS gateways what their accounts are worth, where a gateway can be asked. It works on the leader.
type BalancePoller struct {
	Ask   func(ctx context.Context) []sms.Balance
	Show  func(balances []sms.Balance) // those that are known; none on a replica that does not lead
	Leads func() bool
	Log   *slog.Logger
}

// Run asks every so often, until ctx ends.
func (p *BalancePoller) Run(ctx context.Context) {
	failed := map[string]bool{}
	for wait := balanceFirst; care.Sleep(ctx, wait); wait = balanceEvery {
		var shown []sms.Balance
		if p.Leads() {
			for _, b := range p.Ask(ctx) {
				if b.Err == nil {
					shown = append(shown, b)
				} else if ctx.Err() == nil && !failed[b.Gateway] {
					p.Log.WarnContext(ctx, "a gateway does not say what its account is worth; asking again", slog.String("gateway", b.Gateway), slog.Any("error", b.Err))
				}
				failed[b.Gateway] = b.Err != nil
			}
		}
		p.Show(shown)
	}
}
