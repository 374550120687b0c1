package brake

import "testing"

func TestAllowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		announced int
		usual     float64
		want      int
	}{{0, 0, 100}, {60, 0, 100}, {67, 0, 101}, {1000, 0, 1500}, {1001, 0, 1502}, {0, 20, 100}, {0, 20.5, 102}, {200, 100, 500}} {
		if got := Allowed(c.announced, c.usual); got != c.want {
			t.Errorf("%d announced, %v usual: %d", c.announced, c.usual, got)
		}
	}
}
