package daemon

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Env is what every command starts from.
type Env struct {
	Settings *config.Settings
	Log      *slog.Logger
	Now      func() time.Time
	Version  string

	book *carebook.Compiled // what check has of CARE_BOOK; nil = it reads it. Tests that change no book share one
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
func (e *Env) check(dir string) (*carebook.Compiled, error) {
	if dir == "" {
		if e.book != nil {
			return e.book, nil
		}
		dir = e.Settings.Book
	}
	return carebook.Open(e.bookOptions(dir))
}

func (e *Env) bookOptions(dir string) carebook.Options {
	return carebook.FromSettings(e.Settings, dir, e.Now)
}

func (e *Env) signer() *token.Signer { return token.NewSigner(e.Settings.LinkKeys()...) }

func (e *Env) hashKey() []byte { return e.Settings.AddressKey() }

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
