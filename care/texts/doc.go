// Package texts has what carebell says to people: one catalogue file per language, en.json and zh-CN.json, embedded in the binary.
//
// What it promises: a text is found by a key, in the language of a locale or of a browser; what another language has and this one
// has not comes in English, and a key that nobody has comes as it is, so that a page is never empty. Values go into a text by name,
// so that each language has its own order of words, and a count chooses the plural form (CLDR). A further language is a further
// file. A test in test/architecture holds that no text is missing, unused or untranslated, and that each gets the values that it names.
//
// What it does not do: it escapes nothing (html/template does that), and it has no texts of marketers: those are in the care book.
package texts
