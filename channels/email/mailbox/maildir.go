// Package mailbox takes returned mail out of where a mail server put it: a Maildir, or a folder that is read over IMAP.
//
// It promises: a mail that was handled is put away and does not come again, one that could not be handled is kept for the next
// fetch, and none is ever deleted. A crash between the two repeats that mail, so a handler must not mind. It
// reads the beginning of a mail only, as much as a report needs. No password and nothing that a mail holds appears in an error. It
// does not know what a mail means: email.ParseReport does.
package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/carebell/carebell/channels/email"
)

// Handler gets one mail, cut off after email.MaxReport. An error means that it must get the mail again later; the fetch ends with it.
type Handler func(ctx context.Context, mail io.Reader) error

// Maildir is a folder that a mail server of this machine delivers to (https://cr.yp.to/proto/maildir.html).
type Maildir struct{ dir string }

// OpenMaildir checks that there is a Maildir.
func OpenMaildir(dir string) (*Maildir, error) {
	for _, sub := range []string{"new", "cur"} {
		info, err := os.Stat(filepath.Join(dir, sub))
		if err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%s has no folder %s: name a Maildir, the folder that holds new, cur and tmp", dir, sub)
		}
	}
	return &Maildir{dir}, nil
}

// Fetch passes on every mail of new/, the oldest first as far as their names tell, and moves it to cur/ as seen.
func (m *Maildir) Fetch(ctx context.Context, handle Handler) error {
	entries, err := os.ReadDir(filepath.Join(m.dir, "new"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !entry.Type().IsRegular() {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := m.handle(ctx, name, handle)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // not there: another replica was quicker
			return err
		}
	}
	return nil
}

func (m *Maildir) handle(ctx context.Context, name string, handle Handler) error {
	raw, err := m.read(name)
	if err != nil {
		return err
	}
	if err := handle(ctx, bytes.NewReader(raw)); err != nil {
		return err
	}
	base, _, _ := strings.Cut(name, ":2,")
	return os.Rename(filepath.Join(m.dir, "new", name), filepath.Join(m.dir, "cur", base+":2,S"))
}

// read returns the beginning of a mail: a report comes before the mail that it returns.
func (m *Maildir) read(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(m.dir, "new", name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, email.MaxReport))
}
