package insight

import (
	"os"
	"path/filepath"
	"testing"
)

// The dealer's own limit is one limit: customers of every grade without one of their own stand in one line.
func TestForecastAddsUpTheDealersLimit(t *testing.T) {
	t.Parallel()
	dir := bookWith(t, "programs/birthday.yaml", "program: birthday\ntrigger: {on: birthday}\nexpires: 3d\nsteps:\n"+
		"  - {step: a, template: birthday}\n  - {step: b, offset: 1d, template: birthday}\n  - {step: c, offset: 2d, template: birthday}\n")
	file := filepath.Join(t.TempDir(), "people.jsonl")
	people := `{"id":"C1","phone":"13800138000","birthday":"--11-25","grade":"B"}
{"id":"C2","phone":"13800138001","birthday":"--11-25","grade":"D"}
`
	if err := os.WriteFile(file, []byte(people), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := quarter()
	opt.File = file
	f := forecastOf(t, mustOpen(dir), opt)
	if len(f.Caps) != 1 || f.Caps[0].Customers != 2 || f.Caps[0].Cap.By() != "dealer" || f.Caps[0].Cap.Limit != 2 {
		t.Errorf("the limits are %+v, want one of the dealer with two customers", f.Caps)
	}
}
