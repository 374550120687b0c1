package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/carebell/carebell/care/contact"
)

// The fewest characters of a key, which can be guessed off-line from one link, and of the console's token, which cannot.
const minKey, minToken = 32, 16

// check holds what every command needs of the settings. All faults are reported at once.
func (s *Settings) check() error {
	var all []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	bad(redisURL(s.RedisURL.Reveal()), "CARE_REDIS_URL: write redis://host:6379/0, rediss://…, redis-sentinel://h1,h2/master or redis-cluster://h1,h2")
	bad(address(s.Listen), "CARE_LISTEN: write host:port, such as 127.0.0.1:8080")
	for _, u := range s.ConsoleURL {
		bad(hasScheme(u, "http", "https"), "CARE_CONSOLE_URL: write https://host, such as https://care.dealer.example; with commas if there are several")
	}
	bad(s.PublicListen == "" || address(s.PublicListen), "CARE_PUBLIC_LISTEN: write host:port, such as 127.0.0.1:8081")
	bad(s.PublicURL == "" || publicURL(s.PublicURL), "CARE_PUBLIC_URL: write https://host without query; http is for this machine only")
	for i, key := range s.SecretKey {
		bad(!guessable(key.Reveal(), minKey), "CARE_SECRET_KEY: key %d can be guessed: it is shorter than %d characters, or well-known. `carebell token new-key` makes a good one", i+1, minKey)
	}
	bad(s.AddressKey.IsZero() || !guessable(s.AddressKey.Reveal(), minKey), "CARE_ADDRESS_KEY can be guessed: it is shorter than %d characters, or well-known. `carebell token new-key` makes a good one", minKey)
	bad(s.ConsoleToken.IsZero() || !guessable(s.ConsoleToken.Reveal(), minToken), "CARE_CONSOLE_TOKEN can be guessed: it is shorter than %d characters, or well-known. `carebell token new-key` makes a good one", minToken)
	for i, u := range s.SMTP.URL {
		bad(hasScheme(u.Reveal(), "smtp", "smtps") || strings.HasPrefix(u.Reveal(), "smtp+unix:///"), "CARE_SMTP_URL: server %d: write smtp://host:25 or smtps://user:password@host:465; in a password write @ as %%40 and / as %%2F", i+1)
	}
	bad(s.SMTP.ReturnPath == "" || returnPath(s.SMTP.ReturnPath), "CARE_SMTP_RETURN_PATH: write one bare address with {id} once before the @, such as bounce+{id}@dealer.example")
	bad(s.Bounce.IMAP.URL.IsZero() || hasScheme(s.Bounce.IMAP.URL.Reveal(), "imap", "imaps"), "CARE_BOUNCE_IMAP_URL: write imaps://user:password@host:993/Folder; in a password write @ as %%40 and / as %%2F")
	bad(s.SMS.URL == "" || hasScheme(s.SMS.URL, "http", "https"), "CARE_SMS_URL: write http://… or https://…")
	bad(s.SMS.Gateway != "kannel" || s.SMS.URL != "", "CARE_SMS_GATEWAY=kannel needs CARE_SMS_URL, such as http://127.0.0.1:13013/cgi-bin/sendsms")
	if _, err := s.SMS.Routes(); err != nil {
		all = append(all, err)
	}
	bad(s.Webhook.URL.IsZero() || hasScheme(s.Webhook.URL.Reveal(), "http", "https"), "CARE_WEBHOOK_URL: write https://…")
	bad(!s.Webhook.Events || !s.Webhook.URL.IsZero(), "CARE_WEBHOOK_EVENTS needs CARE_WEBHOOK_URL")
	none := s.DKIM.Domain == "" && s.DKIM.Selector == "" && s.DKIM.Key.IsZero()
	whole := s.DKIM.Domain != "" && s.DKIM.Selector != "" && !s.DKIM.Key.IsZero()
	bad(none || whole, "CARE_DKIM_DOMAIN, CARE_DKIM_SELECTOR and CARE_DKIM_KEY go together: set all three or none")
	for name, n := range map[string]int{"SMTP": s.SMTP.Connections, "SMS": s.SMS.Connections, "WEBHOOK": s.Webhook.Connections} {
		bad(n >= 1 && n <= 1000, "CARE_%s_CONNECTIONS: write a number from 1 to 1000", name)
	}
	for name, r := range map[string]float64{"SMTP": s.SMTP.Rate, "SMS": s.SMS.Rate, "WEBHOOK": s.Webhook.Rate} {
		bad(r >= 0 && r < 1e9, "CARE_%s_RATE: write messages per second, or 0 for no limit", name)
	}
	for domain, n := range s.SMTP.DomainConnections {
		bad(n == math.Trunc(n) && n <= 1000, "CARE_SMTP_DOMAIN_CONNECTIONS: %s: write a number from 1 to 1000", domain)
	}
	bad(cronSpec(s.Sweep), "CARE_SWEEP: write five cron fields or @every 15m")
	bad(s.Lease >= Duration(time.Second) && s.Lease <= Duration(time.Hour), "CARE_LEASE: write a span from 1s to 1h")
	bad(s.Retention >= Duration(24*time.Hour), "CARE_RETENTION: write at least 1d")
	bad(s.RedirectEmail == "" || isEmail(s.RedirectEmail), "CARE_REDIRECT_EMAIL: write one bare e-mail address")
	bad(s.RedirectPhone == "" || isPhone(s.RedirectPhone), "CARE_REDIRECT_PHONE: write one number with + and country code")
	bad(s.LogFormat == "text" || s.LogFormat == "json", "CARE_LOG_FORMAT: write text or json")
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(all...)
}

