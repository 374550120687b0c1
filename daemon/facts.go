package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/carebell/carebell/care"
)

var errNoCustomer = errors.New("there is no such customer")

// factsOf reads one customer, for commands.
func factsOf(ctx context.Context, from interface {
	Facts(ctx context.Context, ids []string) ([]*care.Facts, error)
}, id string,
) (*care.Facts, error) {
	if !care.ValidID(id) {
		return nil, fmt.Errorf("%q is no customer id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -", id)
	}
	facts, err := from.Facts(ctx, []string{id})
	switch {
	case err != nil:
		return nil, err
	case len(facts) != 1 || errors.Is(facts[0].Err, care.ErrGone):
		return nil, fmt.Errorf("%w: care:customer:%s", errNoCustomer, id)
	case facts[0].Err != nil:
		return nil, facts[0].Err
	}
	return facts[0], nil
}
