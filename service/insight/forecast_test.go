package insight

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/google/go-cmp/cmp"
)

func forecastOf(t *testing.T, book *carebook.Compiled, opt PlanOptions) *Forecast {
	t.Helper()
	f, err := serviceOf(book).Forecast(t.Context(), care.CommandLine(), ForecastOptions{PlanOptions: opt})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sameDate(a, b care.Date) bool { return a == b }

func sameCap(a, b scheduler.Cap) bool { return a == b }

// However the customers are shared out among the workers, the sums are the same.
func TestForecastDoesNotDependOnTheWorkers(t *testing.T) {
	t.Parallel()
	var first *Forecast
	for _, workers := range []int{1, 2, 7} {
		s, err := fileService().newScan(t.Context(), care.CommandLine(), peopleFile, quarter().Period, nil)
		if err != nil {
			t.Fatal(err)
		}
		sums := make([]*sum, workers)
		for i := range sums {
			sums[i] = newSum(s.book)
		}
		turn := 0
		s.workers = 1 // one at a time, and each to another sum
		err = s.plan(t.Context(), func(_ int, f *care.Facts, plan []*care.Occurrence) {
			sums[turn%workers].add(f, plan)
			turn++
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range sums[1:] {
			sums[0].merge(other)
		}
		f := sums[0].forecast(quarter().Period, testNow)
		if first == nil {
			first = f
		}
		if d := cmp.Diff(first, f, cmp.Comparer(sameDate), cmp.Comparer(sameCap)); d != "" {
			t.Errorf("with %d workers: %s", workers, d)
		}
	}
}

// bookWith writes the default book with one file changed.
func bookWith(t *testing.T, name, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := config.WriteDefault(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Parts and cost are those of the very text that the customer gets, by the dealer's prices.
func TestForecastCostsWhatTheTextsCost(t *testing.T) {
	t.Parallel()
	dir := bookWith(t, "templates/birthday/zh-CN/sms.txt", strings.Repeat("生日快乐！", 30)) // 150 characters: three parts
	book := mustOpen(dir)
	price := book.Book.Dealers[0].Prices["sms"]
	parts := 0
	s, err := serviceOf(book).newScan(t.Context(), care.CommandLine(), peopleFile, quarter().Period, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.workers = 1
	err = s.plan(t.Context(), func(_ int, f *care.Facts, plan []*care.Occurrence) {
		for _, o := range plan {
			if o.Verdict != care.Send || o.Channel != care.SMS {
				continue
			}
			m, err := book.Compose(f, o, care.SMS, o.Release)
			if err != nil {
				t.Errorf("%s: %v", o.Template, err)
				continue
			}
			n, _ := sms.Parts(string(m.Text), m.Signature, sms.StyleFor(m.Country))
			parts += n
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	total := forecastOf(t, book, quarter()).Total()
	if total.Parts != parts || parts <= total.By[care.SMS] {
		t.Errorf("%d parts in %d SMS, want %d and more than one for some", total.Parts, total.By[care.SMS], parts)
	}
	if got, want := round(total.Cost["CNY"]), round(float64(parts)*price); got != want || want == 0 {
		t.Errorf("cost %v, want %v", got, want)
	}
}

func TestForecastNamesCapsAndWhomNothingReaches(t *testing.T) {
	t.Parallel()
	f := forecastOf(t, defaultBook(), quarter())
	if f.Customers != 12 || f.Broken != 2 {
		t.Errorf("%d records, %d broken, want 12 and 2", f.Customers, f.Broken)
	}
	want := []Unreachable{
		{"example", "bad_address", 1, []string{"BADTEL"}},
		{"example", "no_address", 1, []string{"BARE"}},
		{"example", "no_consent", 1, []string{"NOSAY"}},
	}
	if d := cmp.Diff(want, f.Unreachable); d != "" {
		t.Error(d)
	}
	// The anniversary and the insurance a month before fall on 31 December: one a week is the limit of grade C, and the reminder has it.
	found := false
	for _, c := range f.Capped {
		found = found || c.Customer == "BUSY" && c.Cap.Limit == 1 && c.Cap.By() == "grade:C" && c.Lost == 1
	}
	if !found {
		t.Errorf("the customer of grade C is not among the capped: %+v", f.Capped)
	}
}

// A text that cannot be made costs nothing and is named.
func TestForecastNamesTextsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := bookWith(t, "templates/birthday/zh-CN/sms.txt", "{{ customer.salutation }}，生日快乐！")
	f := forecastOf(t, mustOpen(dir), quarter())
	if len(f.Unwritten) != 1 || f.Unwritten[0].Template != "birthday" || f.Unwritten[0].Code != "missing_variable" || f.Unwritten[0].Messages < 1 {
		t.Errorf("got %+v", f.Unwritten)
	}
}

func TestForecastJSONL(t *testing.T) {
	t.Parallel()
	f := forecastOf(t, defaultBook(), quarter())
	var b bytes.Buffer
	if err := f.WriteJSONL(&b); err != nil {
		t.Fatal(err)
	}
	kinds, messages := map[string]int{}, 0
	var last map[string]any
	for line := range strings.Lines(b.String()) {
		var fact map[string]any
		if err := json.Unmarshal([]byte(line), &fact); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		kinds[fact["kind"].(string)]++
		if fact["kind"] == "volume" {
			messages += int(fact["messages"].(float64))
		}
		last = fact
	}
	if last["kind"] != "summary" || int(last["messages"].(float64)) != messages || messages == 0 {
		t.Errorf("the last line sums up %v, the volumes %d", last, messages)
	}
	for _, kind := range []string{"volume", "held", "cap", "capped_customer", "unreachable", "summary"} {
		if kinds[kind] == 0 {
			t.Errorf("no line of kind %s", kind)
		}
	}
}

// A few days that tower over the others are cut off; a day that is merely the busiest is not.
func TestCeilingOf(t *testing.T) {
	t.Parallel()
	days := func(heights ...int) map[care.Date]*Sum {
		out := map[care.Date]*Sum{}
		for i, n := range heights {
			out[care.NewDate(2026, 1, 1).AddDays(i)] = &Sum{Messages: n}
		}
		return out
	}
	steady := []int{40, 30, 35, 38, 41, 22, 30, 36, 39, 45, 31, 33, 37, 40, 30, 35, 38, 41, 22, 30}
	for _, tc := range []struct {
		heights []int
		ceiling int
	}{
		{nil, 1},
		{[]int{3}, 3},
		{steady, 60},
		{append([]int{90}, steady...), 100},
		{append([]int{1800, 1790}, steady...), 60},
	} {
		if got, _ := ceilingOf(days(tc.heights...)); got != tc.ceiling {
			t.Errorf("%v: the axis ends at %d, want %d", tc.heights, got, tc.ceiling)
		}
	}
}

func TestCostText(t *testing.T) {
	t.Parallel()
	s := Sum{Cost: map[string]float64{"USD": 0.5, "CNY": 1234567.891, "EUR": 0}}
	if got := s.CostText(); got != "CNY 1,234,567.89 + USD 0.50" {
		t.Error(got)
	}
	if got := (&Sum{}).CostText(); got != "–" {
		t.Error(got)
	}
}
