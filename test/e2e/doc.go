// Package e2e holds the tests of the whole daemon, as its own process, against servers that we did not write: redis-server,
// Kannel with its fakesmsc, Postfix, Dovecot, Prism with the part of Twilio's OpenAPI document that we call (testdata/twilio-oai.json, under
// testdata/twilio-oai.LICENSE), and a webhook sink that journals every accept before it answers. They carry the build tag e2e
// and run by make e2e.
package e2e
