package insight

import (
	"testing"
	"time"
)

func TestParsePeriod(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	shanghai := time.FixedZone("", 8*3600)
	for _, tt := range []struct{ from, to, wantFrom, wantTo string }{
		{"", "", "2026-11-22T00:00:00+08:00", "2026-11-29T00:00:00+08:00"},
		{"2026-12-01", "2026-12-02", "2026-12-01T00:00:00+08:00", "2026-12-02T00:00:00+08:00"},
		{"2026-12-01T09:00:00Z", "", "2026-12-01T17:00:00+08:00", "2026-12-08T17:00:00+08:00"},
	} {
		from, to, err := ParsePeriod(tt.from, tt.to, now)
		if err != nil || from.In(shanghai).In(shanghai).Format(time.RFC3339) != tt.wantFrom || to.In(shanghai).In(shanghai).Format(time.RFC3339) != tt.wantTo {
			t.Errorf("%q %q: %v %v %v", tt.from, tt.to, from.In(shanghai), to.In(shanghai), err)
		}
	}
	for _, bad := range [][2]string{{"tomorrow", ""}, {"2026-12-01", "2026-11-30"}, {"2026-12-01", "2026-12-01"}, {"2026-02-30", ""}, {"", "2026-13-01"}} {
		if _, _, err := ParsePeriod(bad[0], bad[1], now); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
