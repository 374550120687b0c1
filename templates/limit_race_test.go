//go:build race

package templates_test

import "time"

// limit is what a bomb may take under the race detector, which slows everything down by ten.
const limit = time.Second
