// Package care is the vocabulary of carebell: dealers, customers, vehicles, programs, occurrences, messages, receipts and the
// kinds of error a provider's answer comes to. Every other package speaks in these words.
//
// It does no input or output, reads no clock and uses the standard library only, so everything may import it and it may
// import nothing of ours. What it promises: dates, birthdays and windows of the day are read strictly; an occurrence's id depends
// on nothing but the five words that name it. What it does not do: read customer records (care/record), decide what is due
// (scheduler), or know how things are stored (store) or sent (channels).
package care
