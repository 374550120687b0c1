package calendar

import "testing"

func TestWords(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Lunar{
		"正月初一": {Month: 1, Day: 1}, "八月十五": {Month: 8, Day: 15}, "闰六月初十": {Month: 6, Day: 10, Leap: true},
		"冬月二十": {Month: 11, Day: 20}, "腊月廿三": {Month: 12, Day: 23}, "腊月三十": {Month: 12, Day: 30}, "": {Month: 13, Day: 1},
	} {
		if got := l.String(); got != want {
			t.Errorf("%+v is said %q, want %q", l, got, want)
		}
	}
}
