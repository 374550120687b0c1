// Package insight answers questions over all customers: what is planned, what some weeks add up to, why somebody gets what they get,
// and what should be mended in the records.
//
// It promises that a principal who is bound to dealers sees, counts and learns nothing of another dealer's customers, that the answers
// come from the planner that also decides what is sent, and that neither memory nor the answer grows with the number of customers where
// an answer is a sum. It opens no Redis and changes nothing: a store, a compiled book and a clock are handed in.
package insight
