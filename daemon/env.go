package daemon

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/store"
)

// Env is what every command starts from.
type Env struct {
	Settings *config.Settings
	Log      *slog.Logger
	Now      func() time.Time
	Version  string

	book *Checked // what check has of CARE_BOOK; nil = it reads it. Tests that change no book share one
}

// open connects to Redis for a command. A command changes a little and is watched by a person, so it does not refuse a Redis
// that the daemon would: doctor says what is wrong with it.
func (e *Env) open(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, store.Options{
		URL: e.Settings.RedisURL.Reveal(), AllowUnsafe: true, Reader: true, Clock: e.Now, Logger: e.Log, Retention: time.Duration(e.Settings.Retention),
	})
}

// check reads the book of a folder ("" = CARE_BOOK) with everything that is made of it. Faults are returned as one error that
// names the first.
func (e *Env) check(dir string) (*Checked, error) {
	if dir == "" {
		if e.book != nil {
			return e.book, nil
		}
		dir = e.Settings.Book
	}
	checked, problems, err := CheckBook(e.bookOptions(dir))
	return checked, bookError(problems, err)
}

func bookError(problems []care.Problem, err error) error {
	if !errors.Is(err, ErrBook) {
		return err
	}
	for _, p := range problems {
		if p.Severity != care.Warning {
			return errors.Join(ErrBook, p)
		}
	}
	return err
}

func (e *Env) bookOptions(dir string) BookOptions {
	return BookOptions{
		Dir: dir, HashKey: e.hashKey(), Signer: e.signer(), PublicURL: strings.TrimRight(e.Settings.PublicURL, "/"), Now: e.Now,
	}
}

func (e *Env) signer() *token.Signer {
	keys := make([][]byte, 0, len(e.Settings.SecretKey))
	for _, k := range e.Settings.SecretKey {
		keys = append(keys, derive(k, "links"))
	}
	return token.NewSigner(keys...)
}

// hashKey is the key of suppressed addresses' fingerprints: of the oldest secret key, so that a rotation (which adds a key in
// front) does not forget whom not to write to. Without a key the fingerprint still hides the address from a casual reader.
func (e *Env) hashKey() []byte {
	if n := len(e.Settings.SecretKey); n > 0 {
		return derive(e.Settings.SecretKey[n-1], "addresses")
	}
	return []byte("carebell without CARE_SECRET_KEY")
}

// derive makes a key for one use out of a secret (RFC 5869), so that what leaks of one use says nothing of another.
func derive(secret config.Secret, use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "carebell "+use, 32)
	if err != nil {
		panic(err) // 32 bytes of SHA-256 can always be had
	}
	return key
}

// VersionText returns the version with the revision it was built from.
func VersionText(version string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + " (" + s.Value[:12] + ", " + info.GoVersion + ")"
		}
	}
	return version + " (" + info.GoVersion + ")"
}

// Lint checks a book ("" = the default book) and returns everything that is wrong with it, by file and line.
func Lint(dir string, now func() time.Time) ([]care.Problem, error) {
	_, problems, err := CheckBook(BookOptions{Dir: dir, Now: now})
	if err != nil && !errors.Is(err, ErrBook) {
		return nil, err
	}
	return problems, nil
}

// smsParts counts a text's parts as the gateways of a country do.
func smsParts(text, signature, country string) int {
	n, _ := sms.Parts(text, signature, sms.StyleFor(country))
	return n
}
