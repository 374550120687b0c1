// Package answer reads what mail servers say: one function from stage, code, enhanced code and words to a care.Kind, for the SMTP
// dialogue, for returned mail and for the bounce webhooks of providers alike.
//
// What it promises: a 4xx is never more than "not now"; an address is called dead only where code and words agree on it or the words
// say it, and never over words of a block, a rate, a full mailbox or the sender. In doubt an address lives. What it does not promise: a
// right guess for every server of the world. testdata/answers.tsv has what real servers said and what it means.
package answer
