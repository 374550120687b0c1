package channels

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
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
