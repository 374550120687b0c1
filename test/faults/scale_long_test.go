//go:build faults

package faults

// long says that the rows run with their full figures.
const long = true
