package liquid

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds on one expression.
const (
	maxFilters = 16
	maxDepth   = 32
)

// exprParser reads the expressions of one tag.
type exprParser struct {
	src    string
	at     int // of the token
	end    int // behind it
	kind   byte
	word   string // the token: an identifier or operator, a string's contents, a number
	in     *Parser
	failed *syntaxError
	depth  int
	// mixed says that an and stands before an or, which is not read as most people expect; mixedAt is where that and stands.
	mixed   bool
	mixedAt int
}

// syntaxError says what is wrong at a byte of the tag's args.
type syntaxError struct {
	at                    int
	rule, message, remedy string
}

// Kinds of token, besides single characters.
const (
	tokenEnd    = 0
	tokenWord   = 'w'
	tokenString = 's'
	tokenNumber = 'n'
	tokenOp     = 'o'
	tokenRange  = 'r'
)

func newExprParser(src string, in *Parser) *exprParser {
	p := &exprParser{src: src, in: in}
	p.next()
	return p
}

func (p *exprParser) fail(at int, rule, remedy, format string, args ...any) {
	if p.failed == nil {
		p.failed = &syntaxError{at, rule, fmt.Sprintf(format, args...), remedy}
	}
	p.kind, p.word, p.end = tokenEnd, "", len(p.src)
}

func (p *exprParser) next() {
	i := p.end
	for i < len(p.src) && isSpace(p.src[i]) {
		i++
	}
	p.at, p.end, p.kind, p.word = i, i, tokenEnd, ""
	if i == len(p.src) || p.failed != nil {
		return
	}
	c := p.src[i]
	switch {
	case c == '"' || c == '\'':
		p.readString(c)
	case c >= '0' && c <= '9' || c == '-' && i+1 < len(p.src) && p.src[i+1] >= '0' && p.src[i+1] <= '9':
		p.readNumber()
	case strings.HasPrefix(p.src[i:], ".."):
		p.token(tokenRange, 2)
	case strings.IndexByte("=!<>", c) >= 0:
		p.readOperator()
	case c == '.' || c == '|' || c == ',' || c == ':' || c == '(' || c == ')' || c == '[' || c == ']':
		p.token(c, 1)
	case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		n := 1
		for i+n < len(p.src) && isWordByte(p.src[i+n]) {
			n++
		}
		p.token(tokenWord, n)
	default:
		rest := []rune(p.src[i:min(len(p.src), i+8)])
		remedy := "write only variables, filters, numbers and quoted words between the braces"
		if slices.Contains([]rune("“”‘’"), rest[0]) {
			remedy = `write straight quotes: "…"`
		} else if slices.Contains([]rune("：，｜（）"), rest[0]) {
			remedy = "write it half-width, with the keyboard in English"
		}
		p.fail(i, "syntax", remedy, "%q cannot stand here", string(rest[0]))
	}
}

func (p *exprParser) token(kind byte, n int) {
	p.kind, p.end = kind, p.at+n
	p.word = p.src[p.at:p.end]
}

func (p *exprParser) readString(quote byte) {
	i := strings.IndexByte(p.src[p.at+1:], quote)
	if i < 0 {
		p.fail(p.at, "syntax", "close it with "+string(quote), "this quoted word is never closed")
		return
	}
	p.token(tokenString, i+2)
	p.word = p.src[p.at+1 : p.end-1]
}

func (p *exprParser) readNumber() {
	n := 1
	for p.at+n < len(p.src) {
		c := p.src[p.at+n]
		if c == '.' && p.at+n+1 < len(p.src) && p.src[p.at+n+1] == '.' || c != '.' && (c < '0' || c > '9') {
			break
		}
		n++
	}
	p.token(tokenNumber, n)
}

func (p *exprParser) readOperator() {
	for _, op := range []string{"==", "!=", "<>", "<=", ">=", "<", ">"} {
		if strings.HasPrefix(p.src[p.at:], op) {
			p.token(tokenOp, len(op))
			return
		}
	}
	p.fail(p.at, "syntax", "write == to compare; values cannot be set in a template", "%q cannot stand here", string(p.src[p.at]))
}

// condition reads a and b or c from right to left, as Shopify's Liquid does: a and (b or c). There is no precedence.
func (p *exprParser) condition() expression {
	e := p.relation()
	if p.kind != tokenWord || p.word != "and" && p.word != "or" {
		return e
	}
	if p.depth++; p.depth > maxDepth {
		p.fail(p.at, "too-deep", "make it simpler", "there are more than %d and/or in one condition", maxDepth)
		return e
	}
	defer func() { p.depth-- }()
	and, at := p.word == "and", p.at
	p.next()
	rest := p.condition()
	if l, ok := rest.(logic); ok && and && !l.and {
		p.mixed, p.mixedAt = true, at
	}
	return logic{and, e, rest}
}

func (p *exprParser) relation() expression {
	e := p.filters()
	if p.kind == tokenOp || p.kind == tokenWord && p.word == "contains" {
		op := p.word
		p.next()
		return comparison{op, e, p.primary()}
	}
	return e
}

