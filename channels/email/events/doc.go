// Package events reads what mail providers post of bounces and complaints: Amazon SES (by SNS), SendGrid, Mailgun, Postmark and Aliyun
// DirectMail.
//
// What it promises: nothing is believed without the provider's signature or our secret, and no event counts that does not carry the proof
// of the mail that it is about (email.Proofs). What a server said is classed as in a returned mail. Nothing is fetched but from Amazon's
// own hosts, and only for the topic that the settings name.
package events
