// Package yaml is the one door to YAML: care books, gateway files, the front matter of templates and the account list all come in
// through it.
//
// It promises that reading ends. A file has at most 1 MiB, 100,000 values and 64 levels; reading one takes less than a second and
// less than 32 MiB. Tags, merge keys, second documents, control characters and doubled keys are faults, aliases are counted as often
// as they are used, and a panic of the parser is a fault like any other. All faults of a file are reported at once, each with its line
// and column, what is wrong and what to write.
//
// It does not promise that a value makes sense: ranges, names that refer to something and files that belong together are checked by
// whoever asked for them.
package yaml
