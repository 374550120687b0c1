package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/store"
)

// linker remembers whose number a text went to, so that a reply finds its customer. Links are written in the background, in batches:
// a reply takes a person longer than that.
type linker struct {
	links chan store.AddressLink
	key   []byte
}

const (
	linkBatch = 256
	linkEvery = time.Second
)

func newLinker(key []byte) *linker {
	return &linker{links: make(chan store.AddressLink, 4*linkBatch), key: key}
}

// wrap returns a sender that links every number that the next one's provider took a text for.
func (l *linker) wrap(next delivery.Sender) delivery.Sender { return linked{l, next} }

type linked struct {
	l    *linker
	next delivery.Sender
}

// Send hands the message over and remembers its address.
func (s linked) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	receipt, err := s.next.Send(ctx, m)
	if err == nil {
		select {
		case s.l.links <- store.AddressLink{Hash: contact.Hash(s.l.key, m.To), Customer: m.Customer}:
		case <-ctx.Done():
		}
	}
	return receipt, err
}

// run writes links until ctx ends, and then what is left.
func (l *linker) run(ctx context.Context, st *store.Store, log *slog.Logger) {
	tick := time.NewTicker(linkEvery)
	defer tick.Stop()
	var batch []store.AddressLink
	write := func(ctx context.Context) {
		if len(batch) == 0 {
			return
		}
		if err := st.Link(ctx, batch); err != nil {
			log.Warn("numbers could not be linked; replies from them find nobody yet", slog.Any("error", err), slog.Int("numbers", len(batch)))
			if len(batch) < 8*linkBatch {
				return // once more with the next
			}
		}
		batch = batch[:0]
	}
	for {
		select {
		case link := <-l.links:
			if batch = append(batch, link); len(batch) >= linkBatch {
				write(ctx)
			}
		case <-tick.C:
			write(ctx)
		case <-ctx.Done():
			for {
				select {
				case link := <-l.links:
					batch = append(batch, link)
					continue
				default:
				}
				break
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), linkEvery)
			write(last)
			cancel()
			return
		}
	}
}
