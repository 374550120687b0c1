// Package operate is what an operator does: decide about messages, pause and go on, show, export and erase a customer, import records and
// recalls, send a test message, and look at what the daemon depends on.
//
// It promises that a principal who is bound to dealers sees and changes nothing of another dealer's customers, and gets the same answer
// for them as for customers who do not exist. It opens no Redis: a store, a compiled book, a clock and the channels are handed in. Which
// role may do what is decided by whoever calls it.
package operate
