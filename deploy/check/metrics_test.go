package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// metric is one line of deploy/prometheus/metrics.txt.
type metric struct {
	name, kind string
	labels     []string
}

// everywhere are the labels that Prometheus adds to each series it scrapes.
var everywhere = []string{"job", "instance"}

// exported reads the list of metrics. The keys are the names of the series: a histogram has three.
func exported(t *testing.T) (series map[string]metric, names []string) {
	t.Helper()
	text, err := os.ReadFile("../prometheus/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	series = map[string]metric{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 4 || strings.TrimSpace(parts[3]) == "" {
			t.Fatalf("metrics.txt: %q is not name | type | labels | meaning", line)
		}
		m := metric{name: strings.TrimSpace(parts[0]), kind: strings.TrimSpace(parts[1])}
		for label := range strings.SplitSeq(strings.TrimSpace(parts[2]), ",") {
			if label != "" {
				m.labels = append(m.labels, label)
			}
		}
		names = append(names, m.name)
		switch m.kind {
		case "gauge", "counter":
			series[m.name] = m
		case "histogram":
			series[m.name+"_sum"], series[m.name+"_count"] = m, m
			m.labels = append(slices.Clone(m.labels), "le")
			series[m.name+"_bucket"] = m
		default:
			t.Fatalf("metrics.txt: %s has the type %q", m.name, m.kind)
		}
	}
	return series, names
}

var (
	seriesName = regexp.MustCompile(`\b(carebell_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
)

// unknown names what an expression asks for and carebell does not export.
func unknown(expr string, series map[string]metric) []string {
	var wrong []string
	known := slices.Clone(everywhere)
	found := seriesName.FindAllStringSubmatch(expr, -1)
	for _, f := range found {
		m, ok := series[f[1]]
		if !ok {
			wrong = append(wrong, "no metric "+f[1])
			continue
		}
		known = append(known, m.labels...)
		for _, l := range matcher.FindAllStringSubmatch(f[2], -1) {
			if !slices.Contains(m.labels, l[1]) && !slices.Contains(everywhere, l[1]) {
				wrong = append(wrong, fmt.Sprintf("%s has no label %s", f[1], l[1]))
			}
		}
	}
	if len(found) == 0 {
		wrong = append(wrong, "no metric at all")
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			if label = strings.TrimSpace(label); label != "" && !slices.Contains(known, label) {
				wrong = append(wrong, "no label "+label+" to group by")
			}
		}
	}
	return wrong
}

func TestUnknownBites(t *testing.T) {
	t.Parallel()
	series := map[string]metric{"carebell_x": {labels: []string{"channel"}}, "carebell_h_bucket": {labels: []string{"le"}}}
	for expr, want := range map[string]int{
		`sum by (channel, job) (carebell_x{channel=~"sms|email",instance!="a"})`: 0,
		`histogram_quantile(0.9, sum by (le) (rate(carebell_h_bucket[5m])))`:     0,
		`carebell_y`:                  1,
		`carebell_x{chanel="sms"}`:    1,
		`sum by (dealer)(carebell_x)`: 1,
		`up == 0`:                     1,
	} {
		if got := unknown(expr, series); len(got) != want {
			t.Errorf("%s: got %q, want %d complaints", expr, got, want)
		}
	}
}

// rules are the alerts, as far as this check reads them.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

var labelOf = regexp.MustCompile(`\$labels\.([a-z_]+)`)

// TestAlertsAreKnownAndExplained holds each alert against the metrics, and against the page that says what to do.
func TestAlertsAreKnownAndExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../prometheus/carebell.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	if err := yaml.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../prometheus/carebell.rules.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	series, _ := exported(t)
	count := 0
	for _, g := range r.Groups {
		for _, a := range g.Rules {
			count++
			for _, w := range unknown(a.Expr, series) {
				t.Errorf("%s: %s", a.Alert, w)
			}
			if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
				t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
			}
			anchor := "docs/operations.md#" + strings.ToLower(a.Alert)
			if !strings.HasSuffix(a.Annotations["runbook_url"], anchor) || !bytes.Contains(guide, []byte("\n### "+a.Alert+"\n")) {
				t.Errorf("%s: want a chapter of its own in docs/operations.md and a runbook_url that ends in %s", a.Alert, anchor)
			}
			for _, l := range labelOf.FindAllStringSubmatch(a.Annotations["summary"]+a.Annotations["description"], -1) {
				if l[1] != "instance" && !strings.Contains(a.Expr, l[1]) {
					t.Errorf("%s: its text names the label %s, which the expression does not keep", a.Alert, l[1])
				}
			}
			if !bytes.Contains(tests, []byte(a.Alert)) {
				t.Errorf("%s: no test lets it ring", a.Alert)
			}
		}
	}
	if count < 8 {
		t.Errorf("only %d alerts found", count)
	}
}

// dashboard is Grafana's, as far as this check reads it.
type dashboard struct {
	UID        string  `json:"uid"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	ID          int                            `json:"id"`
	Type        string                         `json:"type"`
	Title       string                         `json:"title"`
	Description string                         `json:"description"`
	GridPos     struct{ X, Y, W, H int }       `json:"gridPos"`
	Targets     []struct{ Expr, RefID string } `json:"targets"`
}

// TestDashboard holds that every panel asks for something that exists, in PromQL that parses, and that no metric is
// exported for nobody to see.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../grafana/carebell.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	series, names := exported(t)
	exprs, ids := map[string]string{}, map[int]bool{}
	for _, a := range d.Annotations.List {
		exprs[a.Expr] = "annotation"
	}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q: its id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the page", p.Title)
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: say what it shows, and ask for something", p.Title)
		}
		for _, target := range p.Targets {
			exprs[target.Expr] = p.Title
		}
	}
	all := strings.Join(slices.Collect(maps.Keys(exprs)), "\n")
	for expr, where := range exprs {
		for _, w := range unknown(expr, series) {
			t.Errorf("%s: %s", where, w)
		}
	}
	for _, name := range names {
		if !regexp.MustCompile(`\b` + name + `(_sum|_count|_bucket)?\b`).MatchString(all) {
			t.Errorf("no panel shows %s", name)
		}
	}
	parse(t, exprs)
}

// parse lets promtool read the expressions, with Grafana's variables replaced by what they stand for.
func parse(t *testing.T, exprs map[string]string) {
	t.Helper()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var list []rule
	for _, expr := range slices.Sorted(maps.Keys(exprs)) {
		expr = strings.NewReplacer("$__rate_interval", "5m", "$job", "carebell").Replace(expr)
		if strings.Contains(expr, "$") {
			t.Errorf("%s: a variable that nobody replaces", expr)
		}
		list = append(list, rule{fmt.Sprintf("panel:%d", len(list)), expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": list}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, said)
	}
}
