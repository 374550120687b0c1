// Package liquid is a Liquid engine for messages. It knows variables and filters of its user's language, and nothing of what they mean.
//
// It promises: a missing value is an error that names the variable, so that nothing is rendered with a hole; every value is escaped
// for the context it stands in (text, a line, HTML, an attribute, a URL, JSON), so that no value can become markup, another header or
// another field; a template sees data and never a method; source, output, nesting and work are bounded, and the same template on the
// same data always ends the same way, because work is counted and not timed. A text can become something else between Scan and Compile,
// as Markdown becomes HTML: its tags travel as opaque placeholders. What is wrong is said with line and column, in words for the author,
// and what to write instead. A Template serves any number of goroutines; a Parser and a State serve one.
//
// It leaves out what makes templates programs: assign, capture, include, cycle, ranges. Other engines name no missing variable, know no
// contexts to escape for, bound no work and take several times as long; one of them is the oracle of the tests, so that what people know
// of Liquid holds.
//
// It does not read files, and it does not know HTML, Markdown or JSON: who compiles says what each value stands in.
package liquid
