package sms

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
)

const gatewaysFolder = "gateways"

// Lint says what is wrong with the gateway files of a care book, with file, line and column, in the order of files and lines.
func Lint(files fs.FS) []care.Problem {
	var out []care.Problem
	for _, file := range gatewayFiles(files) {
		out = append(out, lintFile(files, file)...)
	}
	return out
}

// gatewayFiles lists what lies in the folder, by name; none without such a folder.
func gatewayFiles(files fs.FS) []string {
	if files == nil {
		return nil
	}
	entries, err := fs.ReadDir(files, gatewaysFolder)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			all = append(all, gatewaysFolder+"/"+e.Name())
		}
	}
	return all
}

func lintFile(files fs.FS, file string) []care.Problem {
	name, isYAML := strings.CutSuffix(path.Base(file), ".yaml")
	problem := care.Problem{Severity: care.Fault, Rule: "gateway-file", File: file}
	switch {
	case !isYAML:
		problem.Severity, problem.Message, problem.Remedy = care.Warning, "nothing reads this file", "call it <gateway>.yaml, or remove it"
		return []care.Problem{problem}
	case BuiltIn(name):
		problem.Message, problem.Remedy = "the gateway "+name+" is built in: this file would never be read", "give the file another name"
		return []care.Problem{problem}
	case !gatewayName.MatchString(name):
		problem.Message, problem.Remedy = fmt.Sprintf("%q is no name for a gateway", name), "name the file with small letters, digits and hyphens, at most 32"
		return []care.Problem{problem}
	}
	raw, err := fs.ReadFile(files, file)
	if err != nil {
		problem.Message, problem.Remedy = "the file cannot be read", "look at its permissions"
		return []care.Problem{problem}
	}
	text := places{lines: strings.Split(string(raw), "\n")}
	var s Spec
	if err := yaml.UnmarshalWithOptions(raw, &s, yaml.Strict()); err != nil {
		problem.Message, problem.Remedy = "this is not the YAML of a gateway", "write the fields that docs/gateways.md lists"
		if e, ok := errors.AsType[yaml.Error](err); ok {
			problem.Message = e.GetMessage()
			if t := e.GetToken(); t != nil && t.Position != nil {
				problem.Line, problem.Column = t.Position.Line, t.Position.Column
				problem.Excerpt = text.excerpt(problem.Line, problem.Column)
			}
		}
		return []care.Problem{problem}
	}
	text.tree, _ = yamlparser.ParseBytes(raw, 0)
	var out []care.Problem
	for _, d := range s.check() {
		p := problem
		what, remedy, _ := strings.Cut(d.what, ": ")
		p.Message, p.Remedy = d.field+": "+what, remedy
		p.Line, p.Column = text.find(d.field)
		p.Excerpt = text.excerpt(p.Line, p.Column)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b care.Problem) int { return (a.Line-b.Line)*1000 + a.Column - b.Column })
	return out
}

// places finds where things stand in a file.
type places struct {
	lines []string
	tree  *ast.File
}

// find returns where a field's value stands, both counted from 1; of one that is missing, where the nearest around it stands.
func (p *places) find(field string) (line, column int) {
	if p.tree == nil || len(p.tree.Docs) == 0 || p.tree.Docs[0].Body == nil {
		return 1, 1
	}
	for ; field != ""; field = field[:max(strings.LastIndexByte(field, '.'), 0)] {
		at, err := yaml.PathString("$." + field)
		if err != nil {
			continue
		}
		n, err := at.FilterNode(p.tree.Docs[0].Body)
		if err != nil || n == nil {
			continue
		}
		if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
			n = m.Values[0].Key
		}
		if t := n.GetToken(); t != nil && t.Position != nil {
			return t.Position.Line, t.Position.Column
		}
	}
	return 1, 1
}

func (p *places) excerpt(line, column int) string { return problem.Excerpt(p.lines, line, column) }

// Approvals returns what each gateway asks, by its name: those that are built in, and those that the book's files describe.
func Approvals(files fs.FS) map[string]care.GatewayRules {
	all := map[string]care.GatewayRules{
		"kannel": {Plain: true}, "twilio": {Plain: true}, "vonage": {Plain: true},
		// help.aliyun.com, documents 55284 and 101346 (PARAM_LENGTH_LIMIT, PARAM_NOT_SUPPORT_URL): 500 characters with the variables;
		// a name of a variable begins with a letter; 35 characters are what a variable of no special kind may hold.
		"aliyun": {
			Code: regexp.MustCompile(`^SMS_\d+$`), Param: regexp.MustCompile(`^[A-Za-z]\w{0,24}$`), MaxValue: 35, NoLinks: true, MaxText: MaxChinese,
		},
		// cloud.tencent.com, document/product/382/13301: six characters for each variable unless more were granted, and no links.
		"tencent": {Code: regexp.MustCompile(`^\d+$`), Numbered: true, MaxValue: 6, NoLinks: true, MaxText: MaxChinese},
	}
	for _, file := range gatewayFiles(files) {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		spec, err := ReadGateway(files, name)
		if err != nil {
			continue // Lint says why
		}
		all[name] = care.GatewayRules{Plain: !spec.Templates, Needs: spec.params()}
	}
	return all
}
