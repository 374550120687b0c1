package operate

import (
	"context"

	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Channels is the part of Run that looks at the channels, for tests that set them up as the daemon does.
func (d *Doctor) Channels(ctx context.Context, book *carebook.Compiled, tell func(store.Finding)) {
	d.channels(ctx, book, tell)
}

// Mailbox is the part of Run that looks at the mailbox of returned mail.
func (d *Doctor) Mailbox(ctx context.Context, tell func(store.Finding)) { d.mailbox(ctx, tell) }

// SendersOf is senders, of a doctor without a book.
func (d *Doctor) SendersOf(ctx context.Context, tell func(store.Finding)) {
	d.senders(ctx, nil, nil, false, tell)
}
