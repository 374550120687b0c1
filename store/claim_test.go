package store

import (
	"context"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// Customers with many due messages each: a claim takes one of each and comes back, instead of asking until the leases end.
func TestClaimComesBackWhenCustomersAreBusy(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const customers, each = 3, 400
		var changes []care.Change
		for i := range customers {
			c := care.Change{Customer: customer(i)}
			for n := range each {
				c.Add = append(c.Add, occurrence(customer(i), n, b.clock.now().Add(-time.Minute)))
			}
			changes = append(changes, c)
		}
		if got, err := b.Apply(t.Context(), changes); err != nil || got.Added != customers*each {
			t.Fatalf("Apply: %+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		claims, err := b.Claim(ctx, care.Lanes, 500, time.Minute)
		if err != nil || ctx.Err() != nil || len(claims) != customers {
			t.Errorf("claimed %d, %v; want one of each of %d customers", len(claims), err, customers)
		}
	})
}
