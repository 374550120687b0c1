package intake_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/intake"
)

// lunarMonths is what two independent calendars say of each lunar month from 1900 to 2100: its length.
func lunarMonths(t testing.TB) func(year, month int, leap bool, day int) bool {
	t.Helper()
	raw, err := os.ReadFile("testdata/lunar-months.tsv")
	if err != nil {
		t.Fatal(err)
	}
	days := map[[3]int]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n")[1:] {
		f := strings.Split(line, "\t")
		var n [4]int
		for i := range n {
			if n[i], err = strconv.Atoi(f[i]); err != nil {
				t.Fatal(err)
			}
		}
		days[[3]int{n[0], n[1], n[2]}] = n[3]
	}
	return func(year, month int, leap bool, day int) bool {
		l := 0
		if leap {
			l = 1
		}
		return day >= 1 && day <= days[[3]int{year, month, l}]
	}
}

// noon is on the day of the fixtures.
var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

// book has one dealer with the default alias of makes.
func book() *care.Book {
	return &care.Book{Dealers: []*care.Dealer{{
		Dealer: "sh-pudong", Name: care.Text{"zh-CN": "浦东别克"}, Country: "CN", MakeAliases: map[string]string{"别克": "Buick"},
		Advisors: []care.Advisor{{Advisor: "chen", Name: care.Text{"": "陈志强"}}},
	}}}
}

func options(t testing.TB) intake.Options {
	return intake.Options{Book: book(), Now: noon, LunarDate: lunarMonths(t)}
}

// records is a store of records: patches are joined with what is there.
type records map[string][]byte

func (s records) apply(patches []intake.Patch) error {
	inBatch := map[string]bool{}
	for _, p := range patches {
		if inBatch[p.ID] {
			return fmt.Errorf("customer %s is twice in one batch", p.ID)
		}
		inBatch[p.ID] = true
		merged, err := intake.MergeRecord(s[p.ID], p)
		if err != nil {
			return err
		}
		if merged != nil {
			s[p.ID] = merged
		}
	}
	return nil
}

