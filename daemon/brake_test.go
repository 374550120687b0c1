package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
)

// What the brake held is in the queue at the next look after an operator says go, long before the next sweep, and nobody is told that it stands.
func TestWhatWasBrakedGoesAtTheNextLook(t *testing.T) {
	t.Parallel()
	const customers = 130
	d, st := house(t, func(s *config.Settings) { s.Book = wide(t, s.Book) })
	dealer := d.book.Load().Book.Dealers[0].Dealer
	day := care.DateOf(time.Now()).AddDays(-2).String()
	if _, err := st.Pause(t.Context(), "channel:email", "", "nothing leaves"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range customers {
		ids = append(ids, fmt.Sprintf("C%03d", i))
	}
	if _, err := st.Merge(t.Context(), ids, func(i int, _ []byte) ([]byte, error) {
		return fmt.Appendf(nil, `{"id":"%s","email":"%s@example.com","vehicles":[{"id":"V%d","model":"君威","delivered_on":"%s"}]}`, ids[i], ids[i], i, day), nil
	}); err != nil {
		t.Fatal(err)
	}
	await := func(what string, want int) {
		t.Helper()
		var n int
		for end := time.Now().Add(30 * time.Second); n != want && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			list, err := st.Messages(t.Context(), store.Filter{Program: "welcome", Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			n = len(list)
		}
		if n != want {
			t.Fatalf("%s: %d messages, want %d", what, n, want)
		}
	}
	await("the brake lets a hundred go", 100)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		op, err := d.stops.Operator(t.Context())
		if err == nil && op.Braked(dealer, "welcome") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the brake does not stand", err)
		}
	}
	if err := st.ReleaseBrake(t.Context(), dealer, "welcome"); err != nil {
		t.Fatal(err)
	}
	await("let go", customers)
	service := insight.Service{Store: st, Book: func() (*carebook.Compiled, error) { return d.book.Load(), nil }, Now: time.Now}
	for _, id := range ids {
		x, err := service.Explain(t.Context(), care.CommandLine(), insight.ExplainOptions{Customer: id, Program: "welcome"})
		if err != nil {
			t.Fatal(err)
		}
		for _, next := range x.Programs[0].Next {
			for _, gate := range next.Gates {
				if !gate.Pass && strings.Contains(gate.Gate, "brake") {
					t.Fatalf("explain says that %s is braked", id)
				}
			}
		}
	}
}
