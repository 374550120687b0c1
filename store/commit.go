package store

import (
	"context"

	"github.com/carebell/carebell/care"
)

// Commit does Complete, Begin and Publish, one after the other. It stands here until delivery calls them by themselves.
func (s *Store) Commit(ctx context.Context, c care.Commit) care.Committed {
	var done care.Committed
	done.Settled, done.NotSettled = s.Complete(ctx, c.Results)
	done.Begun, done.NotBegun = s.Begin(ctx, c.Intents)
	done.NotTold = s.Publish(ctx, c.Events)
	return done
}
