//go:build !failpoints

package daemon

import (
	"log/slog"
	"time"

	"github.com/carebell/carebell/delivery"
)

// The binary that is delivered has no fail points; failpoints.go has them for test/faults.

func failpoints(cfg delivery.Config, _ *slog.Logger) delivery.Config { return cfg }

func skewed(now func() time.Time) func() time.Time { return now }
