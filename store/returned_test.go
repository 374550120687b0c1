package store

import (
	"testing"
	"time"
)

func TestReturnedMailIsCounted(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	for i, why := range []string{"unproven", "unproven", "not_understood"} {
		if first, err := b.CountReturned(t.Context(), why); err != nil || first != (i != 1) {
			t.Errorf("%d: first %v, %v", i, first, err)
		}
	}
	if got, err := b.ReturnedMail(t.Context()); err != nil || len(got) != 2 || got["unproven"] != "2" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestMailsOfADayAreCountedByDomain(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	day := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		day    time.Time
		domain string
		want   int
	}{{day, "qq.com", 1}, {day, "qq.com", 2}, {day, "163.com", 1}, {day.AddDate(0, 0, 1), "qq.com", 1}, {day, "qq.com", 3}} {
		if n, err := b.CountWarmup(t.Context(), step.day, step.domain); err != nil || n != step.want {
			t.Errorf("%d: %d, want %d; %v", i, n, step.want, err)
		}
	}
}
