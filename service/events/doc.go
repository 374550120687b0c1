// Package events reads care:events: it adds a task for the advisor where a message reached nobody, and posts the events to the
// endpoint of CARE_WEBHOOK_URL.
//
// What it promises: each entry is posted at least once while the stream holds it, always under the same id, and one that the endpoint
// does not take holds up no other; what is given up is counted and logged. What it does not promise: an order. Both readers work on
// the leader only and end with their context; their cursors are kept in the store, and what came after the last one that was kept
// comes twice.
package events