func (p *exprParser) filters() expression {
	e := p.primary()
	for n := 1; p.kind == '|'; n++ {
		if n > maxFilters {
			p.fail(p.at, "too-deep", "use fewer", "more than %d filters in one tag", maxFilters)
			break
		}
		p.next()
		name, at := p.word, p.at
		if p.kind != tokenWord {
			p.fail(at, "syntax", "name a filter, such as "+p.in.Language.Examples.Filter, "no filter stands behind the |")
			break
		}
		p.next()
		f := &filtered{in: e}
		if p.kind == ':' {
			p.next()
			f.args = append(f.args, p.primary())
			for p.kind == ',' {
				p.next()
				f.args = append(f.args, p.primary())
			}
		}
		if p.failed == nil {
			p.resolveFilter(f, name, at)
		}
		e = f
	}
	return e
}

func (p *exprParser) resolveFilter(f *filtered, name string, at int) {
	known := p.in.Language.filter(name)
	if known == nil {
		if why, refused := p.in.Language.Refused[name]; refused {
			p.fail(at, "refused-filter", why, "the filter %s cannot be used", name)
			return
		}
		p.fail(at, "unknown-filter", p.in.Language.suggest(name, p.in.Language.filterNames()), "there is no filter %s", name)
		return
	}
	f.filter = known
	if len(f.args) < known.Min || len(f.args) > known.Max {
		p.fail(at, "filter-arguments", "write "+known.Usage, "the filter %s takes %s, not %d", name, argumentCount(known), len(f.args))
	}
}

func argumentCount(f *Filter) string {
	switch {
	case f.Max == 0:
		return "no argument"
	case f.Min == f.Max && f.Min == 1:
		return "1 argument"
	case f.Min == f.Max:
		return strconv.Itoa(f.Min) + " arguments"
	}
	return fmt.Sprintf("%d to %d arguments", f.Min, f.Max)
}

func (p *exprParser) primary() expression {
	if p.depth++; p.depth > 2*maxDepth {
		p.fail(p.at, "too-deep", "make it simpler", "the brackets are nested too deep")
		return literal{}
	}
	defer func() { p.depth-- }()
	var e expression
	switch p.kind {
	case tokenString:
		e = literal{Literal(p.word)}
		p.next()
		return e
	case tokenNumber:
		n, err := strconv.ParseFloat(p.word, 64)
		if err != nil {
			p.fail(p.at, "syntax", "write it like 12 or 0.5", "%s is no number", p.word)
		}
		e = literal{Number(n)}
		p.next()
		if p.kind == tokenRange {
			p.refuseRange()
		}
		return e
	case '(':
		at := p.at
		p.next()
		if p.kind == tokenNumber || p.kind == tokenWord {
			p.primary()
		}
		if p.kind == tokenRange {
			p.refuseRange()
		}
		p.fail(at, "parentheses", "write one {% if %} within another; and/or are read from right to left", "parentheses cannot be used")
	case tokenWord:
		return p.path()
	case tokenEnd:
		p.fail(p.at, "syntax", "write a variable, such as "+p.in.Language.Examples.Variable, "something is missing here")
	case tokenRange:
		p.refuseRange()
	default:
		p.fail(p.at, "syntax", "write a variable, such as "+p.in.Language.Examples.Variable, "%q cannot stand here", p.word)
	}
	return literal{}
}

func (p *exprParser) refuseRange() {
	p.fail(p.at, "range", "loop over a list, such as "+p.in.Language.Examples.List, "a range (a..b) cannot be used")
}

// path reads a variable with what hangs on it: vehicle.warranty.until, also[0].title.
func (p *exprParser) path() expression {
	switch p.word {
	case "true", "false":
		e := literal{Bool(p.word == "true")}
		p.next()
		return e
	case "nil", "null":
		p.next()
		return literal{}
	case "blank", "empty":
		p.next()
		return literal{Literal("")}
	}
	at := p.at
	words := []string{p.word}
	p.next()
	var e expression
	parts := 0
	for p.failed == nil {
		switch p.kind {
		case '.':
			p.next()
			if p.kind != tokenWord {
				p.fail(p.at, "syntax", "name a field", "no field stands behind the dot")
				return literal{}
			}
			if e == nil {
				words = append(words, p.word)
			} else {
				e = property{e, p.word}
			}
			p.next()
		case '[':
			p.next()
			if p.kind == tokenString && e == nil {
				words = append(words, p.word)
				p.next()
			} else {
				if e == nil {
					e = p.resolve(words, at)
				}
				e = index{e, p.primary()}
			}
			if p.kind != ']' {
				p.fail(p.at, "syntax", "close it with ]", "a bracket is not closed")
				return literal{}
			}
			p.next()
		default:
			if e == nil {
				e = p.resolve(words, at)
			}
			return e
		}
		if parts++; parts > maxDepth {
			p.fail(p.at, "too-deep", "make it simpler", "the path is too long")
		}
	}
	return literal{}
}

func (p *exprParser) resolve(words []string, at int) expression {
	e, rest := p.in.lookup(words)
	if e == nil {
		p.fail(at, "unknown-variable", p.in.suggestVariable(strings.Join(words, ".")), "there is no variable %s", strings.Join(words, "."))
		return literal{}
	}
	for _, w := range rest {
		e = property{e, w}
	}
	return e
}

// finish reports whatever is left over behind a complete expression.
func (p *exprParser) finish() {
	if p.failed == nil && p.kind != tokenEnd {
		p.fail(p.at, "syntax", "remove it, or put a | before a filter", "%q is too much here", p.word)
	}
}