// ForServe holds what the daemon needs besides: a book, and nothing private in the open. Every fault is a Mistake.
func (s *Settings) ForServe() error {
	var all []error
	if s.Book == "" {
		all = append(all, errors.New("CARE_BOOK is not set: `carebell init DIR` writes a book to start from, then set CARE_BOOK=DIR"))
	}
	if !loopback(s.Listen) && s.ConsoleToken.IsZero() {
		all = append(all, errors.New("CARE_LISTEN is open to other machines: set CARE_CONSOLE_TOKEN (or …_FILE), or listen on 127.0.0.1"))
	}
	// A public URL without a listener is fine: another replica may serve the pages.
	if s.PublicListen != "" && s.PublicURL == "" {
		all = append(all, errors.New("CARE_PUBLIC_LISTEN needs CARE_PUBLIC_URL: what customers call the pages, such as https://care.dealer.example"))
	}
	if s.PublicURL != "" && len(s.SecretKey) == 0 {
		all = append(all, errors.New("CARE_PUBLIC_URL needs CARE_SECRET_KEY (or …_FILE), which signs the links: `carebell token new-key` makes one"))
	}
	return AsMistake(errors.Join(all...))
}

func redisURL(raw string) bool {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return false
	}
	hosts, path, _ := strings.Cut(rest, "/")
	switch scheme {
	case "redis", "rediss":
		return hasScheme(raw, scheme)
	case "redis-sentinel":
		master, _, _ := strings.Cut(path, "?")
		return hosts != "" && master != ""
	case "redis-cluster":
		return hosts != ""
	}
	return false
}

func hasScheme(raw string, schemes ...string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Hostname() != "" && slices.Contains(schemes, u.Scheme)
}

func address(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n <= 65535
}

// loopback reports whether only this machine can reach the address. A name counts only if it is localhost: what others resolve
// to may change.
func loopback(s string) bool {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || strings.EqualFold(host, "localhost")
}

// publicURL reports whether one-click unsubscribe may point there: RFC 8058 wants https. Names that never leave this machine
// (RFC 6761: localhost, .test) may have http.
func publicURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	local := loopback(net.JoinHostPort(host, "0")) || strings.HasSuffix(host, ".test") || strings.HasSuffix(host, ".localhost")
	return u.Scheme == "https" || u.Scheme == "http" && local
}

// cronSpec reports whether robfig/cron takes the expression. Its parser panics on some, such as TZ=UTC without a blank.
func cronSpec(spec string) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	_, err := cron.ParseStandard(spec)
	return err == nil
}

// returnPath reports whether a bounce to it names its message: {id} stands for the id on the wire, at most 34 characters (RFC 5321
// section 4.5.3.1.1 bounds the local part to 64).
func returnPath(s string) bool {
	local, _, ok := strings.Cut(s, "@")
	return ok && strings.Count(local, "{id}") == 1 && strings.Count(s, "{id}") == 1 && isEmail(strings.Replace(s, "{id}", strings.Repeat("a", 34), 1))
}

func isEmail(s string) bool { _, ok := contact.Email(s); return ok }

func isPhone(s string) bool { _, ok := contact.Phone(s, ""); return ok }
