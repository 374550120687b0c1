// Package peers starts the real servers that carebell's end-to-end tests talk to: Redis (single, Cluster, Sentinel), Kannel with a
// fake SMSC, Postfix, Dovecot and Chromium, and carebell itself as a process of its own.
//
// It promises that each server runs in a directory of its own on free loopback ports, is ready when its function returns (found by
// asking the service, never by waiting a while), is stopped by its process id when the test ends, and shows its log when the test has
// failed. A server that is not installed fails the test with the command that installs it; nothing is ever skipped.
//
// It doesn't promise to work outside Debian and Ubuntu (only Redis and Daemon do), nor to fake anything: what a server cannot do, its
// type cannot do either. It is test support and never part of the binary.
package peers
