package templates

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
)

// WithoutCode lists the files of text messages that programs of the book send, and that have no approved template for any of these
// gateways.
func (s *Set) WithoutCode(gateways ...string) []string {
	var out []string
	for _, name := range s.names {
		if p, _ := s.using(name); p == nil {
			continue
		}
		for _, locale := range s.Locales(name, care.SMS) {
			t := s.templates[key{name, care.SMS, strings.ToLower(locale), ""}]
			if !slices.ContainsFunc(t.gateways, func(g gateway) bool { return slices.Contains(gateways, g.name) }) {
				out = append(out, t.src.file)
			}
		}
	}
	return out
}

// gateways checks the approved templates of a text message.
func (l *linter) gateways(t *template) {
	l.gatewayDrift(t)
	if l.opt.Gateways == nil || t.channel != care.SMS {
		return
	}
	for i := range t.gateways {
		g := &t.gateways[i]
		rules, known := l.opt.Gateways[g.name]
		at := t.src.where("$.gateway." + quotePath(g.name))
		switch {
		case !known:
			// It may be the name of an account: those are settings, which a book does not know.
			remedy := "mend the name."
			if near := suggest(g.name, sortedKeys(l.opt.Gateways)); strings.HasPrefix(near, "did you mean") {
				remedy = near
			}
			l.report.Warn(at, "unknown-gateway", remedy+" If it is an account of CARE_SMS_ACCOUNTS, all is well", "there is no gateway %q", g.name)
			if g.text == "" {
				continue
			}
		case rules.Plain:
			l.report.Warn(at, "gateway-plain", "remove it", "the gateway %s takes text as it is: nobody reads what stands here", g.name)
			continue
		}
		l.approved(t, g, rules)
	}
}

// approved checks one approved template: its names, and whether its text has a place for each parameter.
func (l *linter) approved(t *template, g *gateway, rules care.GatewayRules) {
	path := "$.gateway." + quotePath(g.name)
	if rules.Code != nil && g.template != "" && !rules.Code.MatchString(g.template) {
		l.report.Warn(t.src.where(path+".template"), "gateway-template", "copy the code from the gateway's console", "%q does not look like a template's code of %s (%s)", g.template, g.name, rules.Code)
	}
	for _, p := range g.params {
		at := t.src.where(path + ".params." + quotePath(p.name))
		if rules.Param != nil && !rules.Param.MatchString(p.name) {
			l.report.Fault(at, "gateway-params", "name it with letters, digits and _, a letter first, at most 25", "%s takes no parameter of the name %q", g.name, p.name)
		}
	}
	for _, name := range rules.Needs {
		if !g.has(name) {
			l.report.Fault(t.src.where(path), "gateway-params", fmt.Sprintf(`write params: {%s: "…"}`, name), "the file of the gateway %s asks for the parameter %s", g.name, name)
		}
	}
	if strings.TrimSpace(g.text) == "" {
		l.report.Warn(t.src.where(path), "gateway-text", "write it with its variables: text: \"…${name}…\"", "without the text that %s approved nobody can tell whether it says the same as this one", g.name)
		return
	}
	l.placeholders(t, g, rules)
	if n := utf8.RuneCountInString(g.text); rules.MaxText > 0 && n > rules.MaxText {
		l.report.Warn(t.src.where(path+".text"), "gateway-text", "copy the text that was approved", "the text has %d characters; %s approves at most %d", n, g.name, rules.MaxText)
	}
}

func (g *gateway) has(param string) bool {
	return slices.ContainsFunc(g.params, func(p header) bool { return p.name == param })
}

// placeholder is a variable of an approved text: ${name}, or {1} for the first parameter.
var placeholder = regexp.MustCompile(`\$\{([^{}]*)\}|\{(\d{1,3})\}`)

// at returns the parameter that a placeholder stands for; "" if there is none.
func (g *gateway) at(found []string) string {
	if found[2] == "" {
		if name := strings.TrimSpace(found[1]); g.has(name) {
			return name
		}
		return ""
	}
	for i, p := range g.params {
		if found[2] == fmt.Sprint(i+1) {
			return p.name
		}
	}
	return ""
}

// placeholders holds the variables of the approved text against the parameters: the gateway refuses a message that lacks one.
func (l *linter) placeholders(t *template, g *gateway, rules care.GatewayRules) {
	path := "$.gateway." + quotePath(g.name)
	used := map[string]bool{}
	for _, found := range placeholder.FindAllStringSubmatch(g.text, -1) {
		name := g.at(found)
		if name == "" {
			l.report.Fault(t.src.where(path+".text"), "gateway-params", "write it under params, in the order of the text", "the approved text has the variable %s, for which there is no parameter: the gateway would refuse every message", found[0])
			continue
		}
		used[name] = true
	}
	for _, p := range g.params {
		if used[p.name] || slices.Contains(rules.Needs, p.name) {
			continue
		}
		at := t.src.where(path + ".params." + quotePath(p.name))
		if rules.Numbered {
			l.report.Fault(at, "gateway-params", "remove it, or look for its {number} in the approved text", "the approved text has no place for the parameter %s: the gateway counts them and would refuse every message", p.name)
		} else {
			l.report.Warn(at, "gateway-params", "remove it, or look for ${"+p.name+"} in the approved text", "the approved text has no place for the parameter %s", p.name)
		}
	}
}

