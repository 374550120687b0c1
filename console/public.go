package console

import (
	"context"
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
)

// Overlays is where customers' answers are kept.
type Overlays interface {
	UpdateOverlay(ctx context.Context, customer string, change func(*care.Overlay) error) error
}

// Public is what the public listener serves: the customers' pages.
type Public struct {
	Signer   *token.Signer
	Overlays Overlays
	// Locale and Name tell in whose words a page speaks; they must not fail for a customer that is gone.
	Page func(ctx context.Context, customer string) (locale, dealer string)
	Now  func() time.Time
	Log  *slog.Logger
}

//go:embed unsubscribe.html
var unsubscribeHTML string

var unsubscribePage = template.Must(template.New("unsubscribe").Parse(unsubscribeHTML))

// Wording is the version of the words on the unsubscribe page; it is kept with each opt-out as evidence of what was agreed to.
const Wording = "unsubscribe-2026-11"

// Handler returns the public listener's routes.
func (p *Public) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /u/{token}", p.showUnsubscribe)
	mux.HandleFunc("POST /u/{token}", p.unsubscribe)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive\n") })
	return secure(mux)
}

type unsubscribeView struct {
	ZH, Done, Back bool
	Dealer         string
}

func (p *Public) showUnsubscribe(w http.ResponseWriter, r *http.Request) {
	t, err := p.Signer.Verify(token.Unsubscribe, r.PathValue("token"))
	if err != nil {
		plain(w, http.StatusNotFound, "This link is not valid. 链接无效。\n")
		return
	}
	p.render(w, r, t, unsubscribeView{})
}

// unsubscribe takes the page's button and the one-click POST of mail programs (RFC 8058: no cookies, no redirect, an answer of
// 2xx). Opting in again is the page's second button.
func (p *Public) unsubscribe(w http.ResponseWriter, r *http.Request) {
	t, err := p.Signer.Verify(token.Unsubscribe, r.PathValue("token"))
	if err != nil {
		plain(w, http.StatusNotFound, "This link is not valid. 链接无效。\n")
		return
	}
	// RFC 8058 section 3.2: the body may be urlencoded or multipart; FormValue reads both.
	oneClick := r.FormValue("List-Unsubscribe") == "One-Click"
	back := r.FormValue("again") != ""
	source := "page"
	if oneClick {
		source = "one_click"
	}
	err = p.Overlays.UpdateOverlay(r.Context(), t.Customer, func(o *care.Overlay) error {
		entry := care.Stop{At: p.Now(), Source: source, Wording: Wording}
		scope := string(t.Channel)
		if scope == "" {
			scope = "*"
		}
		if back {
			if o.Grants == nil {
				o.Grants = map[string]care.Stop{}
			}
			o.Grants[scope] = entry
			return nil
		}
		if o.Stops == nil {
			o.Stops = map[string]care.Stop{}
		}
		o.Stops[scope] = entry
		return nil
	})
	if err != nil {
		p.Log.Error("an opt-out could not be recorded", "customer", t.Customer, "error", err)
		w.Header().Set("Retry-After", "30")
		plain(w, http.StatusServiceUnavailable, "Please try again in a minute. 请一分钟后再试。\n")
		return
	}
	p.render(w, r, t, unsubscribeView{Done: !back, Back: back})
}

func (p *Public) render(w http.ResponseWriter, r *http.Request, t token.Token, v unsubscribeView) {
	locale, dealer := p.Page(r.Context(), t.Customer)
	v.ZH = len(locale) >= 2 && locale[:2] == "zh"
	v.Dealer = dealer
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := unsubscribePage.Execute(w, v); err != nil {
		p.Log.Debug("a page was not written whole", "error", err)
	}
}
