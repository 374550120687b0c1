package insight

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/carebell/carebell/care"
)

var outside = regexp.MustCompile(`(?i)<script|<link|<img|<iframe|https?://|url\(|@import|\son[a-z]+=`)

// The page needs nothing but itself, shows the forecast's own figures, and can be read without seeing its plots.
func TestForecastPage(t *testing.T) {
	t.Parallel()
	f := forecastOf(t, defaultBook(), quarter())
	// Three customers have one number: the third birthday in its week is capped.
	for locale, tiles := range map[string]string{
		"en":    "Messages 21 | Customers served 6 | SMS parts 21 | Cost CNY 0.95 | Put off 1 | Out of reach 3",
		"zh-CN": "消息 21 | 覆盖客户 6 | 短信计费条数 21 | 费用 CNY 0.95 | 延后 1 | 无法联系 3",
	} {
		t.Run(locale, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := f.WritePage(&b, locale); err != nil {
				t.Fatal(err)
			}
			if found := outside.FindString(b.String()); found != "" {
				t.Errorf("the page reaches outside or runs something: %q", found)
			}
			if strings.Contains(b.String(), "%!") || strings.Contains(b.String(), "王") {
				t.Error("the page has a hole, or somebody's name")
			}
			doc, err := html.Parse(&b)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, tile := range find(doc, "div") {
				if names := find(tile, "dt"); len(names) == 1 {
					got = append(got, text(names[0])+" "+text(find(tile, "dd")[0]))
				}
			}
			if d := cmp.Diff(tiles, strings.Join(got, " | ")); d != "" {
				t.Errorf("the tiles: %s", d)
			}
			canBeReadAloud(t, doc, locale)
			tablesAddUp(t, doc, f)
			plotsShowTheFigures(t, doc, f)
		})
	}
}

// canBeReadAloud holds that the page names its language, each plot has a name and a description, and each table its columns.
func canBeReadAloud(t *testing.T, doc *html.Node, locale string) {
	t.Helper()
	if root := find(doc, "html")[0]; attr(root, "lang") != locale || text(find(doc, "title")[0]) == "" {
		t.Errorf("the page is in %q and is called %q", attr(root, "lang"), text(find(doc, "title")[0]))
	}
	ids := map[string]*html.Node{}
	walk(doc, func(n *html.Node) {
		if id := attr(n, "id"); id != "" {
			ids[id] = n
		}
	})
	plots := find(doc, "svg")
	if len(plots) != 2 {
		t.Fatalf("%d plots, want 2", len(plots))
	}
	for i, plot := range plots {
		name, description := ids[attr(plot, "aria-labelledby")], ids[attr(plot, "aria-describedby")]
		if attr(plot, "role") != "img" || name == nil || text(name) == "" || description == nil || description.Data != "desc" || text(description) == "" {
			t.Errorf("plot %d has no role, name or description", i)
		}
	}
	tables := find(doc, "table")
	if len(tables) < 6 {
		t.Errorf("only %d tables", len(tables))
	}
	for i, table := range tables {
		columns := len(find(table, "th"))
		for _, row := range find(find(table, "tbody")[0], "tr") {
			if n := len(find(row, "td")); n != columns {
				t.Errorf("table %d: a row of %d cells under %d headings", i, n, columns)
			}
		}
	}
}

// tablesAddUp holds the tables of programs and days against the sums.
func tablesAddUp(t *testing.T, doc *html.Node, f *Forecast) {
	t.Helper()
	tables := find(doc, "table")
	programs := map[string]int{}
	for _, row := range rows(tables[0]) {
		programs[text(find(row, "code")[0])] = number(t, find(row, "td")[2])
	}
	want := map[string]int{}
	for name, sum := range f.ByProgram() {
		want[name] = sum.Messages
	}
	if d := cmp.Diff(want, programs); d != "" {
		t.Errorf("the table of programs: %s", d)
	}
	days, want := map[string]int{}, map[string]int{}
	for _, row := range rows(tables[len(tables)-1]) {
		day, _, _ := strings.Cut(text(find(row, "td")[0]), " ")
		days[day] = number(t, find(row, "td")[1])
	}
	for day, sum := range f.ByDay() {
		want[day.String()] = sum.Messages
	}
	if d := cmp.Diff(want, days); d != "" {
		t.Errorf("the table of days: %s", d)
	}
}

// plotsShowTheFigures holds that a day's bars are as high as its messages are many, and that the calendar has each day with its figure.
func plotsShowTheFigures(t *testing.T, doc *html.Node, f *Forecast) {
	t.Helper()
	byDay, plots := f.ByDay(), find(doc, "svg")
	const each = `^(\d{4}-\d{2}-\d{2}) [^:]+: ([\d,]+)`
	caption := regexp.MustCompile(each)
	heights := map[care.Date]float64{}
	perMessage := 0.0
	for _, g := range find(plots[0], "g") {
		day, n := captionOf(t, caption, g)
		for _, bar := range find(g, "rect") {
			high, err := strconv.ParseFloat(attr(bar, "height"), 64)
			if err != nil || high <= 0 {
				t.Errorf("%s: a bar of height %q", day, attr(bar, "height"))
			}
			heights[day] += high
		}
		if byDay[day] == nil || byDay[day].Messages != n {
			t.Errorf("%s: the bars say %d messages, the sums %v", day, n, byDay[day])
		}
		perMessage = max(perMessage, heights[day]/float64(n))
	}
	if len(heights) != len(byDay) {
		t.Errorf("bars of %d days, want %d", len(heights), len(byDay))
	}
	for day, high := range heights {
		if want := perMessage * float64(byDay[day].Messages); math.Abs(high-want) > 0.5 {
			t.Errorf("%s: the bars are %.1f high, want %.1f", day, high, want)
		}
	}
	cells := find(plots[1], "g")
	if len(cells) != len(f.Days) {
		t.Fatalf("the calendar has %d days, want %d", len(cells), len(f.Days))
	}
	for i, g := range cells {
		day, n := captionOf(t, caption, g)
		want := 0
		if byDay[day] != nil {
			want = byDay[day].Messages
		}
		empty := attr(find(g, "rect")[0], "class") == "h0"
		if day != f.Days[i] || n != want || empty != (want == 0) {
			t.Errorf("cell %d is %s with %d messages (empty %v), want %s with %d", i, day, n, empty, f.Days[i], want)
		}
	}
}

func captionOf(t *testing.T, caption *regexp.Regexp, g *html.Node) (care.Date, int) {
	t.Helper()
	parts := caption.FindStringSubmatch(text(find(g, "title")[0]))
	if parts == nil {
		t.Fatalf("a day is called %q", text(g))
	}
	day, err := care.ParseDate(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.ReplaceAll(parts[2], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return day, n
}

func rows(table *html.Node) []*html.Node { return find(find(table, "tbody")[0], "tr") }

func number(t *testing.T, n *html.Node) int {
	t.Helper()
	v, err := strconv.Atoi(strings.ReplaceAll(text(n), ",", ""))
	if err != nil {
		t.Errorf("%q is no number", text(n))
	}
	return v
}

func walk(n *html.Node, visit func(*html.Node)) {
	for d := range n.Descendants() {
		visit(d)
	}
}

func find(n *html.Node, element string) []*html.Node {
	var out []*html.Node
	walk(n, func(d *html.Node) {
		if d.Type == html.ElementNode && d.Data == element {
			out = append(out, d)
		}
	})
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	walk(n, func(d *html.Node) {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	})
	return strings.Join(strings.Fields(b.String()), " ")
}
