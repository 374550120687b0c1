package care

import "slices"

// shelf makes lists of one type, many to an allocation: half of the time of reading a record went into allocating what it is made
// of, and a sweep reads millions. A list that is kept keeps its shelf in memory, a few kilobytes with what other records have on
// it; those that are read together are forgotten together.
type shelf[T any] struct {
	room []T // what was given out is below its length
}

// onShelf is how many items a shelf has room for.
const onShelf = 32

// fewOnShelf is how many items a list can have without an allocation of its own, at least.
const fewOnShelf = 4

// open begins a list. Until it is kept, no other may be begun on the shelf.
func (s *shelf[T]) open() []T {
	if cap(s.room)-len(s.room) < fewOnShelf {
		s.room = make([]T, 0, onShelf)
	}
	return s.room[len(s.room):]
}

// keep ends a list that grew by append, within the shelf or out of it.
func (s *shelf[T]) keep(list []T) []T {
	if cap(list) == cap(s.room)-len(s.room) { // else it has moved to an array of its own, which is longer
		s.room = s.room[:len(s.room)+len(list)]
	}
	return slices.Clip(list)
}

// one returns the place of a single item.
func (s *shelf[T]) one() *T {
	list := s.open()
	return &s.keep(append(list, *new(T)))[0]
}
