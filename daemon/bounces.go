package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carebell/carebell/channels/email"
)

// bouncesEvery is how often the mailbox of returned mail is looked into.
const bouncesEvery = 30 * time.Second

// mailbox reads returned mail out of a Maildir (https://cr.yp.to/proto/maildir.html). Each mail goes through the same door as one
// that a mail server posts to /hooks/email/bounce: what is learned of an address does not depend on the way. A mail that was read
// moves from new/ to cur/ and is never deleted; one that cannot be recorded now stays in new/ for the next look. A replica that
// shares the folder does no harm: a report that is read twice changes nothing the second time.
type mailbox struct {
	dir    string
	door   http.Handler
	secret string
	log    *slog.Logger
}

// openMailbox checks that CARE_BOUNCE_MAILDIR is a Maildir that can be read and cleared.
func (d *Daemon) openMailbox(context.Context) error {
	dir := d.env.Settings.Bounce.Maildir
	if dir == "" {
		return nil
	}
	for _, sub := range []string{"new", "cur"} {
		info, err := os.Stat(filepath.Join(dir, sub))
		if err != nil || !info.IsDir() {
			return fmt.Errorf("CARE_BOUNCE_MAILDIR: %s has no folder %s: name a Maildir, the folder that holds new, cur and tmp", dir, sub)
		}
	}
	// A secret of its own: nobody but this process knocks at this door.
	secret := rand.Text()
	public := d.public()
	public.BounceSecret = secret
	d.mailbox = &mailbox{dir: dir, door: public.Handler(), secret: secret, log: d.log}
	return nil
}

// run looks into the mailbox at once and then every so often, until ctx ends.
func (m *mailbox) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.log.Error("the mailbox of returned mail cannot be read", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

var errLater = errors.New("returned mail could not be recorded and stays in new/ for the next look")

// look takes every mail in new/, the oldest first as far as their names tell.
func (m *mailbox) look(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(m.dir, "new"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if ctx.Err() != nil || strings.HasPrefix(name, ".") || !entry.Type().IsRegular() {
			continue
		}
		err := m.take(ctx, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // not there: another replica was quicker
			return err
		}
	}
	return nil
}

// take reads one mail and puts it away.
func (m *mailbox) take(ctx context.Context, name string) error {
	raw, err := m.read(name)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/hooks/email/bounce", bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.RemoteAddr = "127.0.0.1:0"
	req.Header.Set("Content-Type", "message/rfc822")
	req.Header.Set("Authorization", "Bearer "+m.secret)
	var answer answered
	m.door.ServeHTTP(&answer, req)
	switch {
	case answer.status == http.StatusTooManyRequests || answer.status >= http.StatusInternalServerError:
		return errLater
	case answer.status >= http.StatusBadRequest:
		m.log.Warn("a returned mail cannot be read: it is put away", slog.String("file", name), slog.Int("status", answer.status))
	}
	base, _, _ := strings.Cut(name, ":2,")
	return os.Rename(filepath.Join(m.dir, "new", name), filepath.Join(m.dir, "cur", base+":2,S"))
}

// read returns the beginning of a mail: a report stands in front of the mail that it returns.
func (m *mailbox) read(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(m.dir, "new", name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, email.MaxReport))
}

// answered notes how a request was answered and forgets the rest.
type answered struct {
	header http.Header
	status int
}

// Header returns the answer's headers.
func (a *answered) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

// WriteHeader notes the status.
func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write drops the body.
func (a *answered) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return len(b), nil
}
