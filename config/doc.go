// Package config reads what people set: the environment's CARE_ variables and the care book.
//
// It promises that nothing is guessed. An unknown variable, field, class, channel, trigger or festival is refused by name, with
// the nearest known one; every fault of a book says file:line:column, shows the line, and says what to write instead. Defaults
// are those of the book's documentation and are filled in before a file is read, so that what a file says always wins. No
// secret stands in an error, a log line or a printed Settings.
//
// It does not compile what a book contains: schedules, audiences and templates are checked by the packages that run them, which
// report care.Problems of their own and find their places by Book.Locate.
package config
