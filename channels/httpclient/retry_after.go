package httpclient

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longest is the longest pause that RetryAfter reports; delivery clamps it further.
const longest = 30 * 24 * time.Hour

// RetryAfter reads the header of that name: seconds or a date (RFC 9110 section 10.2.3). What is absent, in the past, negative or
// no number is 0; what is too large for the range of time is 30 days.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if s == "" {
		return 0
	}
	if strings.Trim(s, "0123456789") == "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n > int64(longest/time.Second) {
			return longest
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}
