// Package channeltest is the conformance suite that every channel and every gateway passes, with the fake peers that it needs.
//
// It holds what delivery relies on: each answer has its class, an outcome that nobody knows is care.KindUncertain and one that is
// known is not, nothing is repeated that could arrive twice, a deadline and a cancel end a send at once, redirects are not followed,
// an answer of any size costs little, and no error carries a secret or a customer's data. What a provider's own codes mean is for
// each gateway's tests. It is imported by tests only and knows nothing of package testing, so that it is no danger to the binary.
package channeltest
