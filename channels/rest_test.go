package channels_test

import (
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/channels"
)

func TestWhoRestsGoesLast(t *testing.T) {
	t.Parallel()
	type server struct {
		name string
		rest channels.Rest
	}
	all := []*server{{name: "a"}, {name: "b"}, {name: "c"}}
	order := func(now time.Time) (names []string) {
		for _, s := range channels.RestingLast(all, func(s *server) *channels.Rest { return &s.rest }, now) {
			names = append(names, s.name)
		}
		return names
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	all[0].rest.Begin(now)
	for after, want := range map[time.Duration][]string{
		0: {"b", "c", "a"}, 30*time.Second - 1: {"b", "c", "a"}, 30 * time.Second: {"a", "b", "c"}, time.Hour: {"a", "b", "c"},
	} {
		if got := order(now.Add(after)); !slices.Equal(got, want) {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	for _, s := range all {
		s.rest.Begin(now)
	}
	if got := order(now); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("all rest: %v", got)
	}
}
