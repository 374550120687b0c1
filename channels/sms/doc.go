// Package sms sends text messages through Kannel, Twilio, Vonage, Aliyun, Tencent Cloud, and any HTTP gateway that a file of the
// care book describes, and reads their receipts and replies.
//
// It promises: a request that may have reached a gateway without an answer is care.KindUncertain and never repeated here; a
// connection that was not made may be tried again at once, and then at the next gateway; every answer is classed as the provider
// documents it, and an unknown one is care.KindRetry; no number, text, secret or URL appears in an error. It does not promise
// delivery: that is what receipts say. It adds the 【signature】 on gateways that take plain text, and never on those that send
// approved templates.
//
// docs/gateways.md describes gateway files: those of the book, and those in the folder gateways here, which are shipped.
package sms
