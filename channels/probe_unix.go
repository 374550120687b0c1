//go:build unix

package channels

import (
	"errors"
	"syscall"
)

// nothingToRead reports whether a socket is open and silent. The sockets of package net never wait.
func nothingToRead(fd uintptr) bool {
	var one [1]byte
	n, err := syscall.Read(int(fd), one[:])
	return n < 0 && (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR))
}
