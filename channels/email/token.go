package email

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/channels/httpclient"
)

// TokenConfig says where access tokens (OAuth 2.0) for logging in come from: a command, or a token URL with client credentials or a
// refresh token.
type TokenConfig struct {
	Command      string // a program and its arguments, parted by blanks; it prints the token, or the JSON of a token URL
	URL          string
	ClientID     string
	ClientSecret string
	Scope        string
	Refresh      string // a refresh token; "" = the client's own credentials (RFC 6749 section 4.4)
	Now          func() time.Time
}

// Tokens gives tokens, and keeps one until shortly before it expires. It is safe for many goroutines.
type Tokens struct {
	cfg    TokenConfig
	client *httpclient.Client

	mu      sync.Mutex
	token   string
	until   time.Time
	refresh string // the last one: some servers give a new one each time
}

// How long tokens are kept: one that does not say when it expires, and how long before that the next is fetched.
const (
	tokenFor   = 5 * time.Minute
	tokenSpare = 2 * time.Minute
	tokenWait  = 30 * time.Second
)

// errToken says that there is no token. Why is not said by the answer's words, in which there may be secrets.
var errToken = errors.New("there is no token to log in with: the token command failed, or the token URL refused it")

// NewTokens returns tokens, nil if neither a command nor a URL is set. It asks for none yet.
func NewTokens(cfg TokenConfig) (*Tokens, error) {
	switch {
	case cfg.Command == "" && cfg.URL == "":
		return nil, nil
	case cfg.Command != "" && cfg.URL != "":
		return nil, errors.New("set a token command or a token URL, not both")
	case cfg.URL == "":
		return &Tokens{cfg: cfg}, nil
	}
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("the token URL is to be https://…: a secret goes there")
	case cfg.ClientID == "" || cfg.ClientSecret == "" && cfg.Refresh == "":
		return nil, errors.New("a token URL needs a client id, and a client secret or a refresh token")
	}
	return &Tokens{cfg: cfg, client: httpclient.New(httpclient.Config{Timeout: tokenWait}), refresh: cfg.Refresh}, nil
}

// Token returns a token that is good for a while yet.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && t.cfg.Now().Before(t.until) {
		return t.token, nil
	}
	fetch := t.ask
	if t.cfg.Command != "" {
		fetch = t.run
	}
	ctx, cancel := context.WithTimeout(ctx, tokenWait)
	defer cancel()
	said, err := fetch(ctx)
	if err != nil {
		return "", err
	}
	token, life := said, tokenFor
	if strings.HasPrefix(said, "{") {
		var a struct {
			Token   string      `json:"access_token"`
			Life    json.Number `json:"expires_in"`
			Refresh string      `json:"refresh_token"`
		}
		if json.Unmarshal([]byte(said), &a) != nil {
			return "", errToken
		}
		token, t.refresh = a.Token, cmp.Or(a.Refresh, t.refresh)
		if seconds, err := a.Life.Int64(); err == nil && seconds > 0 {
			life = time.Duration(min(seconds, 86400)) * time.Second
			life = max(life-tokenSpare, life/2)
		}
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errToken
	}
	t.token, t.until = token, t.cfg.Now().Add(life)
	return token, nil
}

// Forget drops a token that a server refused.
func (t *Tokens) Forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.until = time.Time{}
	}
}

// last is the token that was given last.
func (t *Tokens) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}

func (t *Tokens) run(ctx context.Context) (string, error) {
	args := strings.Fields(t.cfg.Command)
	if len(args) == 0 {
		return "", errToken
	}
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output() //nolint:gosec // the operator names it
	if err != nil {
		return "", errToken
	}
	return strings.TrimSpace(string(out)), nil
}

func (t *Tokens) ask(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {t.cfg.ClientID}}
	if t.refresh != "" {
		form = url.Values{"grant_type": {"refresh_token"}, "client_id": {t.cfg.ClientID}, "refresh_token": {t.refresh}}
	}
	for name, value := range map[string]string{"client_secret": t.cfg.ClientSecret, "scope": t.cfg.Scope} {
		if value != "" {
			form.Set(name, value)
		}
	}
	answer, err := t.client.Do(ctx, &httpclient.Request{
		Method: http.MethodPost, URL: t.cfg.URL, Body: []byte(form.Encode()), Repeat: true,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}},
	})
	switch {
	case err != nil:
		return "", errTokenAway
	case answer.Status >= 500 || answer.Status == http.StatusTooManyRequests:
		return "", errTokenAway
	case answer.Status != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(string(answer.Body)), "{"):
		return "", errToken
	}
	return strings.TrimSpace(string(answer.Body)), nil
}

// errTokenAway says that the token URL is not to be had just now.
var errTokenAway = errors.New("the token URL does not answer")
