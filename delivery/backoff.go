package delivery

import "time"

// The times between attempts of one message (design A6).
const (
	retryBase   = 30 * time.Second
	retryMost   = time.Hour
	retryAfter  = 6 * time.Hour  // the most that a provider's Retry-After is obeyed
	retryWindow = 24 * time.Hour // from the first attempt
)

// Backoff returns how long to wait after the n-th failed attempt (n from 1): 30 s · 2ⁿ⁻¹, at most an hour, times a jitter of
// ±20 % that unit (in [0, 1)) chooses. A provider's asked time takes its place, clamped to [30 s, 6 h].
func Backoff(n int, asked time.Duration, unit float64) time.Duration {
	if asked > 0 {
		return min(max(asked, retryBase), retryAfter)
	}
	wait := retryMost
	if n < 1 {
		n = 1
	}
	if n <= 8 { // 30 s · 2⁷ is over an hour: no shift can overflow
		wait = min(retryBase<<(n-1), retryMost)
	}
	return min(time.Duration(float64(wait)*(0.8+0.4*unit)), retryMost)
}
