// Package carebook turns a care book's files into what the daemon and the commands work with: one compiled book with its plan, its
// templates and its links. It checks a book, lints it, and shows its messages as customers will see them.
//
// It promises that a book with a fault is never returned, that each problem names its file and, where it is known, its line, and that
// a compiled book can be used by many at once. It opens no Redis, sends nothing and looks up no customer: whose message is shown is
// handed in.
package carebook
