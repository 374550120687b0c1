// Package architecture_test holds the rules of the architecture: which package may import which, what every package owes its reader,
// and how large a file may grow. It reads the source files themselves, so that files behind a build tag or for another
// operating system are held to the same rules, and it needs neither the go command nor the network.
//
// It promises that a broken rule is named together with its file and what to do about it. It does not judge style: that
// is the work of gofumpt and golangci-lint (make check).
package architecture_test
