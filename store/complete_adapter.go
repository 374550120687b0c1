package store

import (
	"context"

	"github.com/carebell/carebell/care"
)

// Complete records how claims ended, as Settle does, without their events.
func (s *Store) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	if len(results) > atOnce {
		return inParts(results, func(part []care.Result) ([]bool, error) { return s.Complete(ctx, part) })
	}
	done := s.Commit(ctx, care.Commit{Results: results})
	return done.Settled, done.NotSettled
}

// Publish writes events of results that are on record to care:events.
func (s *Store) Publish(ctx context.Context, events []*care.EventEntry) error {
	return s.tell(ctx, events)
}
