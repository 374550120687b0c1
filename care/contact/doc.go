// Package contact brings phone numbers and e-mail addresses into the one form in which they are compared, hashed and handed to
// a provider.
//
// It promises that what it accepts is safe to put into an SMTP command, a mail header or a gateway's form: no control
// characters, no second address, no number whose digits were lost on the way. It does not promise that anybody answers there;
// only a receipt tells. It makes no look-up, keeps no state and is safe for many goroutines.
package contact
