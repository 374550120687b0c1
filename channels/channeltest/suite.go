package channeltest

import (
	"context"
	"errors"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// T is the part of *testing.T that the suite uses.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
	Cleanup(func())
}

// Sender is what is tested.
type Sender interface {
	Send(ctx context.Context, m *care.Message) (care.Receipt, error)
	Close() error
}

// Behaviour is what a peer does with the next messages.
type Behaviour int

// The behaviours. The first group has a meaning for every channel, the second for HTTP only.
const (
	Yes        Behaviour = iota // take it
	Busy                        // not now: 503, 451
	TooLarge                    // never: 413, 552 5.3.4
	LockedOut                   // nobody is let in: 403, 530
	Drop                        // take it and close the connection without a word
	Silent                      // take it and say nothing
	Redirect                    // 302 elsewhere
	TooMany                     // 429 with Retry-After, see HTTPPeer.RetryAfter
	Cut                         // yes, but the answer breaks off in its body
	Endless                     // yes, with a body of 64 MiB
	Bomb                        // the same in a few KiB of gzip
	Headers                     // yes, with 2 MiB of headers
	Rubbish                     // yes by its status, and a body that means nothing
	PastTheEnd                  // for loops
)

// Peer is a fake server.
type Peer interface {
	URL() string
	Behave(b Behaviour)
	Received() int  // messages that reached it completely, whatever it said
	Elsewhere() int // requests that came to where Redirect points
	Forged() string // a header, recipient or command that no honest message has; "" = none came
}

// Suite describes a channel or gateway.
type Suite struct {
	Peer    func(t T) Peer
	New     func(t T, url string) Sender
	Message func() *care.Message // carries Personal in every field that goes out
	// Secrets and Personal must not appear in an error.
	Secrets, Personal []string
	Repeats           bool // a broken connection is answered by another try: the receiver knows the id
	StatusDecides     bool // a 2xx is a yes without its body
	Plain             bool // not HTTP: the second group of behaviours does not apply
}

// Case is one test of the suite.
type Case struct {
	Name string
	Run  func(t T)
}

// bench is a started peer with a sender.
type bench struct {
	Suite
	peer   Peer
	url    string
	sender Sender
}

func (s Suite) start(t T) *bench {
	t.Helper()
	peer := s.Peer(t)
	return s.sendTo(t, peer, peer.URL())
}

func (s Suite) sendTo(t T, peer Peer, to string) *bench {
	t.Helper()
	return &bench{Suite: s, peer: peer, url: to, sender: s.New(t, to)}
}

// patience bounds each send: a sender that forgets its own deadline fails its test then, and does not hold up the others.
const patience = 30 * time.Second

// send sends one message and looks at what must hold for any outcome.
func (b *bench) send(ctx context.Context, t T, m *care.Message) (care.Receipt, *care.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := b.sender.Send(ctx, m)
	if err == nil {
		return r, nil
	}
	e, ok := errors.AsType[*care.Error](err)
	if !ok {
		t.Fatalf("the error is no *care.Error: %v", err)
	}
	for _, canary := range append(append([]string{b.url}, b.Secrets...), b.Personal...) {
		if strings.Contains(err.Error(), canary) || strings.Contains(e.Code, canary) {
			t.Errorf("%q is in the error %q", canary, err)
		}
	}
	if r != (care.Receipt{}) {
		t.Errorf("a receipt %+v with an error", r)
	}
	return r, e
}

func (b *bench) want(t T, e *care.Error, kind care.Kind) {
	t.Helper()
	switch {
	case e == nil && kind != "":
		t.Errorf("no error, want %s", kind)
	case e != nil && e.Kind != kind:
		t.Errorf("got %v, want %q", e, kind)
	}
}

// Cases returns the suite.
func (s Suite) Cases() []Case {
	all := []Case{
		{"takes a message", s.takes},
		{"many at once", s.many},
		{"classes", s.classes},
		{"refused connection", s.refused},
		{"dropped", s.dropped},
		{"deadline", s.deadline},
		{"cancel", s.cancelled},
		{"injection", s.injection},
		{"goes on after each fault", s.recovers},
	}
	if !s.Plain {
		all = append(all, Case{"redirect", s.redirect}, Case{"retry-after", s.retryAfter}, Case{"answers of any size", s.answers})
	}
	return all
}

