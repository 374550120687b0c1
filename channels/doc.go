// Package channels is what the channels share: one careful HTTP client, the reading of Retry-After, the guard against requests
// into the inside of a network, and the cleaning of texts that strangers wrote.
//
// It promises that a request is repeated at once only if that is harmless, that the caller learns whether a failed request may
// have reached its receiver (care.KindUncertain) or cannot have (care.KindRetry), that an answer costs at most 64 KiB of memory
// whatever the receiver sends, and that no URL, header, body or address of the request appears in an error. It does not know what
// a provider's answer means: each channel reads its own.
package channels
