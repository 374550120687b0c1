package operate

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
)

// Service does what operators ask for, on one store. Many may ask at once.
type Service struct {
	Store   *store.Store // nil = a dry run of an import without Redis
	Book    func() (*carebook.Compiled, error)
	Now     func() time.Time
	Log     *slog.Logger
	Senders OpenSenders // for test sends only
}

// Senders are the channels that the settings set up.
type Senders struct {
	ByChannel map[care.Channel]delivery.Sender
	Close     func() error // ends every connection; nothing may be sent after it
}

// OpenSenders sets the channels up. files is where the book's gateway files are; nil = there is no book.
type OpenSenders func(files fs.FS) (*Senders, error)

// ErrOtherDealers is returned to a principal who is bound to dealers for what would concern the customers of others too.
var ErrOtherDealers = errors.New("it concerns other dealers' customers too: name one of your own dealers")

// customer reads one customer whom the principal may see; nil for "".
func (s *Service) customer(ctx context.Context, who care.Principal, id string) (*care.Facts, error) {
	if id == "" {
		return nil, nil
	}
	ask := insight.Service{Store: s.Store, Book: s.Book, Now: s.Now}
	return ask.Customer(ctx, who, id)
}
