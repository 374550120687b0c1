package email

// AppendQuoted is appendQuoted for the tests.
var AppendQuoted = appendQuoted
