package feedback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/mailbox"
	"github.com/carebell/carebell/config"
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

// BouncePoller looks every so often into a mailbox of returned mail. Each mail goes the way of one that a mail server posts to
// /hooks/email/bounce: what is learned of an address does not depend on how the report came. One that is read twice changes nothing
// the second time, so it does no harm when two replicas look.
type BouncePoller struct {
	where string
	box   Mailbox
	take  func(ctx context.Context, mail io.Reader) error
	mine  func() bool
	log   *slog.Logger
}

// Mailbox is where returned mail arrives.
type Mailbox interface {
	// Fetch passes each mail to take and puts it away once it was taken without an error.
	Fetch(ctx context.Context, take mailbox.Handler) error
}

// NewBouncePoller returns a poller that does nothing until Run. where names the mailbox in the log; mine tells whether this replica is
// to look now; take is Service.Returned.
func NewBouncePoller(where string, box Mailbox, take func(ctx context.Context, mail io.Reader) error, mine func() bool, log *slog.Logger) *BouncePoller {
	return &BouncePoller{where: where, box: box, take: take, mine: mine, log: log}
}

// NewBouncePollers checks CARE_BOUNCE_MAILDIR and CARE_BOUNCE_IMAP_URL and returns a poller for each that is set. It connects to
// nothing. The mailbox of IMAP is the leader's.
func NewBouncePollers(set config.Bounce, take func(ctx context.Context, mail io.Reader) error, leads func() bool, now func() time.Time, log *slog.Logger) ([]*BouncePoller, error) {
	var out []*BouncePoller
	if set.Maildir != "" {
		box, err := mailbox.OpenMaildir(set.Maildir)
		if err != nil {
			return nil, fmt.Errorf("CARE_BOUNCE_MAILDIR: %w", err)
		}
		// The folder may be this machine's own: every replica looks into its own.
		out = append(out, NewBouncePoller("Maildir", box, take, func() bool { return true }, log))
	}
	if !set.IMAP.URL.IsZero() {
		tokens, err := Tokens(set.IMAP.Token, now)
		if err != nil {
			return nil, fmt.Errorf("CARE_BOUNCE_IMAP_TOKEN_…: %w", err)
		}
		box, err := mailbox.ParseIMAP(set.IMAP.URL.Reveal(), tokens)
		if err != nil {
			return nil, fmt.Errorf("CARE_BOUNCE_IMAP_URL: %w", err)
		}
		out = append(out, NewBouncePoller("IMAP", box, take, leads, log))
	}
	return out, nil
}

// Tokens are what settings log in with, nil if they name no place for tokens.
func Tokens(set config.Token, now func() time.Time) (*email.Tokens, error) {
	return email.NewTokens(email.TokenConfig{
		Command: set.Command, URL: set.URL, ClientID: set.ClientID, ClientSecret: set.ClientSecret.Reveal(), Scope: set.Scope,
		Refresh: set.Refresh.Reveal(), Now: now,
	})
}

// Where names the mailbox.
func (p *BouncePoller) Where() string { return p.where }

// Run looks into the mailbox at once and then every so often, less often while that fails, until ctx ends.
func (p *BouncePoller) Run(ctx context.Context) {
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
		if !care.Sleep(ctx, wait) {
			return
		}
	}
}

// bounceWait is how long until the next look, after so many that failed in a row.
func bounceWait(failures int) time.Duration {
	return min(bouncesEvery<<min(max(failures-1, 0), 10), bouncesRest)
}

func (p *BouncePoller) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bouncesLook)
	defer cancel()
	return p.box.Fetch(ctx, func(ctx context.Context, mail io.Reader) error {
		err := p.take(ctx, mail)
		if errors.Is(err, ErrUnreadable) {
			p.log.Warn("a returned mail cannot be read: it is put away", slog.String("mailbox", p.where))
			return nil
		}
		return err
	})
}
