package insight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Service answers questions over the customers of a store, or of a file where the question names one. Many may ask at once.
type Service struct {
	Store *store.Store // nil = customers come from files only
	Book  func() (*carebook.Compiled, error)
	Now   func() time.Time
}

// Progress is told how far a long piece of work has come: in bytes of what is read, or in customers where total is 0.
type Progress func(what string, done, total int64)

// ErrNoCustomer is returned for an id of which nothing is known, and for a customer whom the principal may not see.
var ErrNoCustomer = errors.New("there is no such customer")

var errNoStore = errors.New("there is no store to read customers from")

// Customer reads one customer with what is known of them.
func (s *Service) Customer(ctx context.Context, who care.Principal, id string) (*care.Facts, error) {
	if !care.ValidID(id) {
		return nil, invalidID(id)
	}
	book, err := s.Book()
	if err != nil {
		return nil, err
	}
	if s.Store == nil {
		return nil, errNoStore
	}
	facts, err := s.Store.Facts(ctx, []string{id})
	switch {
	case err != nil:
		return nil, err
	case len(facts) != 1 || errors.Is(facts[0].Err, care.ErrGone) || !book.Visible(who, facts[0].Customer):
		return nil, fmt.Errorf("%w: care:customer:%s", ErrNoCustomer, id)
	case facts[0].Err != nil:
		return nil, facts[0].Err
	}
	return facts[0], nil
}

func invalidID(id string) error {
	return fmt.Errorf("%q is no customer id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -", id)
}
