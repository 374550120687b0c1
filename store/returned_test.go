package store

import (
	"testing"
	"time"
)

func TestReturnedMailIsCounted(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	at := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	for i, why := range []string{"unproven", "unproven", "not_understood"} {
		first, err := b.CountReturned(t.Context(), why, at.Add(time.Duration(i)*time.Minute))
		if err != nil || first != (i != 1) {
			t.Errorf("%d: first %v, %v", i, first, err)
		}
	}
	got, err := b.ReturnedMail(t.Context())
	if err != nil || len(got) != 2 || got[0].Why != "unproven" || got[0].Count != 2 || !got[0].Last.Equal(at.Add(time.Minute)) {
		t.Errorf("%+v, %v", got, err)
	}
}
