package mailbox_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the store is away")

// handler notes what it is handed, and refuses from a certain mail on.
type handler struct {
	got    []string
	refuse string
}

func (t *handler) handle(_ context.Context, mail io.Reader) error {
	raw, err := io.ReadAll(mail)
	if err != nil {
		return err
	}
	if t.refuse != "" && strings.Contains(string(raw), t.refuse) {
		return errDown
	}
	t.got = append(t.got, string(raw))
	return nil
}

func maildir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "new", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = f.Name()
	}
	return strings.Join(out, " ")
}

func TestAMaildirIsCleared(t *testing.T) {
	t.Parallel()
	files := map[string]string{"1.a": "one", "2.b:2,": "two", "3.c": "three" + strings.Repeat("x", email.MaxReport), ".hidden": "no"}
	for name, tt := range map[string]struct {
		refuse        string
		handed        []string
		left, cleared string
		err           error
	}{
		"all":                    {"", []string{"one", "two", "three"}, ".hidden", "1.a:2,S 2.b:2,S 3.c:2,S", nil},
		"the store is away":      {"one", nil, ".hidden 1.a 2.b:2, 3.c", "", errDown},
		"it goes away meanwhile": {"two", []string{"one"}, ".hidden 2.b:2, 3.c", "1.a:2,S", errDown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := maildir(t, files)
			box, err := mailbox.OpenMaildir(dir)
			if err != nil {
				t.Fatal(err)
			}
			to := &handler{refuse: tt.refuse}
			if err := box.Fetch(t.Context(), to.handle); !errors.Is(err, tt.err) {
				t.Errorf("Fetch: %v, want %v", err, tt.err)
			}
			for i, mail := range to.got {
				if len(mail) > email.MaxReport {
					t.Errorf("%d bytes of one mail", len(mail))
				}
				to.got[i] = strings.TrimRight(mail, "x")
			}
			if !slices.Equal(to.got, tt.handed) {
				t.Errorf("handed in: %q, want %q", to.got, tt.handed)
			}
			if got := names(t, filepath.Join(dir, "new")); got != tt.left {
				t.Errorf("in new/: %q, want %q", got, tt.left)
			}
			if got := names(t, filepath.Join(dir, "cur")); got != tt.cleared {
				t.Errorf("in cur/: %q, want %q", got, tt.cleared)
			}
		})
	}
}

func TestAMaildirMustBeOne(t *testing.T) {
	t.Parallel()
	if _, err := mailbox.OpenMaildir(t.TempDir()); err == nil || !strings.Contains(err.Error(), "name a Maildir") {
		t.Errorf("got %v", err)
	}
}
