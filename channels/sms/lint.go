package sms

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
)

const gatewaysFolder = "gateways"

// Lint says what is wrong with the gateway files of a care book, with file, line and column, in the order of files and lines.
func Lint(files fs.FS, decode care.FileDecoder) []problem.Problem {
	var out []problem.Problem
	for _, file := range gatewayFiles(files) {
		out = append(out, lintFile(files, decode, file)...)
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

func lintFile(files fs.FS, decode care.FileDecoder, file string) []problem.Problem {
	name, isYAML := strings.CutSuffix(path.Base(file), ".yaml")
	found := problem.Problem{Severity: problem.Fault, Rule: "gateway-file", File: file}
	switch {
	case !isYAML:
		found.Severity, found.Message, found.Remedy = problem.Warning, "nothing reads this file", "call it <gateway>.yaml, or remove it"
		return []problem.Problem{found}
	case BuiltIn(name):
		found.Message, found.Remedy = "the gateway "+name+" is built in: this file would never be read", "give the file another name"
		return []problem.Problem{found}
	case !gatewayName.MatchString(name):
		found.Message, found.Remedy = fmt.Sprintf("%q is no name for a gateway", name), "name the file with small letters, digits and hyphens, at most 32"
		return []problem.Problem{found}
	}
	raw, err := fs.ReadFile(files, file)
	if err != nil {
		found.Message, found.Remedy = "the file cannot be read", "look at its permissions"
		return []problem.Problem{found}
	}
	var s Spec
	locate, out := decode(file, raw, &s)
	if len(out) > 0 {
		for i, p := range out {
			// What a list of fields does not say, the docs do.
			if p.Rule == "unknown-field" && !strings.HasPrefix(p.Remedy, "did you mean") {
				out[i].Remedy = "write the fields that docs/gateways.md lists"
			}
			out[i].Rule = found.Rule
		}
		return out
	}
	for _, d := range s.check() {
		p := found
		what, remedy, _ := strings.Cut(d.what, ": ")
		p.Message, p.Remedy = d.field+": "+what, remedy
		p.Line, p.Column, p.Excerpt = locate("$." + d.field)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b problem.Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return out
}

// Approvals returns what each gateway asks, by its name: those that need no file of the book, and those that its files describe.
func Approvals(files fs.FS, decode care.FileDecoder) map[string]care.GatewayRules {
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
	for _, file := range append(gatewayFiles(shipped), gatewayFiles(files)...) {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		spec, err := ReadGateway(files, decode, name)
		if err != nil {
			delete(all, name)
			continue // Lint says why
		}
		all[name] = care.GatewayRules{Plain: !spec.Templates, Needs: spec.params()}
	}
	return all
}
