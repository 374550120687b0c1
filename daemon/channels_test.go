package daemon

import (
	"context"
	"errors"
	"testing"

	"github.com/carebell/carebell/care"
)

// refusing is a channel that answers every message alike.
type refusing struct {
	err error
	to  string
}

func (r *refusing) Send(_ context.Context, m *care.Message) (care.Receipt, error) {
	r.to = m.To
	return care.Receipt{Gateway: "g"}, r.err
}

// TestTheRedirectsAddressIsNoCustomers: what becomes of the one address says nothing of those whom the messages were for.
func TestTheRedirectsAddressIsNoCustomers(t *testing.T) {
	t.Parallel()
	for _, kind := range []care.Kind{care.KindRecipient, care.KindOptedOut, care.KindContent, care.KindRetry, ""} {
		next := &refusing{err: &care.Error{Kind: kind, Code: "5.1.1"}}
		if kind == "" {
			next.err = nil
		}
		receipt, err := redirected{next, "me@example.com"}.Send(t.Context(), &care.Message{To: "wang@example.com"})
		want := kind
		if kind == care.KindRecipient || kind == care.KindOptedOut {
			want = care.KindOperator
		}
		if got := care.KindOf(err); got != want || receipt.Gateway != "g" || next.to != "me@example.com" {
			t.Errorf("%s: %s, %+v, to %s", kind, got, receipt, next.to)
		}
		if e, ok := errors.AsType[*care.Error](err); ok && e.Code != "5.1.1" {
			t.Errorf("%s: the code is %s", kind, e.Code)
		}
	}
}
