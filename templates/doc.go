// Package templates turns a care book's templates into messages: Liquid with front matter, e-mail bodies in Markdown within an
// HTML layout, SMS as plain text, webhooks as JSON. It knows the book, the variables of a customer and the filters of the trade; the
// engine is templates/liquid, and what makes a mail of a text is templates/mail.
//
// It promises: whatever can be made once is made by Load, on the source with its tags in place as opaque placeholders (Markdown,
// layout, CSS inlining, the text alternative, the escape context of every value); a rendered message has no hole, for a missing value
// is an error that names the variable; every value is escaped for the context it stands in, so that no customer's name can become
// Markdown, HTML, a header or another JSON field; source, output and work are bounded. A Set is never changed after Load and serves any
// number of goroutines.
//
// It does not decide who gets what (scheduler), find addresses (delivery) or encode for the wire (channels).
package templates
