package check

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const containerfile = "../container/Containerfile"

// stages parses a Containerfile as `docker build` does, and collects what BuildKit's linter says about it.
func stages(text []byte) (all []instructions.Stage, warnings []string, err error) {
	result, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	for _, w := range result.Warnings {
		warnings = append(warnings, w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, msg string, _ []parser.Range) { warnings = append(warnings, rule+": "+msg) }})
	all, _, err = instructions.Parse(result.AST, lint)
	return all, warnings, err
}

func TestContainerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(containerfile)
	if err != nil {
		t.Fatal(err)
	}
	all, warnings, err := stages(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("%s: %s", containerfile, w)
	}
	if len(all) != 2 {
		t.Fatalf("%d stages, want one that builds and one that is the image", len(all))
	}
	build, image := all[0], all[1]

	if want := "golang:" + goVersion(t); !strings.Contains(build.BaseName, want) {
		t.Errorf("built from %q, go.mod wants %s", build.BaseName, want)
	}
	if image.BaseName != "scratch" {
		t.Errorf("the image starts from %q, want scratch", image.BaseName)
	}
	compile := ""
	for _, cmd := range build.Commands {
		if run, ok := cmd.(*instructions.RunCommand); ok {
			if line := strings.Join(run.CmdLine, " "); strings.Contains(line, "go build") {
				compile = line
			}
		}
	}
	for _, part := range []string{"CGO_ENABLED=0", "-trimpath", "-X main.version=$VERSION", "-o /out/carebell", "./cmd/carebell"} {
		if !strings.Contains(compile, part) {
			t.Errorf("the build %q lacks %q", compile, part)
		}
	}
	checkImage(t, image, build.Name)
}

// checkImage holds that the image runs the binary it copied, as a user that is not root, and without a shell.
func checkImage(t *testing.T, image instructions.Stage, buildStage string) {
	t.Helper()
	var user string
	var health []string
	var entry, exposed, copied []string
	for _, cmd := range image.Commands {
		switch c := cmd.(type) {
		case *instructions.CopyCommand:
			if c.From != buildStage {
				t.Errorf("COPY %v from %q: everything comes from the stage %s", c.SourcePaths, c.From, buildStage)
			}
			copied = append(copied, c.DestPath)
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Error("ENTRYPOINT needs a shell, and there is none: write it as a JSON list")
			}
			entry = c.CmdLine
		case *instructions.CmdCommand:
			if c.PrependShell {
				t.Error("CMD needs a shell, and there is none: write it as a JSON list")
			}
		case *instructions.ExposeCommand:
			exposed = append(exposed, c.Ports...)
		case *instructions.HealthCheckCommand:
			health = c.Health.Test
		case *instructions.RunCommand:
			t.Errorf("%s: nothing in the image can run it", cmd.Name())
		}
	}
	if uid, err := strconv.Atoi(strings.Split(user, ":")[0]); err != nil || uid < 1000 {
		t.Errorf("USER %q: want a number of 1000 or more; Kubernetes cannot see that a name is not root", user)
	}
	if len(entry) != 1 || !slices.Contains(copied, entry[0]) {
		t.Errorf("ENTRYPOINT %q is none of the copied files %q", entry, copied)
	}
	if !slices.Equal(health, append([]string{"CMD"}, append(entry, "healthcheck")...)) {
		t.Errorf("HEALTHCHECK %q: want the binary itself, without a shell", health)
	}
	for _, must := range []string{"/etc/ssl/certs/ca-certificates.crt", "/tmp", "/var/lib/carebell"} {
		if !slices.Contains(copied, must) {
			t.Errorf("%s is missing", must)
		}
	}
	if !slices.Equal(exposed, []string{"8080", "8081"}) {
		t.Errorf("EXPOSE %q, want 8080 and 8081", exposed)
	}
}

// TestContainerfileFitsTheManifests holds the image's user against the pod's.
func TestContainerfileFitsTheManifests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(containerfile)
	if err != nil {
		t.Fatal(err)
	}
	sc := build(t, "testdata/book").pod().SecurityContext
	if sc == nil || sc.RunAsUser == nil || sc.RunAsGroup == nil {
		t.Fatal("the pod does not say as whom it runs")
	}
	want := "USER " + strconv.FormatInt(*sc.RunAsUser, 10) + ":" + strconv.FormatInt(*sc.RunAsGroup, 10)
	if !regexp.MustCompile(`(?m)^` + want + `$`).Match(text) {
		t.Errorf("the pod runs as %q, %s as another", want, containerfile)
	}
}

// TestContextHoldsTheProduct holds the ignore file against the folders of the product: a package left out breaks the
// build, and one is easily forgotten when it is new.
func TestContextHoldsTheProduct(t *testing.T) {
	t.Parallel()
	file, err := os.Open(containerfile + ".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	let := map[string]bool{}
	for sc := bufio.NewScanner(file); sc.Scan(); {
		if name, ok := strings.CutPrefix(sc.Text(), "!"); ok {
			let[name] = true
		}
	}
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || slices.Contains([]string{"test", "deploy", "docs", "bin", "dist", "out"}, e.Name()) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if hasGo(t, filepath.Join("../..", e.Name())) && !let[e.Name()] {
			t.Errorf("%s.dockerignore leaves out %s, which the build needs", containerfile, e.Name())
		}
	}
	if !let["go.mod"] || !let["go.sum"] {
		t.Error("go.mod and go.sum must be in the context")
	}
}

func hasGo(t *testing.T, dir string) bool {
	t.Helper()
	for _, depth := range []string{"*.go", "*/*.go", "*/*/*.go"} {
		if found, err := filepath.Glob(filepath.Join(dir, depth)); err != nil {
			t.Fatal(err)
		} else if len(found) > 0 {
			return true
		}
	}
	return false
}

// goVersion is the language version of the main module, "1.26".
func goVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(text)
	if m == nil {
		t.Fatal("go.mod says no Go version")
	}
	return string(m[1])
}

// TestContainerfileLinterBites shows that the parser refuses what docker would.
func TestContainerfileLinterBites(t *testing.T) {
	t.Parallel()
	if _, _, err := stages([]byte("FROM scratch\nCOPPY a b\n")); err == nil {
		t.Error("an unknown instruction passed")
	}
	if _, warnings, err := stages([]byte("FROM scratch as x\nmaintainer me\n")); err != nil || len(warnings) == 0 {
		t.Errorf("mixed case and a deprecated instruction: warnings %q, error %v", warnings, err)
	}
}
