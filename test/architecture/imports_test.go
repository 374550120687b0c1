package architecture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// layer is how high a folder of the root stands. Imports run downwards only.
type layer int

const (
	bottom       layer = iota // care: the vocabulary
	middle                    // packages that do not know each other
	services                  // service: what people and programs can ask and do, over the middle row
	inbound                   // web: everything over HTTP, inbound
	runtimeLayer              // daemon: the runtime that joins them
	binary                    // cmd
	testOnly                  // test: may look at everything, and nobody looks at it
)

// layers gives every folder of the root its layer. A new folder needs a line here and a reason in docs/decisions.md.
var layers = map[string]layer{
	"care": bottom,

	"channels": middle, "config": middle, "delivery": middle,
	"intake": middle, "scheduler": middle, "store": middle, "templates": middle,

	"service": services,
	"web":     inbound,

	"daemon": runtimeLayer,
	"cmd":    binary,
	"test":   testOnly,
}

// worldly lists what has no business in the vocabulary: everything that touches the world outside of the process.
var worldly = []string{"database/sql", "net", "net/http", "net/smtp", "os", "os/exec", "os/signal", "syscall", "log", "plugin"}

// folderOf is the first element of a path below the module: the folder of the root it lies in.
func folderOf(p string) string {
	p = strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
	first, _, _ := strings.Cut(p, "/")
	return first
}

// below reports whether a package is one of the folders, or lies in one.
func below(p string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return strings.HasPrefix(p+"/", f+"/") })
}

func own(p string) bool { return p == module || strings.HasPrefix(p, module+"/") }
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// checkImports holds the layers: downwards only, no neighbours in the middle row.
// Tests may look where they want: they are not part of the binary.
func checkImports(all []source) []string {
	var broken []string
	for _, s := range all {
		if s.test || slices.Contains(s.tagged, "tools") {
			continue
		}
		if s.dir == "." {
			broken = append(broken, fmt.Sprintf("%s: the root holds no code: move it into the package it belongs to", s.name))
			continue
		}
		here, known := layers[folderOf(s.importPath())]
		if !known {
			broken = append(broken, fmt.Sprintf("%s: the folder %q has no layer: move it below an existing one, or give it a layer in test/architecture/imports_test.go and a reason in docs/decisions.md", s.name, folderOf(s.importPath())))
			continue
		}
		for _, p := range s.imports {
			if !own(p) {
				continue
			}
			if why := forbidden(s, here, p); why != "" {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", s.name, p, why))
			}
		}
	}
	return broken
}

// forbidden says why a file on layer here must not import p, or nothing.
func forbidden(s source, here layer, p string) string {
	from, to := folderOf(s.importPath()), folderOf(p)
	there, known := layers[to]
	switch {
	case !known:
		return "that folder has no layer"
	case there == testOnly && here != testOnly:
		return "code of the product must not need test code; move what it needs into the product"
	case from == "channels" && to == "channels":
		if p != module+"/channels" && p != module+"/channels/httpclient" && p != module+"/channels/answer" && !strings.HasPrefix(s.importPath()+"/", p+"/") && !strings.HasPrefix(p, s.importPath()+"/") {
			return "one channel must not know another; put what they share into channels"
		}
		if s.importPath() == module+"/channels" {
			return "channels is what its channels share; it must not know them"
		}
	case from == to:
		// A package's own parts may know each other; the compiler refuses circles.
	case here == middle && there == middle:
		return "the middle row does not import each other; declare a small interface where it is used and join the two in service or daemon"
	case there > here:
		return "imports run downwards only; declare a small interface here and let daemon hand in the implementation"
	}
	return ""
}

// libraried are the parts of care that may use a library, and therefore are imported by nothing else below care.
var libraried = []string{
	module + "/care/contact", // numbering plans and internationalised domains
	module + "/care/record",  // a JSON decoder that names the place of each defect; the standard library's does not yet
	module + "/care/texts",   // catalogues of texts by language
}

