package scheduler

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

const (
	maxSteps = 10_000 // of an audience, for one customer
	maxRange = 1_000  // numbers in a range such as 2020..2024
)

// allowed are the functions of an audience. There is none that knows the clock, none that makes texts or lists longer, and none that works
// longer than once through a list.
var allowed = []string{
	"all", "none", "any", "one", "filter", "map", "count", "find", "findIndex", "findLast", "findLastIndex", "sum", "min", "max", "len", "first",
	"last", "lower", "upper", "trim", "trimPrefix", "trimSuffix", "hasPrefix", "hasSuffix", "indexOf", "lastIndexOf", "abs", "ceil", "floor",
	"round", "int", "float", "string", "get",
}

// dateFields are the words that are dates, wherever they stand.
var dateFields = []string{"delivered_on", "insurance_until", "inspection_due", "closed_on", "on", "until"}

// rules holds an expression within what an audience may do, and lets dates and makes compare as people mean it. It implements ast.Visitor.
type rules struct{ refused error }

func compileRules(source string, env any) (*vm.Program, error) {
	r := &rules{}
	options := []expr.Option{expr.Env(env), expr.AsBool(), expr.DisableAllBuiltins()}
	for _, name := range allowed {
		options = append(options, expr.EnableBuiltin(name))
	}
	_, err := expr.Compile(source, options...) // a mistake is found in what was written, not in what is made of it
	if _, mistaken := errors.AsType[*file.Error](err); err != nil && !mistaken {
		options = append(options, expr.Optimize(false)) // the library's optimiser fails on some of what is right
		_, err = expr.Compile(source, options...)
	}
	if err != nil {
		return nil, err
	}
	program, err := expr.Compile(source, append(options, expr.Patch(r))...)
	if r.refused != nil {
		return nil, r.refused
	}
	return program, err
}

func (r *rules) refuse(node ast.Node, format string, args ...any) {
	r.refused = &file.Error{Location: node.Location(), Message: fmt.Sprintf(format, args...)} // the outermost is said
}

// Visit implements ast.Visitor.
func (r *rules) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode: // each turn of a loop is a step
		n.Node = &ast.SequenceNode{Nodes: []ast.Node{call(stepWord), n.Node}}
	case *ast.BuiltinNode:
		if !slices.Contains(allowed, n.Name) {
			r.refuse(n, "unknown name %s", n.Name)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "..":
			from, ok := n.Left.(*ast.IntegerNode)
			to, fine := n.Right.(*ast.IntegerNode)
			if !ok || !fine || to.Value-from.Value >= maxRange {
				r.refuse(n, "a range has two numbers, at most %d apart, such as 2020..2024", maxRange)
			}
		case "+":
			if textual(n.Left) || textual(n.Right) {
				r.refuse(n, "texts cannot be joined here: compare each by itself")
			}
		case "in":
			if field(n.Left) == "make" {
				ast.Patch(node, call(makeWord, n.Left, n.Right))
			}
		case "==", "!=", "<", "<=", ">", ">=":
			r.comparison(node, n)
		}
	}
}

// comparison lets makes compare through the dealer's aliases, and dates with dates: what has no date is neither before nor after one.
func (r *rules) comparison(node *ast.Node, n *ast.BinaryNode) {
	equal := n.Operator == "==" || n.Operator == "!="
	switch left, right := field(n.Left), field(n.Right); {
	case equal && left == "make", equal && right == "make":
		same := ast.Node(call(makeWord, n.Left, n.Right))
		if n.Operator == "!=" {
			same = &ast.UnaryNode{Operator: "!", Node: same}
		}
		ast.Patch(node, same)
	case slices.Contains(dateFields, left), slices.Contains(dateFields, right):
		out := ast.Node(n)
		for _, side := range []ast.Node{n.Left, n.Right} {
			if text, ok := side.(*ast.StringNode); ok {
				if _, err := care.ParseDate(text.Value); err != nil && (text.Value != "" || !equal) {
					r.refuse(text, "%q is no date: write YYYY-MM-DD, such as \"2026-01-31\"", text.Value)
				}
			} else if !equal && slices.Contains(dateFields, field(side)) {
				known := &ast.BinaryNode{Operator: "!=", Left: side, Right: &ast.StringNode{}}
				out = &ast.BinaryNode{Operator: "&&", Left: known, Right: out}
			}
		}
		if out != ast.Node(n) {
			ast.Patch(node, out)
		}
	}
}

// The words of an audience that nobody writes.
const (
	stepWord = "_step"
	makeWord = "_make"
)

func call(word string, args ...ast.Node) *ast.CallNode {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: word}, Arguments: args}
}

