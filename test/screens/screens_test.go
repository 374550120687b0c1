//go:build screens

package screens

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/test/peers"
)

const images = "../../docs/images"

func TestScreens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bin := filepath.Join(dir, "carebell")
	build := exec.Command("go", "build", "-o", bin, "./cmd/carebell")
	build.Dir = "../.." // the product is built with its own versions, not with those of the tests' module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.MkdirAll(images, 0o755); err != nil {
		t.Fatal(err)
	}
	browser := peers.Chromium(t)
	for name, locale := range map[string]string{"mail-en": "en", "mail-zh": "zh-CN"} {
		page := filepath.Join(dir, name+".html")
		out, err := exec.Command(bin, "preview", "maintenance", "--locale", locale, "--channel", "email", "--out", page).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		browser.Screenshot(page, 390, 700, false, filepath.Join(images, name+".png"))
	}
	address := fmt.Sprintf("127.0.0.1:%d", peers.FreePorts(t, 1)[0])
	p := peers.Daemon(t, bin, nil, "demo", "--days", "12", "--listen", address)
	peers.Eventually(t, 2*time.Minute, "the demo ends", func() error {
		if log := p.Logs(); !strings.Contains(log, "Every message as its customer saw it") {
			return fmt.Errorf("it runs: %s", log)
		}
		return nil
	})
	if res, err := http.Get("http://" + address + "/"); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(err, res)
	}
	browser.Screenshot("http://"+address+"/", 1280, 800, false, filepath.Join(images, "demo.png"))
}
