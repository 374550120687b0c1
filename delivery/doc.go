// Package delivery takes due messages out of the queue and sends them through channels: claim → facts → the plan's gates again →
// render → record the intent → send → record the outcome, on every replica.
//
// What it promises: an outcome is recorded by the replica that held the claim. A message that was being sent when the process died, or
// whose provider never answered, is recorded as uncertain and then repeated (on record) or held, as the program says. A shutdown is no
// attempt; it says how many outcomes it could not record. What is on record as begun is never more than twice a gateway's connections.
// A batch costs a constant number of trips to the queue whatever its size, and a slow gateway never takes a sender of another one, of its
// own channel or of any.
//
// What it does not promise: exactly one message at the provider. Nobody can; see docs/state-machine.md.
package delivery