func (s Suite) takes(t T) {
	b := s.start(t)
	m := s.Message()
	r, e := b.send(t.Context(), t, m)
	if e != nil {
		t.Fatalf("not taken: %v", e)
	}
	if r.ID != m.ID || r.Channel != m.Channel || r.State != care.StateSent || r.Gateway == "" || r.At.IsZero() || r.Tries != 0 {
		t.Errorf("receipt %+v", r)
	}
	if n := b.peer.Received(); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
}

func (s Suite) many(t T) {
	b := s.start(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 4 {
				if _, e := b.send(t.Context(), t, s.Message()); e != nil {
					t.Errorf("not taken: %v", e)
				}
			}
		})
	}
	wg.Wait()
	if n := b.peer.Received(); n != 128 {
		t.Errorf("%d of 128 messages arrived", n)
	}
}

func (s Suite) classes(t T) {
	b := s.start(t)
	for behaviour, kind := range map[Behaviour]care.Kind{Busy: care.KindRetry, TooLarge: care.KindContent, LockedOut: care.KindOperator} {
		b.peer.Behave(behaviour)
		before := b.peer.Received()
		_, e := b.send(t.Context(), t, s.Message())
		b.want(t, e, kind)
		if e != nil && e.Code == "" {
			t.Errorf("%v has no code", e)
		}
		if n := b.peer.Received() - before; n > 1 {
			t.Errorf("an answer was followed by %d more requests", n-1)
		}
	}
}

func (s Suite) refused(t T) {
	peer := s.Peer(t)
	to, err := url.Parse(peer.URL())
	if err != nil {
		t.Fatalf("the peer's URL: %v", err)
	}
	to.Host = nobody(t)
	b := s.sendTo(t, peer, to.String())
	_, e := b.send(t.Context(), t, s.Message())
	b.want(t, e, care.KindRetry)
}

// nobody returns an address where nobody listens until the test ends: the near end of a connection. A port that was merely free a moment ago
// may be another test's by now.
func nobody(t T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() {
		conn.Close()
		ln.Close()
	})
	return conn.LocalAddr().String()
}

func (s Suite) dropped(t T) {
	b := s.start(t)
	// Once on a new connection and once on a kept one: net/http and go-mail treat them differently.
	for _, warm := range []bool{false, true} {
		b.peer.Behave(Yes)
		if warm {
			if _, e := b.send(t.Context(), t, s.Message()); e != nil {
				t.Fatalf("not taken: %v", e)
			}
		}
		before := b.peer.Received()
		b.peer.Behave(Drop)
		_, e := b.send(t.Context(), t, s.Message())
		b.want(t, e, care.KindUncertain)
		want := 1
		if s.Repeats {
			want = 3
		}
		if n := b.peer.Received() - before; n != want {
			t.Errorf("kept connection %v: it arrived %d times, want %d", warm, n, want)
		}
		if e != nil && s.Repeats && e.Tries != want {
			t.Errorf("kept connection %v: %d tries on record, want %d", warm, e.Tries, want)
		}
	}
}

func (s Suite) deadline(t T) {
	b := s.start(t)
	b.peer.Behave(Silent)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, e := b.send(ctx, t, s.Message())
	b.want(t, e, care.KindUncertain)
	if e != nil && e.Code != "timeout" {
		t.Errorf("code %q", e.Code)
	}
	if n := b.peer.Received(); n != 1 {
		t.Errorf("it arrived %d times", n)
	}
}

func (s Suite) cancelled(t T) {
	b := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, e := b.send(ctx, t, s.Message())
	b.want(t, e, care.KindRetry)
	if !errors.Is(e, context.Canceled) || b.peer.Received() != 0 {
		t.Errorf("cancelled before: %v, %d arrived", e, b.peer.Received())
	}
	b.peer.Behave(Silent)
	ctx, cancel = context.WithCancel(t.Context())
	timer := time.AfterFunc(200*time.Millisecond, cancel)
	defer timer.Stop()
	_, e = b.send(ctx, t, s.Message())
	b.want(t, e, care.KindUncertain)
	if !errors.Is(e, context.Canceled) {
		t.Errorf("%v does not say that it was cancelled", e)
	}
}

// Tricks are values that break out of a header, a command or a line where they can.
var Tricks = []string{
	"a\r\nX-Evil: 1\r\n\r\nbody", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x00X-Evil", "a\u2028X-Evil: 1", "a\u202eX-Evil: 1", "a\" , \"evil\": \"1", "a&evil=1#?/../",
	"a\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n", "=?utf-8?q?=0D=0AX-Evil:_1?=",
}

