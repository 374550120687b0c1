package delivery

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// Lag counts from when a message could first have gone: an import after the hour, or a pause, is no lag.
func TestLagCountsFromWhenAMessageCouldGo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		release, ready, lifted, want time.Time
	}{
		"planned ahead":       {release: noon, want: noon},
		"imported at noon":    {release: noon.Add(-12 * time.Hour), ready: noon, want: noon},
		"the stop was lifted": {release: noon.Add(-12 * time.Hour), ready: noon.Add(-time.Hour), lifted: noon, want: noon},
		"lifted long ago":     {release: noon, lifted: noon.Add(-time.Hour), want: noon},
	} {
		e := &Engine{lifted: map[care.Channel]*atomic.Int64{care.Email: {}}}
		if !tt.lifted.IsZero() {
			e.lifted[care.Email].Store(tt.lifted.UnixMilli())
		}
		if got := e.couldGo(&care.Record{Channel: care.Email, Release: tt.release, Ready: tt.ready}); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
