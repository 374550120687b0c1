package yaml

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	anchorWords = regexp.MustCompile(`^yaml: unknown anchor '([^']+)' referenced$`)
	parserWords = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
)

// unknownAnchor returns the name that an alias has and no anchor.
func unknownAnchor(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	m := anchorWords.FindStringSubmatch(err.Error())
	if m == nil {
		return "", false
	}
	return m[1], true
}

// broken reports the parser's error in words of people who write books. The parser names a line at most, and often the one where
// something began; suspect looks for the place that a person would look at.
func (d *Document) broken(err error) {
	const no = "this is no YAML: "
	if errors.Is(err, errPanic) {
		d.syntax(0, 0, "this is no YAML that can be read", "compare the file with the same one of `carebell init`")
		return
	}
	line, words := 1, err.Error()
	if m := parserWords.FindStringSubmatch(words); m != nil {
		words = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	if strings.Contains(words, "exceeded max depth") {
		d.syntax(0, 0, "the file is nested more than "+strconv.Itoa(maxDepth)+" levels deep", "make it simpler")
		return
	}
	if s, ok := suspect(d.lines); ok {
		d.syntax(s.line, s.column, no+s.message, s.remedy)
		return
	}
	line = min(max(line, 1), len(d.lines))
	for line > 1 && strings.TrimSpace(d.lines[line-1]) == "" {
		line--
	}
	l := d.lines[line-1]
	column := 1 + len(l) - len(strings.TrimLeft(l, " "))
	i := strings.Index(l, "：")
	if before := strings.Index(d.lines[max(line-2, 0)], "："); i < 0 && before >= 0 && !strings.Contains(d.lines[line-2], ": ") {
		i, line, l = before, line-1, d.lines[line-2] // the parser noticed it only here
	}
	if i >= 0 {
		d.syntax(line, 1+utf8.RuneCountInString(l[:i]), no+"here stands a full-width colon", "write the colon of the Latin script and a blank behind it")
		return
	}
	d.syntax(line, column, no+clip(words, 120), "check the indentation, the quotes and the brackets around here")
}

// suspicion is a place that is likely to be wrong.
type suspicion struct {
	line, column    int
	message, remedy string
}

// looker goes through a text line by line, with a rough idea of YAML: it is asked only after the parser has found the text wrong,
// and only says where to look.
type looker struct {
	line     int
	brackets []bracket
	quote    rune // the quote that is open, or 0
	opened   bracket
	literal  int  // the indentation of the line above a block of text; -1 = none
	escaped  bool // the character before was a backslash that itself stood behind one
	indents  []int
	valued   int // the indentation of the last line if it was `name: value`; -1 = it was not
	found    *suspicion
}

type bracket struct {
	char         rune
	line, column int
	indent       int
}

func suspect(lines []string) (suspicion, bool) {
	k := looker{literal: -1, valued: -1}
	for n, l := range lines {
		k.line = n + 1
		if k.look([]rune(l)); k.found != nil {
			return *k.found, true
		}
	}
	switch {
	case k.quote != 0:
		return suspicion{k.opened.line, k.opened.column, "the quoted text that begins here has no end", "close the quotes"}, true
	case len(k.brackets) > 0:
		b := k.brackets[len(k.brackets)-1]
		return suspicion{b.line, b.column, "the bracket " + string(b.char) + " has no end", "close the bracket"}, true
	}
	return suspicion{}, false
}

func (k *looker) suspect(column int, message, remedy string) {
	if k.found == nil {
		k.found = &suspicion{k.line, column + 1, message, remedy}
	}
}

// look goes through one line.
func (k *looker) look(l []rune) {
	indent := 0
	for indent < len(l) && l[indent] == ' ' {
		indent++
	}
	blank := strings.TrimSpace(string(l)) == ""
	if k.literal >= 0 {
		if blank || indent > k.literal {
			return
		}
		k.literal = -1
	}
	if blank || k.quote == 0 && l[indent] == '#' {
		return
	}
	start := indent
	if k.quote == 0 {
		if k.unclosed(l, indent); k.found != nil {
			return
		}
		if len(k.brackets) == 0 {
			start = k.block(l, indent)
		}
	}
	if k.found == nil {
		k.values(l, start, indent)
	}
}

var fieldStart = regexp.MustCompile(`^[\pL\pN_-]+: `)

// unclosed suspects a bracket where the next field of the block begins.
func (k *looker) unclosed(l []rune, indent int) {
	if len(k.brackets) == 0 {
		return
	}
	b := k.brackets[len(k.brackets)-1]
	if k.line > b.line && indent <= b.indent && fieldStart.MatchString(string(l[indent:])) {
		end := map[rune]string{'[': "]", '{': "}"}[b.char]
		k.suspect(indent, "',' or '"+end+"' must be specified", "close the bracket")
	}
}

// block looks at the beginning of a line outside of brackets, and returns where its first name or value begins.
func (k *looker) block(l []rune, indent int) int {
	at := indent
	for len(k.indents) > 0 && k.indents[len(k.indents)-1] > indent {
		k.indents = k.indents[:len(k.indents)-1]
	}
	field := fieldOf(l[indent:])
	known := len(k.indents) > 0 && k.indents[len(k.indents)-1] == indent
	switch {
	case k.valued >= 0 && indent > k.valued && field:
		k.suspect(indent, "this line is indented more than the one above it, which has its value already", "indent both alike")
	case !known && (field || strings.HasPrefix(string(l[indent:]), "- ")) && len(k.indents) > 0 && k.valued >= 0 && indent < k.valued:
		k.suspect(indent, "this line is indented like none above it", "check that the lines of one block are indented alike")
	}
	if !known {
		k.indents = append(k.indents, indent)
	}
	for at+1 < len(l) && l[at] == '-' && l[at+1] == ' ' {
		for at++; at < len(l) && l[at] == ' '; at++ {
		}
		k.indents = append(k.indents, at)
	}
	k.valued = -1
	if at < len(l) && fieldOf(l[at:]) {
		if i := colon(l, at); i >= 0 && i+1 < len(l) && strings.TrimSpace(string(l[i+1:])) != "" {
			k.valued = at
		}
	}
	return at
}

// fieldOf reports whether a line begins with `name:`.
func fieldOf(l []rune) bool {
	s := string(l)
	return fieldStart.MatchString(s) || fieldStart.MatchString(s+" ") && strings.HasSuffix(strings.TrimSpace(s), ":")
}

// colon returns where the next colon with a blank or nothing behind it stands, or -1.
func colon(l []rune, from int) int {
	for i := from; i < len(l); i++ {
		if l[i] == ':' && (i+1 == len(l) || l[i+1] == ' ') {
			return i
		}
	}
	return -1
}

// values goes through names and values: quotes, brackets, and a second colon in one plain text.
func (k *looker) values(l []rune, start, indent int) {
	fresh := true // a name or value may begin here
	colons, value := 0, -1
	for i := start; i < len(l) && k.found == nil; i++ {
		c := l[i]
		switch {
		case k.quote != 0:
			if end := k.quoted(l, i); end >= 0 {
				i = end
				k.behind(l, i+1, "the quoted text that begins on line "+strconv.Itoa(k.opened.line)+" goes on behind its end", "close the quotes")
			}
			fresh = false
		case c == '#' && (i == 0 || l[i-1] == ' '):
			return
		case fresh && (c == '"' || c == '\''):
			k.quote, k.opened = c, bracket{c, k.line, i + 1, indent}
		case (fresh || len(k.brackets) > 0) && (c == '[' || c == '{'):
			k.brackets = append(k.brackets, bracket{c, k.line, i + 1, indent})
			fresh = true
		case len(k.brackets) > 0 && (c == ']' || c == '}'):
			if k.closing(c, i); len(k.brackets) == 0 {
				k.behind(l, i+1, "something stands behind the end of the bracket", "leave it out")
			}
			fresh = false
		case len(k.brackets) > 0 && c == ',':
			fresh = true
		case c == ':' && (i+1 == len(l) || l[i+1] == ' '):
			if colons++; colons > 1 && len(k.brackets) == 0 {
				k.suspect(value, "mapping value is not allowed in this context", "put a text that contains “: ” into quotes, and check that the lines of one block are indented alike")
			}
			fresh = true
		case c == ' ':
		case fresh && k.forbidden(l, i):
			k.suspect(i, "a text cannot begin with "+string(c), "put it into quotes")
		case fresh && (c == '|' || c == '>') && len(k.brackets) == 0:
			k.literal = indent
			return
		default:
			if fresh && colons == 1 && value < 0 {
				value = i
			}
			fresh = false
		}
	}
}

// quoted returns where the open quotes end, or -1 if this character does not end them.
func (k *looker) quoted(l []rune, i int) int {
	if i > 0 && l[i-1] == '\\' && k.quote == '"' && !k.escaped {
		if k.escaped = l[i] == '\\'; !strings.ContainsRune("0abtnvfre \"/\\N_LPxuU\t", l[i]) {
			k.suspect(i-1, "there is no escape \\"+string(l[i]), `write \\ for a backslash, or single quotes around the text`)
		}
		return -1
	}
	k.escaped = false
	switch {
	case l[i] != k.quote:
		return -1
	case k.quote == '\'' && (i+1 < len(l) && l[i+1] == '\'' || i > 0 && l[i-1] == '\'' && k.opened.column != i):
		return -1 // two of them stand for one
	}
	k.quote = 0
	return i
}

// forbidden reports whether a plain text must not begin like this.
func (k *looker) forbidden(l []rune, i int) bool {
	switch l[i] {
	case '@', '`':
		return true
	case '%':
		return i == 0
	case '*', '&':
		return i+1 == len(l) || strings.ContainsRune(" *&", l[i+1])
	}
	return false
}

// behind suspects what follows a quoted text or a bracket.
func (k *looker) behind(l []rune, i int, message, remedy string) {
	j := i
	for j < len(l) && l[j] == ' ' {
		j++
	}
	if j == len(l) || l[j] == ':' || l[j] == '#' && j > i || len(k.brackets) > 0 && strings.ContainsRune(",]}", l[j]) {
		return
	}
	k.suspect(i, message, remedy)
}

func (k *looker) closing(c rune, i int) {
	last := k.brackets[len(k.brackets)-1]
	if want := map[rune]rune{'[': ']', '{': '}'}[last.char]; c != want {
		k.suspect(i, "',' or '"+string(want)+"' must be specified", "close the bracket")
		return
	}
	k.brackets = k.brackets[:len(k.brackets)-1]
}
