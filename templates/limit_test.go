//go:build !race

package templates_test

import "time"

// limit is what a bomb may take (reliability 31).
const limit = 100 * time.Millisecond
