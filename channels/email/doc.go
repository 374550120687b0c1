// Package email sends messages by SMTP: go-mail writes, signs and dials; the connections are pooled and reused here.
//
// It promises: the message's id is its Message-ID and X-Carebell-Id, so that a repeat can be recognised; no field of a message can
// become a header, a recipient or a command; a yes to the data is a success whatever happens to the connection afterwards; a lost
// answer to the data is care.KindUncertain, and every failure before that a definite one; no address, password or text appears in
// an error. It does not promise that the mailbox exists: bounces come later, and are read by ParseReport.
package email