// filled is the approved text with the values of a message.
func (g *gateway) filled(m *care.Message) string {
	values := m.Gateways[g.name].Params
	text := placeholder.ReplaceAllStringFunc(g.text, func(s string) string {
		return values[g.at(placeholder.FindStringSubmatch(s))]
	})
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	// The gateway adds the signature by itself; who copies the text may copy it too.
	if rest, ok := strings.CutPrefix(text, "【"); ok {
		if _, after, ok := strings.Cut(rest, "】"); ok {
			text = after
		}
	}
	return text
}

// sameText reports where the approved text says something else than ours, for a sample customer and in every branch that our text can
// take: an approved text has none. It looks at the values of parameters on the way.
func (l *linter) sameText(t *template, d *care.Draft) {
	if l.opt.Gateways == nil || len(t.gateways) == 0 {
		return
	}
	branches, err := l.set.Branches(d)
	if err != nil {
		return // the faults of the template say why
	}
	for i := range t.gateways {
		g := &t.gateways[i]
		rules := l.opt.Gateways[g.name]
		if rules.Plain {
			continue
		}
		if m := branches[0].Message; m != nil {
			l.values(t, g, rules, m)
		}
		if strings.TrimSpace(g.text) == "" {
			continue
		}
		for _, b := range branches {
			if b.Message == nil {
				continue
			}
			ours, theirs := strings.TrimSpace(string(b.Message.Text)), g.filled(b.Message)
			if ours == theirs {
				continue
			}
			where := ""
			switch {
			case b.Tag != "":
				where = fmt.Sprintf(" in the branch %s of line %d", b.Tag, b.Line)
			case b.File != "":
				where = fmt.Sprintf(" when no branch of line %d is taken", b.Line)
			}
			own, approved := parting(ours, theirs)
			l.report.Warn(t.src.where("$.gateway."+quotePath(g.name)+".text"), "gateway-drift", "have the new text approved, or write the old one again",
				"the text that %s approved and ours part%s: ours says %q where the approved one says %q", g.name, where, own, approved)
			break
		}
	}
}

// values looks at what a sample customer's parameters would hold.
func (l *linter) values(t *template, g *gateway, rules care.GatewayRules, m *care.Message) {
	for _, p := range g.params {
		value := m.Gateways[g.name].Params[p.name]
		at := t.src.where("$.gateway." + quotePath(g.name) + ".params." + quotePath(p.name))
		n := utf8.RuneCountInString(value)
		switch {
		case rules.NoLinks && strings.Contains(value, "://"):
			l.report.Fault(at, "gateway-params", "have a text approved that names the page, or lead there from the e-mail", "the parameter %s is a link, which %s refuses", p.name, g.name)
		case rules.MaxValue > 0 && n > rules.MaxValue:
			l.report.Warn(at, "gateway-params", "shorten it, or ask the gateway for more", "the parameter %s has %d characters for a sample customer; %s takes %d", p.name, n, g.name, rules.MaxValue)
		}
	}
}

// parting returns how two texts go on where they first differ, a few characters of each.
func parting(a, b string) (string, string) {
	x, y := []rune(a), []rune(b)
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	show := func(r []rune) string {
		if i == len(r) {
			return "(its end)"
		}
		return string(r[i:min(len(r), i+12)])
	}
	return show(x), show(y)
}

// gatewayDrift reports an approved template that one language has and another lacks, or whose parameters differ.
func (l *linter) gatewayDrift(t *template) {
	for _, locale := range l.set.Locales(t.name, t.channel) {
		other := l.set.templates[key{t.name, t.channel, strings.ToLower(locale), ""}]
		for _, g := range other.gateways {
			i := slices.IndexFunc(t.gateways, func(own gateway) bool { return own.name == g.name })
			if i < 0 {
				continue
			}
			own := t.gateways[i]
			if own.template == g.template && !slices.EqualFunc(own.params, g.params, func(a, b header) bool { return a.name == b.name }) {
				l.report.Warn(t.src.where("$.gateway."+quotePath(g.name)), "gateway-drift", "give both the same parameters in the same order", "the template %s of %s has other parameters here than in %s", g.template, g.name, other.src.file)
			}
		}
	}
}
