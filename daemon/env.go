package daemon

import (
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
)

// Env is what a daemon is made from.
type Env struct {
	Settings *config.Settings
	Log      *slog.Logger
	Now      func() time.Time
	Version  string
}

func (e *Env) bookOptions(dir string) carebook.Options {
	return carebook.FromSettings(e.Settings, dir, e.Now)
}

func (e *Env) signer() *token.Signer { return token.NewSigner(e.Settings.LinkKeys()...) }

func (e *Env) hashKey() []byte { return e.Settings.HashKey() }

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
