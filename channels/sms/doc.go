// Package sms sends text messages through Kannel, Twilio, Vonage, Aliyun, Tencent Cloud, and any HTTP gateway that a file of the
// care book describes, and reads their receipts and replies.
//
// It promises: a request that may have reached a gateway without an answer is care.KindUncertain and never repeated here; a
// connection that was not made may be tried again at once, and then at the next gateway; every answer is classed as the provider
// documents it, and an unknown one is care.KindRetry; no number, text, secret or URL appears in an error. It does not promise
// delivery: that is what receipts say. It adds the 【signature】 on gateways that take plain text, and never on those that send
// approved templates.
//
// # Gateway files
//
// book/gateways/<name>.yaml describes a gateway; the file's name is the gateway's, and CARE_SMS_GATEWAY selects it. The fields,
// all of them but url and body optional:
//
//	method: POST
//	url: "https://sms.example/v1/send"         # placeholders are percent-encoded here
//	format: json                               # json, form, xml or text: how placeholders in the body are escaped, and Content-Type
//	body: '{"to": "{to}", "text": "{text}", "ref": "{id}"}'
//	headers: {X-App: carebell}
//	number: e164                               # e164 (+86…), digits (86…) or national (138…: without the calling code of the
//	                                           # dealer's country). A number that would be another one in that form is refused
//	signature: add                             # add 【signature】 to the text; none: the gateway does it, or {signature} is used
//	templates: false                           # true: the gateway wants an approved template: {template}, {params} (a JSON object,
//	                                           # in json without quotes), {param:NAME}
//	auth: {kind: bearer}                       # bearer (password), basic (user, password), header or hmac
//	     # {kind: header, header: X-Api-Key}                          the password in a header
//	     # {kind: hmac, header: X-Signature, text: "{timestamp}.{body}", algorithm: sha256, encoding: hex, prefix: "v1="}
//	idempotency_header: Idempotency-Key        # carries the message's id
//	answer:                                    # JSON pointers (RFC 6901) into the answer
//	  status: [200, 201, 202]                  # HTTP statuses that may mean yes
//	  code: /code
//	  id: /data/id
//	  parts: /data/parts
//	codes:                                     # what a code (or "http 402") means; without code: the HTTP status alone decides
//	  success: ["0"]
//	  retry: ["busy"]
//	  recipient: ["21"]
//	  content: ["22"]
//	  operator: ["401"]
//	  opted_out: ["99"]
//	  defer: ["quiet"]
//	receipts:                                  # what the gateway posts to /hooks/sms/<name>?token=…
//	  format: json                             # json, form or query
//	  list: /reports                           # where the array is; "" = the body itself
//	  id: /ref                                 # our id, or
//	  provider_id: /id                         # the gateway's
//	  status: /status
//	  code: /err
//	  parts: /parts
//	  delivered: ["DELIVRD"]
//	  failed: ["UNDELIV", "REJECTD"]
//	  pending: ["ACCEPTD"]
//	  answer: '{"code":0}'
//	replies: {format: json, list: "", from: /mobile, to: /dest, text: /content, id: /id, answer: OK}
//
// Placeholders: {to} {text} {id} {from} {signature} {country} {user} {password} {timestamp} (Unix seconds); {hex}, the text in UTF-16BE as
// hexadecimal digits; {coding}, 0 for a text of the GSM alphabet and 8 for any other (SMPP's data_coding), and {unicode}, 0 or 1 likewise. In the body of a JSON
// gateway they stand inside of quotes. In form and query receipts a pointer is the field's name with a slash before it.
package sms
