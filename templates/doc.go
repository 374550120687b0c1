// Package templates turns a care book's templates into messages: Liquid with front matter, e-mail bodies in Markdown within an
// HTML layout, SMS as plain text, webhooks as JSON.
//
// It promises: whatever can be made once is made by Load, on the source with its tags in place as opaque placeholders (Markdown,
// layout, CSS inlining, the plain-text twin, the placing of every value); a rendered message has no hole, for a missing value is an
// error that names the variable; every value is escaped for the place it stands in, so that no customer's name can become Markdown,
// HTML, a header or another JSON field; a template sees data and never a method; source, output and work are bounded, and the same
// template on the same data always ends the same way, because work is counted and not timed. A Set is never changed after Load and
// serves any number of goroutines.
//
// Liquid is evaluated here and not by a library: those at hand name no missing variable, know no places to escape for, bound no work
// and take several times as long. One of them is the oracle of the tests, so that what people know of Liquid holds.
//
// It does not decide who gets what (scheduler), find addresses (delivery) or encode for the wire (channels).
package templates
