//go:build !failpoints

package daemon

import (
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
)

// The binary that is delivered has no fail points; failpoints.go has them for test/faults.

type failpoint struct{}

func newFailpoint(*slog.Logger) failpoint { return failpoint{} }

func (failpoint) queue(q delivery.Queue) delivery.Queue { return q }

func (failpoint) sender(s delivery.Sender) delivery.Sender { return s }

func (failpoint) senders(all map[care.Channel]delivery.Sender) map[care.Channel]delivery.Sender {
	return all
}

func skewed(now func() time.Time) func() time.Time { return now }
