package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/carebell/carebell/channels/email/mailbox"
	"github.com/carebell/carebell/console"
)

// How often a mailbox of returned mail is looked into, and at most how rarely while it cannot be read.
const (
	bouncesEvery = 30 * time.Second
	bouncesRest  = 10 * time.Minute
	// bounceAsk is how often a replica whose turn it is not asks again.
	bounceAsk = time.Second
	// bouncesLook bounds one look: a server that answers slowly is asked again later.
	bouncesLook = 5 * time.Minute
)

// postbox is a mailbox of returned mail that is looked into every so often. Each mail goes the way of one that a mail server posts to
// /hooks/email/bounce: what is learned of an address does not depend on how the report came. One that is read twice changes nothing
// the second time, so it does no harm when two replicas look.
type postbox struct {
	where string
	box   interface {
		Fetch(ctx context.Context, take mailbox.Handler) error
	}
	take func(ctx context.Context, mail io.Reader) error
	mine func() bool // whether this replica is to look now
	log  *slog.Logger
}

// openPostboxes checks CARE_BOUNCE_MAILDIR and CARE_BOUNCE_IMAP_URL. It connects to nothing.
func (d *Daemon) openPostboxes(context.Context) error {
	set, take := d.env.Settings.Bounce, d.public().Returned
	if set.Maildir != "" {
		box, err := mailbox.OpenMaildir(set.Maildir)
		if err != nil {
			return fmt.Errorf("CARE_BOUNCE_MAILDIR: %w", err)
		}
		// The folder may be this machine's own: every replica looks into its own.
		d.postboxes = append(d.postboxes, &postbox{"Maildir", box, take, func() bool { return true }, d.log})
	}
	if !set.IMAP.URL.IsZero() {
		box, err := mailbox.ParseIMAP(set.IMAP.URL.Reveal())
		if err != nil {
			return fmt.Errorf("CARE_BOUNCE_IMAP_URL: %w", err)
		}
		d.postboxes = append(d.postboxes, &postbox{"IMAP", box, take, d.leads.Load, d.log})
	}
	return nil
}

// run looks into the mailbox at once and then every so often, less often while that fails, until ctx ends.
func (p *postbox) run(ctx context.Context) {
	for failures := 0; ; {
		wait := bounceAsk
		if p.mine() {
			failures++
			if err := p.look(ctx); err == nil {
				failures = 0
			} else if ctx.Err() == nil {
				p.log.Error("the mailbox of returned mail cannot be read", slog.String("mailbox", p.where), slog.Any("error", err))
			}
			wait = bounceWait(failures)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// bounceWait is how long until the next look, after so many that failed in a row.
func bounceWait(failures int) time.Duration {
	return min(bouncesEvery<<min(max(failures-1, 0), 10), bouncesRest)
}

func (p *postbox) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bouncesLook)
	defer cancel()
	return p.box.Fetch(ctx, func(ctx context.Context, mail io.Reader) error {
		err := p.take(ctx, mail)
		if errors.Is(err, console.ErrUnreadable) {
			p.log.Warn("a returned mail cannot be read: it is put away", slog.String("mailbox", p.where))
			return nil
		}
		return err
	})
}
