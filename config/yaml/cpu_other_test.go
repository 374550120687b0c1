//go:build !unix

package yaml_test

import "time"

var start = time.Now()

// cpu is the time since the start, where the processor's cannot be asked for.
func cpu() time.Duration { return time.Since(start) }
