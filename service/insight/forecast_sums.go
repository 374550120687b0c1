package insight

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
)

// Sum is several volumes added up.
type Sum struct {
	Messages int
	By       map[care.Channel]int
	Parts    int
	Cost     map[string]float64 // by currency; "" = none is named in the book
}

func (s *Sum) add(v *Volume) {
	if s.By == nil {
		s.By, s.Cost = map[care.Channel]int{}, map[string]float64{}
	}
	s.Messages += v.Messages
	s.By[v.Channel] += v.Messages
	s.Parts += v.Parts
	s.Cost[v.Currency] += v.Cost
}

// CostText writes the cost in every currency: "CNY 12.30 + USD 4.00"; "–" for nothing.
func (s *Sum) CostText() string {
	var out []string
	for _, currency := range slices.Sorted(maps.Keys(s.Cost)) {
		if cost := s.Cost[currency]; cost > 0 {
			cents := fmt.Sprintf("%.2f", cost+1e-9) // half a cent goes up, whatever its binary neighbour is
			whole, rest, _ := strings.Cut(cents, ".")
			n, _ := strconv.Atoi(whole)
			out = append(out, strings.TrimSpace(currency+" "+texts.Number(n)+"."+rest))
		}
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, " + ")
}

// Total adds everything up.
func (f *Forecast) Total() *Sum {
	out := &Sum{}
	for i := range f.Volumes {
		out.add(&f.Volumes[i])
	}
	return out
}

// ByDay adds up each day that has a message.
func (f *Forecast) ByDay() map[care.Date]*Sum {
	return sumBy(f.Volumes, func(v *Volume) care.Date { return v.Day })
}

// ByProgram adds up each program.
func (f *Forecast) ByProgram() map[string]*Sum {
	return sumBy(f.Volumes, func(v *Volume) string { return v.Program })
}

// ByDealer adds up each dealer.
func (f *Forecast) ByDealer() map[string]*Sum {
	return sumBy(f.Volumes, func(v *Volume) string { return v.Dealer })
}

func sumBy[K comparable](volumes []Volume, key func(*Volume) K) map[K]*Sum {
	out := map[K]*Sum{}
	for i := range volumes {
		k := key(&volumes[i])
		if out[k] == nil {
			out[k] = &Sum{}
		}
		out[k].add(&volumes[i])
	}
	return out
}

// WriteJSONL writes the forecast one fact per line; each names what it is in "kind": volume, held, cap, capped_customer,
// unreachable, unwritten, and last the summary.
func (f *Forecast) WriteJSONL(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	var failed error
	put := func(line any) {
		if failed == nil {
			failed = enc.Encode(line)
		}
	}
	lines(put, "volume", f.Volumes)
	lines(put, "held", f.Held)
	lines(put, "cap", f.Caps)
	lines(put, "capped_customer", f.Capped)
	lines(put, "unreachable", f.Unreachable)
	lines(put, "unwritten", f.Unwritten)
	total := f.Total()
	unreachable := 0
	for _, u := range f.Unreachable {
		unreachable += u.Customers
	}
	cost := map[string]float64{}
	for currency, c := range total.Cost {
		cost[currency] = round(c)
	}
	put(struct {
		Kind        string             `json:"kind"`
		First       care.Date          `json:"first"`
		Last        care.Date          `json:"last"`
		Customers   int                `json:"customers"`
		Planned     int                `json:"planned"`
		Broken      int                `json:"broken"`
		Unreachable int                `json:"unreachable"`
		Messages    int                `json:"messages"`
		Parts       int                `json:"parts"`
		Cost        map[string]float64 `json:"cost"`
	}{"summary", f.First, f.Last, f.Customers, f.Planned, f.Broken, unreachable, total.Messages, total.Parts, cost})
	return failed
}

// lines puts each fact behind its kind. The two are joined as text, so that the facts' own types need not know of it.
func lines[T any](put func(any), kind string, facts []T) {
	for _, fact := range facts {
		raw, err := json.Marshal(fact)
		if err != nil {
			continue // numbers, texts and dates: there is nothing that could fail
		}
		put(json.RawMessage(`{"kind":"` + kind + `",` + string(raw[1:])))
	}
}

// ParseDays returns the span of a forecast: days from a date on, today if none is given.
func ParseDays(from string, days int, now time.Time) (Moment, Moment, error) {
	if days < 1 || days > 1100 {
		return Moment{}, Moment{}, fmt.Errorf("--days %d: it is 1 to 1100", days)
	}
	first := Moment{Date: care.DateOf(now)}
	if from != "" {
		var err error
		if first, err = ParseMoment(from); err != nil {
			return Moment{}, Moment{}, fmt.Errorf("--from: %w", err)
		}
	}
	if first.Date.IsZero() {
		return first, Moment{Time: first.Time.AddDate(0, 0, days)}, nil
	}
	return first, Moment{Date: first.Date.AddDays(days)}, nil
}

// HeldGroup is what one reason does to all programs.
type HeldGroup struct {
	Outcome, Reason string
	Messages        int
	Programs        []Held // over all dealers, the most first
}

// HeldGroups adds up what is put off, merged and stopped by reason, in this order, the most first.
func (f *Forecast) HeldGroups() []HeldGroup {
	var out []HeldGroup
	for _, h := range f.Held {
		i := slices.IndexFunc(out, func(g HeldGroup) bool { return g.Outcome == h.Outcome && g.Reason == h.Reason })
		if i < 0 {
			i = len(out)
			out = append(out, HeldGroup{Outcome: h.Outcome, Reason: h.Reason})
		}
		g := &out[i]
		g.Messages += h.Messages
		if j := slices.IndexFunc(g.Programs, func(p Held) bool { return p.Program == h.Program }); j >= 0 {
			g.Programs[j].Messages += h.Messages
			continue
		}
		h.Dealer = ""
		g.Programs = append(g.Programs, h)
	}
	order := []string{"put_off", "merged", "stopped"}
	slices.SortFunc(out, func(a, b HeldGroup) int {
		return cmp.Or(slices.Index(order, a.Outcome)-slices.Index(order, b.Outcome), b.Messages-a.Messages, cmp.Compare(a.Reason, b.Reason))
	})
	for _, g := range out {
		slices.SortFunc(g.Programs, func(a, b Held) int { return cmp.Or(b.Messages-a.Messages, cmp.Compare(a.Program, b.Program)) })
	}
	return out
}
