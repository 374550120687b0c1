package care

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Lists of a shelf are what append alone would make of them, and stay so whatever comes behind them, on the shelf or into the list.
func TestShelfKeepsListsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s shelf[int]
		var got, want [][]int
		for range rapid.IntRange(1, 30).Draw(t, "lists") {
			items := rapid.SliceOfN(rapid.Int(), 0, rapid.SampledFrom([]int{0, 1, 3, 50}).Draw(t, "most")).Draw(t, "items")
			list := append(s.open(), items...)
			if rapid.IntRange(0, 4).Draw(t, "given up") == 0 {
				continue
			}
			list = s.keep(list)
			_ = append(list, -1) // whoever adds to a list must not reach the next one
			got, want = append(got, list), append(want, slices.Clone(items))
			n := *s.one()
			if n != 0 {
				t.Fatalf("a place for one item was not empty: %d", n)
			}
		}
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Fatalf("list %d: got %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// What a customer allowed is read as it stands in the record, whichever records came before, and one record's report changes no other.
func TestConsentIsTheRecordsOwn(t *testing.T) {
	t.Parallel()
	for range 2 { // the second time each is known
		for _, text := range []string{
			`{"sms":{"service":true,"commercial":false},"email":{"service":true}}`,
			`{"sms":{"service":true,"commercial":false},"email":{"service":false}}`,
			`{"sms":{"service":true,"commercial":false},"email":{"service":true}} `,
			`{"sms":{"service":true,"x":{"y":{}}},"email":{"service":true}}`,
			`{"sms":{"service":true}}`,
			`{"sms":{"service":true,"source":"contract"}}`,
			`{"sms":{"service":true,"at":"2024-03-01"}}`,
			`{"sms":{"service":true,"at":"never"}}`,
			`{"SMS":{"service":true}}`,
			`{}`,
		} {
			agree(t, []byte(`{"id":"C","consent":`+text+`,"holds":[{"reason":"a"}]}`))
			agree(t, []byte(`{"id":"C","x":{"y":`+text+`}}`))
		}
	}
	decode := func(text string) *Customer {
		c, _, err := Decode([]byte(`{"id":"C","consent":` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const said = `{"sms":{"service":true,"at":"never"}}`
	if first, second := decode(said), decode(said); !first.Closed || !second.Closed || cmp.Diff(first, second, inside) != "" {
		t.Errorf("a defect was reported once only: %+v, %+v", first, second)
	}
}
