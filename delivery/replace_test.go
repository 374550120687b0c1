package delivery

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// A replaced channel goes on through the new sender when what the old one has begun is over. Neither connections nor rates are exceeded
// meanwhile, and the old one is let go of when nothing uses it.
func TestReplacedGatewaysTakeOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := []Gateway{{Name: "g0", Connections: 2, Rate: 50}}
		m := spreadOver(gateways, 300)
		var open atomic.Bool // the old sender
		open.Store(true)
		old := newExits(func(context.Context, string) error {
			time.Sleep(20 * time.Millisecond)
			if !open.Load() {
				t.Error("the old sender was let go of while it sent")
			}
			return nil
		})
		e := startExits(t, m, old, gateways)
		time.Sleep(2 * time.Second)
		fresh := newExits(func(context.Context, string) error { time.Sleep(20 * time.Millisecond); return nil })
		skipped := newExits(func(context.Context, string) error { t.Error("a sender that was replaced before it sent"); return nil })
		var drained []string
		e.Replace(care.SMS, skipped, gateways, func() { open.Store(false); drained = append(drained, "old") })
		e.Replace(care.SMS, fresh, gateways, func() { drained = append(drained, "skipped") })
		e.Replace(care.Email, fresh, gateways, func() { t.Error("a channel that is not set up was replaced") })
		time.Sleep(10 * time.Second)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 300 || old.tried("g0")+fresh.tried("g0") != 300 || fresh.tried("g0") < 150 {
			t.Errorf("%v: %d by the old sender, %d by the new one", m.states(), old.tried("g0"), fresh.tried("g0"))
		}
		if open.Load() || len(drained) != 2 || drained[0] != "old" {
			t.Errorf("let go of: %v", drained)
		}
		within := 0 // a second around the change
		for _, at := range old.took["g0"] {
			if at > 1500*time.Millisecond {
				within++
			}
		}
		for _, at := range fresh.took["g0"] { // its clock began two seconds later
			if at <= 500*time.Millisecond {
				within++
			}
		}
		if within > 52 { // the attempts that were made before count when they end
			t.Errorf("%d around the change at 50 a second", within)
		}
	})
}

// A replacement that comes with the end still lets go of the old sender.
func TestReplacedAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := gatewayNames(1)
		m := spreadOver(gateways, 10)
		x := newExits(func(context.Context, string) error { time.Sleep(time.Second); return nil })
		e := startExits(t, m, x, gateways)
		time.Sleep(100 * time.Millisecond)
		drained := 0
		e.Replace(care.SMS, x, gateways, func() { drained++ })
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if drained != 1 {
			t.Errorf("let go of %d times", drained)
		}
	})
}
