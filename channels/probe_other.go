//go:build !unix

package channels

// nothingToRead takes every connection for a good one: how to look is known for Unix only.
func nothingToRead(uintptr) bool { return true }
