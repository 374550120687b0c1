package care

import "testing"

func TestPrincipalSees(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		who       Principal
		all, a, b bool
	}{
		"nobody":                  {Principal{}, false, false, false},
		"nobody with a dealer":    {Principal{Dealers: []string{"a"}}, false, false, false},
		"the command line":        {CommandLine(), true, true, true},
		"bound to one dealer":     {Principal{Name: "n", Dealers: []string{"a"}}, false, true, false},
		"bound to both":           {Principal{Name: "n", Dealers: []string{"a", "b"}}, false, true, true},
		"bound to no dealer's id": {Principal{Name: "n", Dealers: []string{""}}, false, false, false},
	} {
		if tt.who.All() != tt.all || tt.who.Sees("a") != tt.a || tt.who.Sees("b") != tt.b {
			t.Errorf("%s: sees all %v, a %v, b %v", name, tt.who.All(), tt.who.Sees("a"), tt.who.Sees("b"))
		}
	}
}
