//go:build failpoints

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
)

// The steps after which a process can end itself. What happens on the wire (the first and the last byte) the receiving side sees
// better: it kills the process then.
const (
	afterClaim  = "claim"
	afterIntent = "intent"
	afterYes    = "yes"
	afterSettle = "settle"
	afterNone   = "none"
)

// crashing lets a replica take one message of one channel at a time and ends the process, as kill -9 does, after a step of the nth.
type crashing struct {
	delivery.Queue
	log     *slog.Logger
	step    string
	channel care.Channel
	nth     int

	mu    sync.Mutex
	taken int
	busy  bool
}

// failpoint puts CAREBELL_FAILPOINT=<step>:<channel>:<n> around the queue and the senders. Without it nothing changes.
type failpoint struct{ c *crashing }

func newFailpoint(log *slog.Logger) failpoint {
	text := os.Getenv("CAREBELL_FAILPOINT")
	if text == "" {
		return failpoint{}
	}
	words := strings.Split(text, ":")
	n, err := strconv.Atoi(words[len(words)-1])
	if len(words) != 3 || err != nil {
		panic(fmt.Sprintf("CAREBELL_FAILPOINT=%s: write <step>:<channel>:<n>", text))
	}
	switch words[0] {
	case afterClaim, afterIntent, afterYes, afterSettle, afterNone:
	default:
		panic("CAREBELL_FAILPOINT: no step is called " + words[0])
	}
	return failpoint{&crashing{log: log, step: words[0], channel: care.Channel(words[1]), nth: n}}
}

func (f failpoint) queue(q delivery.Queue) delivery.Queue {
	if f.c == nil {
		return q
	}
	f.c.Queue = q
	return f.c
}

func (f failpoint) sender(s delivery.Sender) delivery.Sender {
	if f.c == nil {
		return s
	}
	if r, ok := s.(delivery.Router); ok {
		return crashingRouter{crashingSender{s, f.c}, r}
	}
	return crashingSender{s, f.c}
}

func (f failpoint) senders(all map[care.Channel]delivery.Sender) map[care.Channel]delivery.Sender {
	all = maps.Clone(all)
	for ch, s := range all {
		all[ch] = f.sender(s)
	}
	return all
}

// Claim takes one message when nothing is leased, and none after the nth.
func (c *crashing) Claim(ctx context.Context, lanes []care.Lane, _ int, lease time.Duration) ([]*care.Claim, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.taken >= c.nth || lanes[0].Channel != c.channel {
		return nil, nil
	}
	claims, err := c.Queue.Claim(ctx, lanes, 1, lease)
	if len(claims) == 0 {
		return nil, err
	}
	c.busy = true
	c.taken++
	c.log.Info("a message meets the fail point", slog.String("step", c.step), slog.Int("n", c.taken), slog.String("message", claims[0].Record.ID))
	c.after(afterClaim)
	return claims, err
}

// Begin records intents.
func (c *crashing) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	begun, err := c.Queue.Begin(ctx, intents)
	if err == nil {
		c.passed(afterIntent)
	}
	return begun, err
}

// Complete records outcomes, which makes room for the next message.
func (c *crashing) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	done, err := c.Queue.Complete(ctx, results)
	if err == nil {
		c.passed(afterSettle)
		c.mu.Lock()
		c.busy = false
		c.mu.Unlock()
	}
	return done, err
}

func (c *crashing) passed(step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after(step)
}

// after ends the process when the step of the nth message has been done. Nothing runs after it: no deferred call, no answer.
func (c *crashing) after(step string) {
	if step == c.step && c.taken == c.nth {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

type crashingSender struct {
	delivery.Sender
	c *crashing
}

// crashingRouter is a crashingSender that can choose its gateway.
type crashingRouter struct {
	crashingSender
	delivery.Router
}

// Send sends a message.
func (s crashingSender) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	receipt, err := s.Sender.Send(ctx, m)
	if err == nil {
		s.c.passed(afterYes)
	}
	return receipt, err
}

// skewed is a clock that is wrong by what stands in the file CAREBELL_CLOCK (such as -5m), which a test changes while the daemon runs.
// Only the daemon's clock is: leases are measured by Redis' and durations by the monotonic one, which no change of the wall clock
// touches in a real machine either.
func skewed(now func() time.Time) func() time.Time {
	file := os.Getenv("CAREBELL_CLOCK")
	if file == "" {
		return now
	}
	var mu sync.Mutex
	var wrong time.Duration
	var read time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if machine := time.Now(); machine.Sub(read) > skewFor {
			read = machine
			text, err := os.ReadFile(file) //nolint:gosec // the test that sets the variable chooses the file
			if err == nil && len(text) > 0 {
				wrong, err = time.ParseDuration(strings.TrimSpace(string(text)))
			}
			if err != nil {
				panic(fmt.Sprintf("CAREBELL_CLOCK: %v", err))
			}
		}
		return now().Add(wrong)
	}
}

// skewFor is how long the file's answer is taken for true.
const skewFor = 10 * time.Millisecond
