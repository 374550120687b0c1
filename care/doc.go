// Package care is the vocabulary of carebell: dealers, customers, vehicles, programs, occurrences, messages, receipts and the
// kinds of error a provider's answer comes to. Every other package speaks in these words.
//
// It does no input or output, reads no clock and uses the standard library only, so everything may import it and it may
// import nothing of ours. What it promises: a customer record is read tolerantly (one bad field costs that field, not the
// customer) but consent, preferences, holds and sold_on fail closed; an occurrence's id depends on nothing but the five words
// that name it. What it does not do: decide what is due (scheduler), or know how things are stored (store) or sent (channels).
package care