// TestDealership reads the export of a dealership in both encodings, and in batches of any size, and holds the result against
// what must come of it.
func TestDealership(t *testing.T) {
	t.Parallel()
	type vehicle struct {
		ID           string    `json:"id"`
		Plate        string    `json:"plate"`
		Make         string    `json:"make"`
		Model        string    `json:"model"`
		ModelYear    int       `json:"model_year"`
		DeliveredOn  care.Date `json:"delivered_on"`
		LastVisitOn  care.Date `json:"last_visit_on"`
		LastVisitKM  *int      `json:"last_visit_km"`
		InsuranceEnd care.Date `json:"insurance_until"`
	}
	type customer struct {
		Name     string        `json:"name"`
		Phone    string        `json:"phone"`
		Email    string        `json:"email"`
		Birthday care.Birthday `json:"birthday"`
		Grade    string        `json:"grade"`
		Advisor  string        `json:"advisor"`
		Vehicles []vehicle     `json:"vehicles"`
	}
	type rejected struct{ Customer, Column, Why string }
	var want struct {
		Rows      int                 `json:"rows"`
		Customers map[string]customer `json:"customers"`
		Rejected  []rejected          `json:"rejected"`
	}
	raw, err := os.ReadFile("testdata/dealership-expected.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	byID := func(a, b vehicle) int { return cmp.Compare(a.ID, b.ID) }
	for id, c := range want.Customers {
		for i := range c.Vehicles {
			if c.Vehicles[i].Make == "别克" {
				c.Vehicles[i].Make = "Buick" // the default alias
			}
		}
		slices.SortFunc(c.Vehicles, byID)
		if c.Advisor == "陈志强" {
			c.Advisor = "chen" // the book knows his id
		}
		want.Customers[id] = c
	}
	byCustomer := func(a, b rejected) int { return cmp.Compare(a.Customer+a.Column, b.Customer+b.Column) }
	slices.SortFunc(want.Rejected, byCustomer)

	for _, file := range []string{"dealership-gb18030.csv", "dealership-utf8-bom.csv"} {
		for _, size := range []int{0, 7, 1} {
			t.Run(fmt.Sprintf("%s/%d", file, size), func(t *testing.T) {
				t.Parallel()
				f, err := os.Open(filepath.Join("testdata", file))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				opt, store := options(t), records{}
				opt.Batch = size
				stats, err := intake.Read(t.Context(), f, file, opt, store.apply)
				if err != nil {
					t.Fatal(err)
				}
				if stats.Rows != want.Rows || stats.Customers != 261 || stats.Vehicles != 292 || stats.Rejected != 9 || stats.Noted != 1 || len(stats.Ignored) != 1 {
					t.Errorf("stats: got %+v", stats)
				}
				got := map[string]customer{}
				for id, raw := range store {
					c, defects, err := record.Decode(raw)
					if err != nil || len(defects) > 0 {
						t.Fatalf("%s: %v %v", id, err, defects)
					}
					out := customer{Name: c.Name, Phone: c.Phone, Email: c.Email, Birthday: c.Birthday, Grade: c.Grade, Advisor: c.Advisor}
					for _, v := range c.Vehicles {
						car := vehicle{ID: v.ID, Plate: v.Plate, Make: v.Make, Model: v.Model, ModelYear: v.ModelYear, DeliveredOn: v.DeliveredOn, InsuranceEnd: v.InsuranceUntil}
						for _, visit := range v.Visits {
							if visit.ClosedOn.After(car.LastVisitOn) {
								car.LastVisitOn, car.LastVisitKM = visit.ClosedOn, visit.KM
							}
							if visit.Kind != "" {
								t.Errorf("%s: the visit has kind %q", id, visit.Kind)
							}
						}
						out.Vehicles = append(out.Vehicles, car)
					}
					slices.SortFunc(out.Vehicles, byID)
					got[id] = out
				}
				if diff := gocmp.Diff(want.Customers, got, gocmp.AllowUnexported(care.Date{}, care.Birthday{})); diff != "" {
					t.Errorf("customers (-want +got):\n%.4000s", diff)
				}
				var refused []rejected
				for _, r := range stats.Rejections {
					refused = append(refused, rejected{r.Customer, r.Column, r.Reason})
				}
				slices.SortFunc(refused, byCustomer)
				if diff := gocmp.Diff(want.Rejected, refused); diff != "" {
					t.Errorf("rejected (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestAgain reads the same file twice: nothing changes, not a byte.
func TestAgain(t *testing.T) {
	t.Parallel()
	store := records{}
	for range 2 {
		before := map[string]string{}
		for id, r := range store {
			before[id] = string(r)
		}
		if _, err := readFile(t, copied(t, "dealership-gb18030.csv"), options(t), store.apply); err != nil {
			t.Fatal(err)
		}
		for id, r := range before {
			if string(store[id]) != r {
				t.Errorf("%s changed from %s to %s", id, r, store[id])
			}
		}
	}
}

// copied puts a fixture into a folder of its own, where a file of rejected rows may be made.
func copied(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRejectedFile: the rows come back as they were, in their encoding, with column and reason, and can be mended and read again.
func TestRejectedFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dealership-gb18030.csv", "dealership-utf8-bom.csv"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := copied(t, name)
			if _, err := readFile(t, file, options(t), records{}.apply); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(file + ".rejected.csv")
			if err != nil {
				t.Fatal(err)
			}
			if bom := bytes.HasPrefix(raw, []byte("\ufeff")); bom != strings.Contains(name, "bom") {
				t.Errorf("byte order mark: got %t", bom)
			}
			if valid := strings.Contains(string(raw), "客户编号"); valid == strings.Contains(name, "gb") {
				t.Errorf("the header is in the wrong encoding")
			}
			opt := options(t)
			var out bytes.Buffer
			opt.Rejected = func(int) (io.Writer, error) { return &out, nil }
			stats, err := intake.Read(t.Context(), bytes.NewReader(raw), file, opt, records{}.apply)
			if err != nil {
				t.Fatal(err)
			}
			if stats.Rows != 9 || stats.Rejected != 9 || len(stats.Ignored) != 1 {
				t.Errorf("read again: %+v", stats)
			}
			if !bytes.Equal(out.Bytes(), raw) {
				t.Errorf("rejected again, the rows are not the same:\n%q\n%q", raw, out.Bytes())
			}
			text := string(raw)
			if strings.Contains(name, "bom") {
				for _, want := range []string{",_column,_reason\r\n", ",'-5,", "手机号,phone in scientific notation: digits lost\r\n", "客户编号,no customer id\r\n"} {
					if !strings.Contains(text, want) {
						t.Errorf("no %q in\n%s", want, text)
					}
				}
			}
		})
	}
}

func BenchmarkDealership(b *testing.B) {
	for _, name := range []string{"dealership-gb18030.csv", "dealership-utf8-bom.csv"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			b.Fatal(err)
		}
		head, rows, _ := bytes.Cut(raw, []byte("\n"))
		big := append(append(append([]byte(nil), head...), '\n'), bytes.Repeat(rows, 100)...)
		opt := options(b)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(big)))
			n := 0
			for b.Loop() {
				stats, err := intake.Read(context.Background(), bytes.NewReader(big), name, opt, func([]intake.Patch) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				n += stats.Rows
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkUnique reads rows that are a customer each, and writes each patch.
func BenchmarkUnique(b *testing.B) {
	var text strings.Builder
	text.WriteString("客户编号,客户姓名,性别,手机号,生日,客户等级,车架号,品牌,车型,购车日期,上次进厂日期,上次进厂里程,短信同意\n")
	for i := range 50000 {
		fmt.Fprintf(&text, "C%06d,王小明,男,138-%04d-%04d,1985年2月20日,A,LSGHXRT911E%06d,别克,君威,2024/3/1,2026/5/2,\"31,000\",是\n", i, i/10000, i%10000, i)
	}
	opt := options(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		stats, err := intake.Read(context.Background(), strings.NewReader(text.String()), "x.csv", opt, func([]intake.Patch) error { return nil })
		if err != nil || stats.Customers != 50000 {
			b.Fatal(stats, err)
		}
		n += stats.Rows
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkMergeRecord(b *testing.B) {
	old := []byte(`{"id":"C1","name":"王小明","phone":"+8613800138000","extra":{"a":[1,2]},"consent":{"sms":{"service":true,"commercial":false}},"vehicles":[{"id":"V1","plate":"沪A12345","visits":[{"order":"R1","closed_on":"2026-05-02","km":31000}]}]}`)
	patch := intake.Patch{ID: "C1", Record: []byte(`{"id":"C1","name":"王小明","consent":{"sms":{"service":true}},"vehicles":[{"id":"V1","visits":[{"closed_on":"2026-06-02","km":32000}]}]}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := intake.MergeRecord(old, patch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSameAgain merges patches into records that have it all already, as most rows of a nightly export do.
func BenchmarkSameAgain(b *testing.B) {
	var text strings.Builder
	text.WriteString("客户编号,客户姓名,性别,手机号,生日,客户等级,车架号,品牌,车型,购车日期,上次进厂日期,上次进厂里程,短信同意\n")
	const n = 1000
	for i := range n {
		fmt.Fprintf(&text, "C%06d,王小明,男,138-%04d-%04d,1985年2月20日,A,LSGHXRT911E%06d,别克,君威,2024/3/1,2026/5/2,\"31,000\",是\n", i, i/10000, i%10000, i)
	}
	var patches []intake.Patch
	store := records{}
	if _, err := intake.Read(context.Background(), strings.NewReader(text.String()), "x.csv", options(b), func(p []intake.Patch) error {
		patches = append(patches, p...)
		return store.apply(p)
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p := patches[i%n]
		if merged, err := intake.MergeRecord(store[p.ID], p); err != nil || !bytes.Equal(merged, store[p.ID]) {
			b.Fatal(err)
		}
		i++
	}
}

func readFile(t *testing.T, file string, opt intake.Options, apply func([]intake.Patch) error) (*intake.Stats, error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return intake.ReadFrom(t.Context(), f, file, opt, apply)
}