// checkCare holds that the vocabulary is standard library only and does no I/O.
func checkCare(all []source) []string {
	var broken []string
	for _, s := range all {
		if folderOf(s.importPath()) != "care" || s.test {
			continue
		}
		free := below(s.importPath(), libraried)
		for _, p := range s.imports {
			switch {
			case slices.Contains(worldly, p):
				broken = append(broken, fmt.Sprintf("%s imports %s: the vocabulary does no I/O; do it in the package that needs it", s.name, p))
			case free:
			case below(p, libraried):
				broken = append(broken, fmt.Sprintf("%s imports %s: care must stay free of libraries; call %s from the package that needs it", s.name, p, strings.TrimPrefix(p, module+"/")))
			case !own(p) && !standard(p):
				broken = append(broken, fmt.Sprintf("%s imports %s: care is standard library only; use the library in a part of care that is there for it, or in a package above", s.name, p))
			}
		}
	}
	return broken
}

// keepers says which folders alone may import a library, and why.
var keepers = []struct {
	library string
	layers  []string
	why     string
}{
	{"github.com/redis/go-redis", []string{"store"}, "only store knows Redis; ask it for what you need"},
	{"github.com/alicebob/miniredis", []string{"cmd"}, "the embedded store is the demo's, in cmd/carebell/demo, and the tests'"},
	{"go.uber.org/goleak", nil, "that is for tests"},
	{"pgregory.net/rapid", nil, "that is for tests"},
	{"github.com/google/go-cmp", nil, "that is for tests; it may panic"},
	{"github.com/Shopify/toxiproxy", nil, "that is for tests"},
	{"github.com/stretchr/testify", nil, "that is for tests, and ours compare with go-cmp"},
}

// checkLibraries holds that a library stays with its keeper. Tests and the folder test are free.
func checkLibraries(all []source) []string {
	var broken []string
	for _, s := range all {
		in := folderOf(s.importPath())
		if s.test || in == "test" || slices.Contains(s.tagged, "tools") {
			continue
		}
		for _, p := range s.imports {
			for _, k := range keepers {
				if strings.HasPrefix(p+"/", k.library+"/") && !slices.Contains(k.layers, in) {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", s.name, p, k.why))
				}
			}
			if p == "testing" || strings.HasPrefix(p, "testing/") {
				broken = append(broken, fmt.Sprintf("%s imports %s: it would put the test flags into the binary; move the code into a _test.go file or below test/", s.name, p))
			}
		}
	}
	return broken
}

// checkStores holds that a store is opened by whoever starts a process, and handed to all others: what opens its own cannot be used by
// the console and the command line alike.
func checkStores(all []source) []string {
	var broken []string
	for _, s := range all {
		if s.test || layers[folderOf(s.importPath())] >= runtimeLayer {
			continue
		}
		for _, pos := range calls(s, module+"/store", "Open") {
			broken = append(broken, fmt.Sprintf("%s: store.Open: take a *store.Store that is handed in; only cmd and daemon open one", pos))
		}
	}
	return broken
}

// engines lists the packages that know nothing of care, with what of ours they may import.
var engines = map[string][]string{
	module + "/templates/liquid": {module + "/care/text", module + "/care/problem"},
	module + "/templates/mail":   {module + "/templates/liquid", module + "/care/text", module + "/care/problem"},
}

// checkEngines holds that an engine does not learn what it is used for.
func checkEngines(all []source) []string {
	var broken []string
	for _, s := range all {
		may, engine := engines[s.importPath()]
		if !engine {
			continue
		}
		for _, p := range s.imports {
			if own(p) && !slices.Contains(may, p) && p != s.importPath() {
				broken = append(broken, fmt.Sprintf("%s imports %s: this package knows nothing of care; let its user hand in what it needs", s.name, p))
			}
		}
	}
	return broken
}

func TestStoresAreHandedIn(t *testing.T) {
	t.Parallel()
	report(t, checkStores(sources(t)))
}

func TestEnginesKnowNothingOfCare(t *testing.T) {
	t.Parallel()
	report(t, checkEngines(sources(t)))
}

func TestImportsRunDownwards(t *testing.T) {
	t.Parallel()
	report(t, checkImports(sources(t)))
}

func TestCareIsStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	report(t, checkCare(sources(t)))
}

func TestLibrariesStayWithTheirKeepers(t *testing.T) {
	t.Parallel()
	report(t, checkLibraries(sources(t)))
}
