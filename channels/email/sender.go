package email

import (
	"context"
	"strings"
	"sync"

	"github.com/carebell/carebell/care"
)

// Sender sends mail. It is safe for many goroutines.
type Sender struct {
	cfg       Config
	keys      []*signingKey
	skeletons skeletons

	mu      sync.Mutex
	servers []*upstream
	share   []int // smooth weighted round robin: who has waited longest for its share
}

// New checks the settings. It connects to nothing.
func New(cfg Config) (*Sender, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Sender{cfg: cfg}
	var err error
	if s.keys, err = cfg.keys(); err != nil {
		return nil, err
	}
	for _, srv := range cfg.Servers {
		up, err := newUpstream(srv, &cfg)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, up)
	}
	s.share = make([]int, len(s.servers))
	return s, nil
}

// Close ends idle connections at once and others after their message. Send fails afterwards.
func (s *Sender) Close() error {
	var wg sync.WaitGroup
	for _, up := range s.servers {
		wg.Go(up.close)
	}
	wg.Wait()
	return nil
}

// Send sends a message through a server. A connection that cannot be made is tried at the next server; an answer, or the lack of one
// after the data, is final. An error is a *care.Error; for the codes see RFC 5321 and RFC 3463.
func (s *Sender) Send(ctx context.Context, message *care.Message) (care.Receipt, error) {
	m, err := s.check(message)
	if err != nil {
		return care.Receipt{}, err
	}
	if err := s.write(m); err != nil {
		return care.Receipt{}, err
	}
	defer m.release()
	var first *care.Error
	tries := 0
	for _, up := range s.order(m.Gateway) {
		v, n := up.send(ctx, m)
		tries += n
		if v.err == nil {
			return s.receipt(message, m.yes, tries), nil
		}
		if v.failed {
			up.rest.Begin(s.cfg.Clock())
		}
		// A server that is only busy says more about when to try again than one that needs a person.
		if first == nil || first.Kind == care.KindOperator {
			first = v.err
		}
		if !v.failed {
			first = v.err
			break
		}
	}
	if tries > 1 {
		first.Tries = tries
	}
	return care.Receipt{}, first
}

// queuedAs finds the server's own id in its yes, as Postfix and others write it: 4 to 64 letters, digits, dots, hyphens and underscores
// behind the words.
func queuedAs(yes string) string {
	const words = "queued as "
	for at := 0; at+len(words) <= len(yes); at++ {
		if !strings.EqualFold(yes[at:at+len(words)], words) {
			continue
		}
		id := yes[at+len(words):]
		end := 0
		for end < len(id) && end < 64 && (wireToken("a"+id[end:end+1]) || id[end] == '.') {
			end++
		}
		if end >= 4 {
			return strings.Clone(id[:end])
		}
	}
	return ""
}

func (s *Sender) receipt(m *care.Message, yes string, tries int) care.Receipt {
	r := care.Receipt{ID: m.ID, Channel: care.Email, Gateway: "smtp", State: care.StateSent, At: s.cfg.Clock()}
	r.ProviderID = queuedAs(yes)
	if tries > 1 {
		r.Tries = tries
	}
	return r
}

// send sends one message through a connection of this server, through a second one if the first turns out to be dead. tries
// counts dialogues.
func (up *upstream) send(ctx context.Context, m *mimeMessage) (v verdict, tries int) {
	var at place
	select {
	case up.slots <- struct{}{}:
		at.take(up)
		defer at.leave()
	case <-ctx.Done():
		return unreachable(ctx, ctx.Err()), 1
	}
	c, err := up.idleConnection()
	if err != nil {
		return unreachable(ctx, err), 1
	}
	fresh := c == nil
	for {
		tries++
		if c == nil {
			if c, err = up.dial(ctx, m.envelope); err != nil {
				return unreachable(ctx, err, up.secrets()...), tries
			}
		}
		v = c.send(ctx, m)
		if v.keep && !at.apart() {
			up.keep(c)
		} else {
			c.conn.Close()
		}
		if !v.stale || fresh {
			return v, tries
		}
		c, fresh = nil, true
	}
}

// send makes one dialogue, and leaves the connection ready for the next.
func (c *connection) send(ctx context.Context, m *mimeMessage) verdict {
	defer c.conn.bind(ctx)()
	if m.utf8 {
		if ok, _ := c.client.Extension("SMTPUTF8"); !ok {
			return verdict{err: content("smtputf8", "the server takes no addresses outside of ASCII"), keep: true}
		}
	}
	c.conn.writeFailed.Store(false)
	c.conn.timedOut.Store(false)
	v := c.transmit(ctx, m)
	if v.err != nil && v.keep && ctx.Err() == nil && (!c.within(waitCommand) || c.client.Reset() != nil) {
		v.keep = false
	}
	return v
}
