package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/insight"
	"github.com/clipperhouse/displaywidth"
)

// The marks of a gate's answer.
const (
	passes  = "·"
	stops   = "✗"
	partly  = "±" // some channels
	unasked = "?"
	delayed = "»" // it put the message off, and lets it pass at its release
)

// next tells what is due: each occurrence with a mark per gate, or with --program every gate on a line of its own.
func (t *teller) next() error {
	var all []insight.Next
	for _, p := range t.x.Programs {
		all = append(all, p.Next...)
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b insight.Next) int {
		return cmp.Or(a.Release.Compare(b.Release), cmp.Compare(a.Program, b.Program))
	})
	names := gateNames(all)
	ruler := ""
	for i := range names {
		ruler += string(rune('a' + i))
	}
	var cells [][]string
	seen := map[string]bool{}
	repeated := 0
	for _, n := range all {
		// On the screen each step of a program and car stands once: its next time. With --program all of them do.
		key := n.Program + "/" + n.Step + "/" + n.Vehicle
		if seen[key] && !t.details {
			repeated++
			continue
		}
		seen[key] = true
		cells = append(cells, []string{
			n.Release.Format("2006-01-02 15:04"), n.Title, n.Program + "/" + n.Step, tail(n.Vehicle), or(n.Due.String()), n.Cycle,
			or(string(n.Channel)), t.verdict(n), marks(n, names), t.note(n),
		})
	}
	err := section(t.w, []string{
		t.T("explain.column.comes"), t.T("explain.column.title"), t.T("explain.column.message"), t.T("explain.column.car"),
		t.T("explain.column.trigger"), t.T("explain.column.round"), t.T("explain.column.by"), "", ruler, t.T("explain.column.why"),
	}, cells)
	if err != nil {
		return err
	}
	if repeated > 0 {
		t.line(t.T("explain.later_rounds", "count", repeated))
	}
	t.legend(names)
	if t.details {
		return t.gates(all)
	}
	return nil
}

// gateNames returns the gates in their order, each once.
func gateNames(all []insight.Next) []string {
	var names []string
	for _, n := range all {
		for _, g := range n.Gates {
			if !slices.Contains(names, g.Gate) {
				names = append(names, g.Gate)
			}
		}
	}
	return names
}

// marks writes one mark per gate, in the order of the names.
func marks(n insight.Next, names []string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(mark(n, name))
	}
	return b.String()
}

func mark(n insight.Next, name string) string {
	asked, passed, open := 0, 0, false
	for _, g := range n.Gates {
		if g.Gate != name {
			continue
		}
		asked++
		open = open || g.Detail == insight.NotAsked
		if g.Pass {
			passed++
		}
	}
	switch {
	case open:
		return unasked
	case putOff(n, name):
		return delayed
	case passed == asked:
		return passes
	case passed == 0:
		return stops
	}
	return partly
}

// putOff reports whether the gate put a message off that goes later.
func putOff(n insight.Next, gate string) bool {
	by, _, _ := strings.Cut(n.Reason, ":")
	return n.Verdict == care.Send && by == gate
}

func (t *teller) verdict(n insight.Next) string {
	switch {
	case n.State != "" && !n.State.Pending():
		return string(n.State)
	case n.Verdict != care.Send:
		return stops
	case n.Reason != "":
		return t.T("explain.later")
	}
	return "✓"
}

// note says why, with what the gate knows: until when, by which audience, with which message.
func (t *teller) note(n insight.Next) string {
	if n.Reason == "" {
		return ""
	}
	words := insight.Reason(n.Reason, t.Tag())
	for _, g := range n.Gates {
		if !g.Pass && g.Detail != "" && cmp.Or(g.Reason, g.Gate) == n.Reason {
			return t.T("explain.detail", "reason", words, "detail", g.Detail)
		}
	}
	return words
}

// legend names the gates behind the letters, in as many lines as they need.
func (t *teller) legend(names []string) {
	const width = 126
	line := t.T("explain.legend", "passes", passes, "stops", stops, "delayed", delayed, "partly", partly, "unasked", unasked)
	for i, name := range names {
		word := " " + string(rune('a'+i)) + " " + name
		if displaywidth.String(line)+len(word) > width {
			t.line(line)
			line = " "
		}
		line += word
	}
	t.line(line)
}

// gates tells every answer for every occurrence.
func (t *teller) gates(all []insight.Next) error {
	for _, n := range all {
		fmt.Fprintln(t.w)
		t.line(n.Release.Format("2006-01-02 15:04 -0700"), " ", n.Program, "/", n.Step, " ", n.Vehicle, " ", n.ID)
		for _, g := range n.Gates {
			sign, why := passes, ""
			switch {
			case g.Detail == insight.NotAsked:
				sign, why = unasked, t.T("explain.needs_others")
			case g.Pass && putOff(n, g.Gate):
				sign, why = delayed, insight.Reason(n.Reason, t.Tag())
			case !g.Pass:
				sign, why = stops, insight.Reason(cmp.Or(g.Reason, g.Gate), t.Tag())
				if g.Detail != "" {
					why = t.T("explain.detail", "reason", why, "detail", g.Detail)
				}
			}
			t.line("  ", sign, " ", pad(g.Gate, 20), pad(string(g.Channel), 8), why)
		}
	}
	return nil
}
