// Package store keeps carebell's state in Redis: customers' records and what the daemon knows beside them, the queue of
// messages, the ledger of what became of each, the operator's stops and the leader's lease.
//
// What it promises: every key of the daemon lies in one of 16 shards whose hash tags sit in different sixteenths of the slot
// space, so each script touches one slot and all of it runs on one Redis, under Sentinel and on a Cluster alike. A message that
// is not over stands in exactly one of the sets due, leased and suspects, and its record is kept once. Every change of a
// message is one script that first checks the claim's fencing token, or that the record still is what was read, and running a
// script twice changes nothing the second time. A batch costs a constant number of round trips, whatever its size. Schedules
// follow the daemon's clock, leases follow Redis' own. When Redis is full nothing more is claimed, and what is in flight can
// still be completed. The state has a version, and an older one is migrated (store/migrate).
//
// What it does not: decide what is due (scheduler) or what an outcome means (delivery), or keep anything personal of its own but
// ids and what a customer said. docs/redis.md describes every key.
package store
