package daemon

import (
	"context"
	"fmt"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/store"
)

// link remembers whose numbers texts are about to go to, so that a reply finds its customer: before the first text leaves, because an
// opt-out that finds nobody would be lost. One batch costs two trips whatever its size.
func (d *Daemon) link(ctx context.Context, batch []*care.Message) error {
	key := d.env.hashKey()
	var links []store.AddressLink
	for _, m := range batch {
		if m.Channel == care.SMS {
			links = append(links, store.AddressLink{Hash: contact.Hash(key, m.To), Customer: m.Customer})
		}
	}
	if len(links) == 0 {
		return nil
	}
	if err := d.store.Link(ctx, links); err != nil {
		return fmt.Errorf("link numbers: %w", err)
	}
	return nil
}
