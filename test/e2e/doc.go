// Package e2e holds the tests of the whole daemon, as its own process, against servers that we did not write: redis-server,
// Kannel with its fakesmsc, Postfix, and a webhook sink that journals every accept before it answers. They carry the build tag e2e
// and run by make e2e.
package e2e
