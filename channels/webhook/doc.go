// Package webhook sends messages and events to systems over HTTP, signed as Standard Webhooks 1.0 says, or in the form that a group
// bot (WeCom, DingTalk, Feishu) or CloudEvents wants.
//
// It promises: webhook-id is the message's id on the wire and the same on every repeat, so that a receiver can drop a second copy;
// each try is signed anew; a request that may have arrived without an answer is care.KindUncertain; no connection is made into the
// inside of a network unless the host was allowed by name; redirects are failures and never followed; no URL, secret or answer
// appears in an error. It does not promise that the receiver understood: 2xx is taken as its word.
package webhook
