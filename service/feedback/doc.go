// Package feedback takes what comes back from customers and providers: answers on the pages, texts and replies, receipts, returned
// mail, and what gateways say when they are asked. It keeps them in the customer's overlay and tells care:events, the timeline and
// the advisor of them.
//
// What it promises: an opt-out is on record before anybody is told of it, and is taken even for a customer whose record is gone; a
// complaint reaches a person, if need be twice; what is said twice changes nothing the second time; nothing is agreed to that the
// customer did not ask for. No address, name, text or token is logged.
//
// What it does not do: it knows no HTTP and no pages (web), reads no gateway's format (channels), and decides no sending: the planner
// does that with the overlay.
package feedback
