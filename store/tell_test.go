package store

import (
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// What a receipt or an operator changes is told to care:events and to whoever counts, once.
func TestEveryChangeIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ended  care.State // "" = it waits
		change func(*testing.T, *bundle, string)
		want   care.State
	}{
		"delivered":            {care.StateSent, func(t *testing.T, b *bundle, id string) { b.receipts(t, receipt(id, care.StateDelivered)) }, care.StateDelivered},
		"undelivered":          {care.StateSent, func(t *testing.T, b *bundle, id string) { b.receipts(t, receipt(id, care.StateUndelivered)) }, care.StateUndelivered},
		"uncertain, then sent": {care.StateUncertain, func(t *testing.T, b *bundle, id string) { _, _ = b.Resolve(t.Context(), []string{id}, "sent") }, care.StateSent},
		"given up":             {"", func(t *testing.T, b *bundle, id string) { _, _ = b.Drop(t.Context(), []string{id}) }, care.StateSkipped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := onRedis(t)
			var counted []care.State
			b.opts.Changed = func(r *care.Record) { counted = append(counted, r.State) }
			o := b.queue(t, 1)[0]
			if tt.ended != "" {
				complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), tt.ended, epoch))
			}
			for range 3 {
				tt.change(t, b, o.ID)
			}
			b.expect(t, o, tt.want)
			events, err := b.Events(t.Context(), "", 10)
			if err != nil || len(events) != 1 || events[0].ID != o.ID || events[0].State != tt.want {
				t.Errorf("%+v, %v", events, err)
			}
			if !slices.Equal(counted, []care.State{tt.want}) {
				t.Errorf("counted %v", counted)
			}
		})
	}
}