// field is the name of a field that is asked for, such as make in vehicle.make; else "".
func field(node ast.Node) string {
	if member, ok := node.(*ast.MemberNode); ok {
		if name, ok := member.Property.(*ast.StringNode); ok {
			return name.Value
		}
	}
	return ""
}

func textual(node ast.Node) bool {
	t := node.Type()
	return t == nil || t.Kind() == reflect.String || t.Kind() == reflect.Interface
}

var errSteps = errors.New("it takes more than 10,000 steps for this customer")

// step counts a turn of a loop. A panic ends the machine, which returns it as an error.
func (r *run) step() bool {
	if r.turns++; r.turns > maxSteps {
		panic(errSteps)
	}
	return true
}

// sameMake reports whether a make is another, or one of a list, by the dealer's aliases.
func (r *run) sameMake(name string, of any) bool {
	switch of := of.(type) {
	case string:
		return r.dealer.SameMake(name, of)
	case []any:
		return slices.ContainsFunc(of, func(one any) bool { return r.sameMake(name, one) })
	case map[string]struct{}: // a list of texts, as the compiler keeps it
		for one := range of {
			if r.dealer.SameMake(name, one) {
				return true
			}
		}
	}
	return false
}

// mistakes are the compiler's messages, and what they mean to somebody who writes an audience. The words in brackets are translated.
var mistakes = []struct {
	said *regexp.Regexp
	mean string
}{
	{regexp.MustCompile(`^unknown name (\S+)$`), "there is no word $1"},
	{regexp.MustCompile(`^type (\S+) has no field (\S+)$`), "$1 has no $2"},
	{regexp.MustCompile(`^invalid operation: (\S+) \(mismatched types (\S+) and (\S+)\)$`), "$1 does not go with $2 and $3"},
	{regexp.MustCompile(`^invalid operation: (\S+) \(mismatched type (\S+)\)$`), "$1 does not go with $2"},
	{regexp.MustCompile(`^expected bool, but got (\S+)$`), "the answer must be yes or no, and this is $1"},
	{regexp.MustCompile(`^predicate should return boolean \(got (\S+)\)$`), "the question about each item must be answered by yes or no, and this is $1"},
	{regexp.MustCompile(`^builtin (\S+) takes only array \(got (\S+)\)$`), "$1 asks a list, and this is $2"},
	{regexp.MustCompile(`^non-bool expression \(type (\S+)\) used as condition$`), "a condition must be answered by yes or no, and this is $1"},
	{regexp.MustCompile(`^unexpected token EOF$`), "it breaks off here"},
	{regexp.MustCompile(`^unexpected token \w+\((.*)\)$`), "$1 cannot stand here"},
}

// kinds are the compiler's types in plain words.
var kinds = map[string]string{
	"string": "a text", "int": "a number", "float64": "a number", "bool": "yes or no", "nil": "nothing", "func() bool": "a function",
	"scheduler.customerFacts": "customer", "scheduler.vehicleFacts": "vehicle", "scheduler.visitFacts": "visit", "scheduler.dealerFacts": "dealer",
	"scheduler.warrantyFacts": "warranty", "scheduler.readingFacts": "reading",
}

// plainly says a compiler's message in plain words, with the word that was probably meant.
func plainly(message string, env any) string {
	message, _, _ = strings.Cut(message, "\n")
	for _, m := range mistakes {
		words := m.said.FindStringSubmatch(message)
		if words == nil {
			continue
		}
		out, known := m.mean, []string(nil)
		for i, word := range words[1:] {
			plain, isKind := kinds[word]
			if strings.HasPrefix(word, "[]") {
				plain, isKind = "a list", true
			}
			if !isKind {
				plain = word
			}
			if strings.HasPrefix(m.mean, "$1 has no") && i == 0 {
				known = wordsOf(env, word)
			}
			out = strings.ReplaceAll(out, fmt.Sprint("$", i+1), plain)
		}
		if strings.HasPrefix(m.mean, "there is no word") {
			known = append(wordsOf(env, ""), allowed...)
		}
		if near := problem.Nearest(words[len(words)-1], known); near != "" {
			out += "; did you mean " + near + "?"
		}
		return out
	}
	return message
}

// wordsOf lists the words of an environment, or of one of its types by the compiler's name; those that nobody writes are not among them.
func wordsOf(env any, typeName string) (out []string) {
	seen := map[reflect.Type]bool{}
	var look func(t reflect.Type, mine bool)
	look = func(t reflect.Type, mine bool) {
		for t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || seen[t] && !mine {
			return
		}
		seen[t] = true
		mine = mine || t.String() == typeName
		for f := range t.Fields() {
			name := f.Tag.Get("expr")
			if mine && name != "" && name[0] != '_' {
				out = append(out, name)
			}
			look(f.Type, f.Anonymous && mine)
		}
	}
	look(reflect.TypeOf(env), typeName == "")
	return out
}
