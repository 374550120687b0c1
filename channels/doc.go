// Package channels is what the channels share: what is wrong with a connection, told without the addresses and answers that a network
// library's errors carry, and the cleaning of texts that strangers wrote.
//
// It knows no protocol: requests over HTTP are channels/httpclient's, and what a provider's answer means is each channel's.
package channels
