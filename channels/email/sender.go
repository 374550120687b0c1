package email

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/care"
)

// Sender sends mail. It is safe for many goroutines.
type Sender struct {
	cfg  Config
	dkim []*mail.DKIMSigner

	forms forms

	mu      sync.Mutex
	servers []*upstream
	credit  []int // smooth weighted round robin: who has waited longest for its share
}

// New checks the settings. It connects to nothing.
func New(cfg Config) (*Sender, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Sender{cfg: cfg}
	var err error
	if s.dkim, err = cfg.signers(); err != nil {
		return nil, err
	}
	for _, srv := range cfg.Servers {
		up, err := newUpstream(srv, &cfg)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, up)
	}
	s.credit = make([]int, len(s.servers))
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

// Send hands a message to a server. A connection that cannot be made is tried at the next server; an answer, or the lack of one
// after the data, is final. An error is a *care.Error; for the codes see RFC 5321 and RFC 3463.
func (s *Sender) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	l, err := s.check(m)
	if err != nil {
		return care.Receipt{}, err
	}
	if s.fits(l) {
		l.data = s.fill(l)
		defer s.giveBack(l)
	}
	if l.data == nil {
		if err := s.compose(l); err != nil {
			return care.Receipt{}, err
		}
	}
	var first *care.Error
	tries := 0
	for _, up := range s.order(m.Gateway) {
		v, n := up.send(ctx, s, l)
		tries += n
		if v.err == nil {
			return s.receipt(m, l.yes, tries), nil
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

// send takes one message through a connection of this server, through a second one if the first turns out to be dead. tries
// counts dialogues.
func (up *upstream) send(ctx context.Context, s *Sender, m *letter) (v verdict, tries int) {
	select {
	case up.slots <- struct{}{}:
		defer func() { <-up.slots }()
	case <-ctx.Done():
		return unreachable(ctx, ctx.Err()), 1
	}
	l, err := up.take()
	if err != nil {
		return unreachable(ctx, err), 1
	}
	fresh := l == nil
	for {
		tries++
		if l == nil {
			if l, err = up.dial(ctx); err != nil {
				return unreachable(ctx, err), tries
			}
		}
		v = l.send(ctx, s, up.client, m)
		if v.keep {
			up.put(l)
		} else {
			l.wire.Close()
		}
		if !v.stale || fresh {
			return v, tries
		}
		l, fresh = nil, true
	}
}

// send makes one dialogue.
func (l *link) send(ctx context.Context, s *Sender, client *mail.Client, m *letter) verdict {
	defer l.wire.bind(ctx)()
	if m.utf8 {
		if ok, _ := l.client.Extension("SMTPUTF8"); !ok {
			return verdict{err: content("smtputf8", "the server takes no addresses outside of ASCII"), keep: true}
		}
	}
	l.wire.broke.Store(false)
	l.wire.late.Store(false)
	var v verdict
	if m.data != nil && l.pipelining {
		v = l.post(ctx, s.cfg.Timeout, m)
	} else {
		v = l.hand(ctx, s, client, m)
	}
	if v.err != nil && v.keep && ctx.Err() == nil && l.client.Reset() != nil {
		v.keep = false
	}
	return v
}

// hand lets go-mail write and send the message.
func (l *link) hand(ctx context.Context, s *Sender, client *mail.Client, m *letter) verdict {
	if err := s.compose(m); err != nil {
		var e *care.Error
		if !errors.As(err, &e) {
			e = content("unsendable", "the message cannot be written")
		}
		return verdict{err: e, keep: true}
	}
	// go-mail asks for SMTPUTF8 whenever it is offered; a next hop that lacks it would then bounce a plain message.
	l.client.SkipSMTPUTF8(!m.utf8)
	err := client.SendWithSMTPClient(l.client, m.msg)
	if err == nil || m.msg.IsDelivered() {
		m.yes = m.msg.ServerResponse()
		return verdict{keep: err == nil} // what failed came after the server had it
	}
	return judge(ctx, err, l.wire)
}
