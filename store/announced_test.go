package store

import (
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// What was announced survives a restart, keeps the last three nights and the confirmation, and forgets the days that are over.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		day := care.DateOf(epoch).AddDays(3)
		word := func(n int, at time.Time) care.Announcement {
			return care.Announcement{Dealer: "d", Program: "p", Day: day, Messages: n, At: at}
		}
		say := func(now time.Time, list ...care.Announcement) {
			t.Helper()
			if err := b.Announce(ctx, list, now); err != nil {
				t.Fatal(err)
			}
		}
		say(epoch, word(7, time.Time{}))
		if _, last, err := b.Announced(ctx); err != nil || !last.IsZero() {
			t.Errorf("a confirmation is taken for a look ahead: %v, %v", last, err)
		}
		var nights []time.Time
		for i := range 5 {
			nights = append(nights, epoch.Add(time.Duration(i)*24*time.Hour))
			say(nights[i], word(10+i, nights[i]))
		}
		want := []care.Announcement{word(14, nights[4]), word(13, nights[3]), word(12, nights[2]), word(7, time.Time{})}
		got, last, err := b.Announced(ctx)
		if err != nil || !slices.Equal(want, got) || !last.Equal(nights[4]) {
			t.Errorf("%v at %v, %v, want %v", got, last, err, want)
		}
		say(epoch.Add(6 * 24 * time.Hour))
		if got, _, err := b.Announced(ctx); err != nil || len(got) != 0 {
			t.Errorf("of days that are over it keeps %v, %v", got, err)
		}
	})
}
