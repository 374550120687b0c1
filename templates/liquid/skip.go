package liquid

import "strings"

// Skips are the variables whose paragraph, list item or line is left out when they are missing.
type Skips []string

// Condition returns the expression under which a piece of text is shown, "" for always.
func (k Skips) Condition(text string, t *Tags) string {
	var needs []string
	for _, path := range k {
		for _, r := range text {
			if IsPlaceholder(r) && !t.Of(r).Control && mentions(t.Of(r).Args, path) {
				needs = append(needs, path)
				break
			}
		}
	}
	return strings.Join(needs, " and ")
}

// mentions reports whether an expression names a variable.
func mentions(expression, path string) bool {
	for from := 0; ; {
		i := strings.Index(expression[from:], path)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(path)
		if (i == 0 || expression[i-1] != '.' && !isWordByte(expression[i-1])) && (end == len(expression) || !isWordByte(expression[end])) {
			return true
		}
		from = end
	}
}

// Lines puts a condition around each line that needs it, unless a block of tags begins or ends in it.
func (k Skips) Lines(text string, t *Tags) string {
	if len(k) == 0 {
		return text
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		needs, torn := k.Condition(line, t), false
		depth := 0
		for _, r := range line {
			if IsPlaceholder(r) && t.Of(r).Control {
				depth += t.Of(r).Opens()
				torn = torn || depth < 0
			}
		}
		if needs == "" || torn || depth != 0 {
			b.WriteString(line)
			continue
		}
		b.WriteString(t.Make("if", needs) + line + t.Make("endif", ""))
	}
	return b.String()
}
