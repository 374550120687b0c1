//go:build e2e && !faults

package faults

// long says that the rows run with their full figures.
const long = false
