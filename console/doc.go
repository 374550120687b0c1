// Package console is what people and other programs reach carebell by over HTTP: on the private listener health, readiness,
// metrics and the list of messages; on the public one the customers' own pages.
//
// What it promises: GET and HEAD change nothing; a link works only with a token we signed; pages need no script and no cookie;
// nothing on a public page names a customer.
package console
