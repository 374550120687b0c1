package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command stands in docs/commands.md with an example, and every example's command exists.
func TestCommandsAreDescribed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if c.Runnable() && c.HasParent() && !strings.Contains(page, c.CommandPath()) {
			t.Errorf("docs/commands.md has no example of %q", c.CommandPath())
		}
		if c.Short == "" {
			t.Errorf("%q has no short description", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	for _, example := range strings.Split(page, "`carebell ")[1:] {
		line, _, _ := strings.Cut(example, "`")
		line, _, _ = strings.Cut(line, " >")
		words := strings.Fields(line)
		cmd, rest, err := newRoot().Find(words)
		if err != nil || !cmd.HasParent() {
			t.Errorf("docs/commands.md shows %q, which is no command: %v", line, err)
			continue
		}
		for _, w := range rest {
			if name, ok := strings.CutPrefix(w, "--"); ok && cmd.Flags().Lookup(name) == nil {
				t.Errorf("docs/commands.md shows %q: %s has no flag --%s", line, cmd.CommandPath(), name)
			}
		}
	}
}
