// Package delivery takes due messages out of the queue and hands them to channels: claim → facts → the plan's gates again →
// render → record sending → send → settle, on every replica.
//
// What it promises: a message whose outcome is recorded was recorded by the replica that held its claim; one that was being
// handed over when the process died, or whose provider never answered, is recorded as uncertain and then repeated (on record)
// or held, as the program says; a shutdown is no attempt. A batch costs a constant number of trips to the queue whatever its
// size, and a slow gateway never takes a worker of another one, of its own channel or of any.
//
// What it does not promise: exactly one message at the provider. Nobody can; see docs/state-machine.md.
package delivery
