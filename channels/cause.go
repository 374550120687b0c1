package channels

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Errors of Cause beside those of the system.
var (
	ErrHostUnknown = errors.New("the host name is not known")
	ErrCertificate = errors.New("the server's certificate was not accepted")
	ErrBroken      = errors.New("the connection broke")
)

// Cause reduces an error of a network library to what is wrong, without the URL, the addresses and the answer that such errors
// carry. The result still answers errors.Is for context.Canceled, context.DeadlineExceeded and system errors.
func Cause(err error) error {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errBlocked):
		return errBlocked
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case isTimeout(err):
		return context.DeadlineExceeded
	case isTLS(err):
		return ErrCertificate
	case errors.As(err, &dns):
		return ErrHostUnknown
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return ErrBroken
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		(errors.As(err, &timeout) && timeout.Timeout())
}

func isTLS(err error) bool {
	var bad *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &bad) || errors.As(err, &record) || errors.As(err, &alert)
}

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
