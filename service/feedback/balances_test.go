package feedback

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/channels/sms"
)

// The leader shows what accounts are worth; one that does not answer is logged once, and one that is no leader shows nothing.
func TestBalancesAreShownByTheLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var leads atomic.Bool
		var log bytes.Buffer
		var shown [][]sms.Balance
		leads.Store(true)
		p := BalancePoller{
			Ask: func(context.Context) []sms.Balance {
				return []sms.Balance{{Gateway: "infobip", Value: 9.5, Low: 10}, {Gateway: "plivo", Err: errors.New("it does not answer")}}
			},
			Show: func(b []sms.Balance) { shown = append(shown, b) }, Leads: leads.Load, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		time.Sleep(20 * time.Minute)
		leads.Store(false)
		time.Sleep(15 * time.Minute)
		cancel()
		<-done
		one := []sms.Balance{{Gateway: "infobip", Value: 9.5, Low: 10}}
		if diff := cmp.Diff([][]sms.Balance{one, one, nil}, shown); diff != "" {
			t.Error(diff)
		}
		if n := strings.Count(log.String(), "plivo"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}
