//go:build race

package yaml_test

// slower is how much longer the race detector makes everything.
const slower = 15
