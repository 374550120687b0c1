// Package channels is what the channels share: what is wrong with a connection, without the addresses and answers that a network
// library's errors carry; which of several servers goes last after a failure; and the cleaning of texts that strangers wrote.
//
// It knows no protocol: requests over HTTP are channels/httpclient's, and what a provider's answer means is each channel's.
package channels
