// Package mail makes the two bodies of an e-mail of Markdown and a layout: a page of HTML with its CSS in the elements, and its text
// alternative. Both still hold the placeholders of their tags, to be compiled by templates/liquid.
//
// It promises: a block of tags never tears a page; each value is known by what it stands in (text, attribute, URL), and a tag that
// would stand where no value can be escaped (CSS, a comment, a tag's name) is refused with its place in the author's file; what is
// compiled once costs nothing per message. Lint says what the larger mail clients do not show and which words can hardly be read.
//
// It does not know what the mail is about, fill in values or encode for the wire.
package mail
