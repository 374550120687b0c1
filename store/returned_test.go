package store

import "testing"

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
