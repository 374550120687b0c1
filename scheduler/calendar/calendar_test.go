package calendar

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func rows(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		out = append(out, strings.Split(s.Text(), "\t"))
	}
	return out[1:]
}

func date(t testing.TB, s string) care.Date {
	t.Helper()
	d, err := care.ParseDate(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Every month of 1900-2100, and every single day of them converted back.
func TestEveryLunarMonth(t *testing.T) {
	t.Parallel()
	all := rows(t, "lunar-months.tsv")
	if len(all) != 2486 {
		t.Fatalf("%d rows", len(all))
	}
	for _, r := range all {
		year, month, leap, days := atoi(t, r[0]), atoi(t, r[1]), r[2] == "1", atoi(t, r[3])
		first, n, ok := MonthStart(year, month, leap)
		if !ok || first.String() != r[4] || n != days {
			t.Fatalf("%v: got %v, %d days, %v", r, first, n, ok)
		}
		for day := 1; day <= days; day++ {
			want := Lunar{Year: year, Month: month, Day: day, Leap: leap}
			if got, ok := Of(first.AddDays(day - 1)); !ok || got != want {
				t.Fatalf("%v is %+v, want %+v", first.AddDays(day-1), got, want)
			}
		}
	}
}

func TestMonthsThatAreNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		year, month int
		leap        bool
	}{{1899, 1, false}, {2101, 1, false}, {2025, 0, false}, {2025, 13, false}, {2025, 5, true}, {2026, 6, true}} {
		if d, _, ok := MonthStart(c.year, c.month, c.leap); ok {
			t.Errorf("%+v exists: %v", c, d)
		}
	}
	for _, s := range []string{"1900-01-30", "2101-01-29", "1899-06-01"} {
		if l, ok := Of(date(t, s)); ok {
			t.Errorf("%s is %+v", s, l)
		}
	}
}

func TestEverySolarTerm(t *testing.T) {
	t.Parallel()
	all := rows(t, "solar-terms.tsv")
	if len(all) != 4104 {
		t.Fatalf("%d rows", len(all))
	}
	for _, r := range all {
		if got, ok := Term(r[1], atoi(t, r[0])); !ok || got.String() != r[2] {
			t.Fatalf("%v: got %v, %v", r, got, ok)
		}
	}
	if _, ok := Term("清明", 1929); ok {
		t.Error("1929 is known")
	}
	if _, ok := Term("春节", 2026); ok {
		t.Error("春节 is a solar term")
	}
}

func TestFestivals(t *testing.T) {
	t.Parallel()
	for _, r := range [][]string{ // 春节, 元宵, 端午, 七夕, 中秋, 重阳, 除夕
		{"2025", "2025-01-29", "2025-02-12", "2025-05-31", "2025-08-29", "2025-10-06", "2025-10-29", "2026-02-16"},
		{"2026", "2026-02-17", "2026-03-03", "2026-06-19", "2026-08-19", "2026-09-25", "2026-10-18", "2027-02-05"},
		{"2027", "2027-02-06", "2027-02-20", "2027-06-09", "2027-08-08", "2027-09-15", "2027-10-08", "2028-01-25"},
		{"2028", "2028-01-26", "2028-02-09", "2028-05-28", "2028-08-26", "2028-10-03", "2028-10-26", "2029-02-12"},
	} {
		got := []string{r[0]}
		for _, f := range []string{"spring_festival", "lantern", "dragon_boat", "qixi", "mid_autumn", "double_ninth", "new_years_eve"} {
			d, _ := Festival(f, atoi(t, r[0]))
			got = append(got, d.String())
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Error(diff)
		}
	}
	if d, _ := Festival("laba", 2025); d.String() != "2026-01-26" {
		t.Errorf("laba of 2025 is %v", d)
	}
	if _, ok := Festival("easter", 2026); ok {
		t.Error("easter is known")
	}
	if n := len(Festivals()); n != 8 {
		t.Errorf("%d festivals", n)
	}
}

