//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/carebell/carebell/test/peers"
)

// What /metrics says is what Prometheus' own checker takes, from the first moment on.
func TestMetricsAreClean(t *testing.T) {
	redis := peers.Redis(t)
	h := &house{t: t, redis: redis, book: t.TempDir() + "/book", port: peers.FreePorts(t, 1)[0]}
	h.env = []string{"CARE_REDIS_URL=" + redis.URL(), "CARE_BOOK=" + h.book, fmt.Sprintf("CARE_LISTEN=127.0.0.1:%d", h.port), "CARE_DRY_RUN=true"}
	h.carebell("init", h.book)
	h.serve()
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", h.port))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for line := range strings.Lines(string(body)) { // the runtime's own names are not ours to choose
		if strings.Contains(line, "carebell_") {
			ours = append(ours, line)
		}
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(strings.Join(ours, ""))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	if len(ours) < 50 {
		t.Errorf("only %d lines are ours", len(ours))
	}
}