func (s Suite) injection(t T) {
	b := s.start(t)
	set := []func(m *care.Message, v string){
		func(m *care.Message, v string) { m.Text = []byte(v) },
		func(m *care.Message, v string) { m.ToName, m.From.Name, m.ReplyTo.Name = v, v, v },
		func(m *care.Message, v string) { m.Subject = v },
		func(m *care.Message, v string) { m.Signature = v },
		func(m *care.Message, v string) { m.To = v },
		func(m *care.Message, v string) {
			m.Dealer, m.Program, m.Topic, m.Step, m.Customer, m.Vehicle = v, v, v, v, v, v
		},
		func(m *care.Message, v string) { m.Locale, m.Country, m.Class = v, v, care.Class(v) },
		func(m *care.Message, v string) { m.ID = v },
		func(m *care.Message, v string) { m.Unsubscribe = v },
		func(m *care.Message, v string) { m.Headers = map[string]string{"X-Good": v, "X-Other": v} },
		func(m *care.Message, v string) {
			for name, g := range m.Gateways {
				params := map[string]string{}
				for k := range g.Params {
					params[k] = v
				}
				g.Params = params
				m.Gateways[name] = g
			}
		},
	}
	for _, field := range set {
		for _, trick := range Tricks {
			m := s.Message()
			field(m, trick)
			before := b.peer.Received()
			_, e := b.send(t.Context(), t, m)
			if e != nil && e.Kind != care.KindContent && e.Kind != care.KindRecipient {
				t.Errorf("%q: %v", trick, e)
			}
			if n := b.peer.Received() - before; n > 1 || (n == 0 && e == nil) {
				t.Errorf("%q: %d messages arrived", trick, n)
			}
			if forged := b.peer.Forged(); forged != "" {
				t.Errorf("%q became %q", trick, forged)
			}
		}
	}
}

func (s Suite) recovers(t T) {
	b := s.start(t)
	for behaviour := Yes + 1; behaviour < PastTheEnd; behaviour++ {
		if s.Plain && behaviour > Silent {
			break
		}
		b.peer.Behave(behaviour)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, _ = b.send(ctx, t, s.Message())
		cancel()
		b.peer.Behave(Yes)
		if _, e := b.send(t.Context(), t, s.Message()); e != nil {
			t.Errorf("after behaviour %d: %v", behaviour, e)
		}
	}
}

func (s Suite) redirect(t T) {
	b := s.start(t)
	b.peer.Behave(Redirect)
	_, e := b.send(t.Context(), t, s.Message())
	if e == nil || e.Kind == care.KindUncertain || e.Kind == care.KindRecipient {
		t.Errorf("got %v; a redirect is a definite failure", e)
	}
	if n := b.peer.Elsewhere(); n != 0 {
		t.Errorf("the redirect was followed")
	}
}

func (s Suite) retryAfter(t T) {
	b := s.start(t)
	b.peer.Behave(TooMany)
	peer, ok := b.peer.(*HTTPPeer)
	if !ok {
		return
	}
	for value, want := range map[string]time.Duration{"120": 2 * time.Minute, "-1": 0, "soon": 0, "": 0, "99999999999999999999": 30 * 24 * time.Hour} {
		peer.RetryAfter(value)
		_, e := b.send(t.Context(), t, s.Message())
		b.want(t, e, care.KindRetry)
		if e != nil && e.RetryAfter != want {
			t.Errorf("%q: retry after %v, want %v", value, e.RetryAfter, want)
		}
	}
}

func (s Suite) answers(t T) {
	b := s.start(t)
	unread := care.KindUncertain
	if s.StatusDecides {
		unread = ""
	}
	for behaviour, kind := range map[Behaviour]care.Kind{
		Cut: unread, Endless: unread, Bomb: unread, Rubbish: unread, Headers: care.KindUncertain,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b.peer.Behave(behaviour)
		at := b.peer.Received()
		_, e := b.send(t.Context(), t, s.Message())
		runtime.ReadMemStats(&after)
		b.want(t, e, kind)
		if n := b.peer.Received() - at; n != 1 && (!s.Repeats || behaviour != Headers) {
			t.Errorf("behaviour %d: it arrived %d times", behaviour, n)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
			t.Errorf("behaviour %d: the heap grew by %d MiB", behaviour, grown>>20)
		}
	}
}