func TestDaysForTheDead(t *testing.T) {
	t.Parallel()
	want := []string{
		"2025-04-04", "2025-09-06", "2025-11-20", "2026-04-05", "2026-08-27", "2026-11-09",
		"2027-04-05", "2027-08-16", "2027-10-29", "2028-04-04", "2028-09-03", "2028-11-16",
	}
	var got []string
	for d := date(t, "2025-01-01"); d.Year() < 2029; d = d.AddDays(1) {
		if ForTheDead(d) {
			got = append(got, d.String())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The short cut by months is right for the whole table: every such lunar day of 1930-2100 is found.
	for year := 1930; year < 2100; year++ {
		for _, md := range [][2]int{{7, 15}, {10, 1}} {
			first, _, _ := MonthStart(year, md[0], false)
			if d := first.AddDays(md[1] - 1); !ForTheDead(d) {
				t.Errorf("%v is missed", d)
			}
		}
	}
}

func birthday(t *testing.T, s string) care.Birthday {
	t.Helper()
	b, err := care.ParseBirthday(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return b
}

func TestBirthdays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		birthday string
		year     int
		mar1     bool
		want     []string
	}{
		{"1985-02-20", 2026, false, []string{"2026-02-20"}},
		{"--02-29", 2026, false, []string{"2026-02-28"}},
		{"--02-29", 2026, true, []string{"2026-03-01"}},
		{"--02-29", 2028, true, []string{"2028-02-29"}},
		{"2026-02-20", 2026, false, nil},
		{"2026-02-20", 2025, false, nil},
		{"lunar:--01-01", 2026, false, []string{"2026-02-17"}},
		{"lunar:1985-01-01", 2027, false, []string{"2027-02-06"}},
		{"lunar:--L06-10", 2025, false, []string{"2025-08-03"}},              // 2025 has a leap sixth month
		{"lunar:--L06-10", 2026, false, []string{"2026-07-23"}},              // 2026 has not
		{"lunar:--12-eve", 2026, false, []string{"2026-02-16"}},              // of the lunar year 2025
		{"lunar:--12-30", 2026, false, []string{"2026-02-16"}},               // the 29th of a short month
		{"lunar:--11-25", 2033, false, []string{"2033-12-16"}},               // 2033: a leap eleventh month follows
		{"lunar:--12-01", 2032, false, []string{"2032-01-13"}},               // and the next one in 2033
		{"lunar:--11-30", 2032, false, []string{"2032-01-12", "2032-12-31"}}, // two in one civil year
		{"lunar:--11-30", 2033, false, []string{"2033-12-21"}},
		{"lunar:--L11-05", 2034, false, []string{"2034-12-15"}},   // the leap month of 2033 fell in December
		{"lunar:2030-05-05", 2030, false, nil},                    // the birth itself
		{"lunar:2030-12-20", 2031, false, nil},                    // born in January 2031: not its own return either
		{"lunar:2030-12-20", 2032, false, []string{"2032-02-01"}}, // the first return
	} {
		dates, n := Birthdays(birthday(t, c.birthday), c.year, c.mar1)
		var got []string
		for _, d := range dates[:n] {
			got = append(got, d.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s in %d: %s", c.birthday, c.year, diff)
		}
	}
}

// Over the whole table a lunar birthday without a year is kept once in each lunar year, so that some civil years have two of
// them and some none; they come in order and are never counted twice.
func TestLunarBirthdaysAreKeptOncePerLunarYear(t *testing.T) {
	t.Parallel()
	twos, nones := 0, 0
	for _, s := range []string{"lunar:--12-01", "lunar:--11-28", "lunar:--12-30", "lunar:--12-eve", "lunar:--01-01", "lunar:--L04-30"} {
		b := birthday(t, s)
		var all []care.Date
		for year := 1901; year <= 2100; year++ {
			dates, n := Birthdays(b, year, false)
			all = append(all, dates[:n]...)
			if n == 2 {
				twos++
			}
			if n == 0 {
				nones++
			}
		}
		if !slices.IsSortedFunc(all, care.Date.Compare) || len(all) < 199 {
			t.Errorf("%s: %d dates", s, len(all))
		}
	}
	if twos == 0 || nones == 0 {
		t.Errorf("%d years with two, %d with none", twos, nones)
	}
}

func TestBirthdayProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := care.Birthday{
			Lunar: true, Leap: rapid.Bool().Draw(t, "leap"),
			Month: uint8(rapid.IntRange(1, 12).Draw(t, "month")), Day: uint8(rapid.IntRange(1, 30).Draw(t, "day")),
		}
		year := rapid.IntRange(1900, 2100).Draw(t, "year")
		d, ok := Birthday(b, year)
		if !ok {
			t.Fatal("no birthday")
		}
		l, ok := Of(d)
		_, _, hasLeap := MonthStart(year, int(b.Month), true)
		if !ok || l.Year != year || l.Month != int(b.Month) || l.Leap != (b.Leap && hasLeap) || l.Day != int(b.Day) && l.Day != 29 {
			t.Fatalf("%v in %d is kept on %v = %+v", b, year, d, l)
		}
	})
}

func TestWords(t *testing.T) {
	t.Parallel()
	for day, want := range map[string]string{
		"2026-02-17": "正月初一", "2025-08-03": "闰六月初十", "2026-02-16": "腊月廿九", "2025-01-28": "腊月廿九", "2024-02-09": "腊月三十",
		"2026-09-25": "八月十五", "2026-09-30": "八月二十", "2026-12-09": "冬月初一", "1899-01-01": "",
	} {
		if got := Words(date(t, day)); got != want {
			t.Errorf("%s: %s, want %s", day, got, want)
		}
	}
}
