package daemon

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/mailbox"
	"github.com/carebell/carebell/channels/httpclient"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Finding is one line of doctor: what is well, or what is wrong and what to do.
type Finding struct {
	OK     bool
	What   string
	Remedy string
}

// dialTimeout is how long doctor waits for a server to take a connection.
const dialTimeout = 5 * time.Second

// Doctor looks at everything that a daemon with these settings depends on and tells what it finds, line by line. It sends nothing.
func (e *Env) Doctor(ctx context.Context, tell func(Finding)) {
	checked := e.doctorBook(tell)
	e.doctorRedis(ctx, tell)
	e.doctorClock(tell)
	e.doctorChannels(ctx, checked, tell)
	e.doctorLinks(tell)
	if checked != nil && e.Settings.DryRun {
		tell(Finding{OK: true, What: "CARE_DRY_RUN is on: nothing will be sent"})
	}
}

func (e *Env) doctorBook(tell func(Finding)) *carebook.Compiled {
	if e.Settings.Book == "" {
		tell(Finding{What: "no care book: CARE_BOOK is not set", Remedy: "run carebell init DIR, make dealers.yaml yours, and set CARE_BOOK=DIR"})
		return nil
	}
	checked, problems, err := carebook.Check(e.bookOptions(e.Settings.Book))
	if err != nil {
		tell(Finding{What: "the care book: " + carebook.FirstFault(problems, err).Error(), Remedy: "run carebell lint " + e.Settings.Book})
		return nil
	}
	tell(Finding{OK: true, What: fmt.Sprintf("the care book: %d dealers, %d programs, %d warnings", len(checked.Book.Dealers), len(checked.Book.Programs), len(problems))})
	return checked
}

func (e *Env) doctorRedis(ctx context.Context, tell func(Finding)) {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	st, err := e.open(ctx)
	if err != nil {
		tell(Finding{What: fmt.Sprintf("Redis: %v", err), Remedy: "check CARE_REDIS_URL, and that the server runs"})
		return
	}
	defer st.Close()
	for _, f := range st.Doctor(ctx) {
		tell(Finding{f.OK, "Redis: " + f.What, f.Remedy})
	}
	if n, err := st.Uncertain(ctx); err == nil && n > 0 {
		tell(Finding{What: fmt.Sprintf("%d messages are uncertain", n), Remedy: "look at carebell messages --state uncertain and decide with carebell messages resolve"})
	}
	e.doctorStops(ctx, st, tell)
}

func (e *Env) doctorStops(ctx context.Context, st *store.Store, tell func(Finding)) {
	stops, err := st.Stops(ctx)
	if err != nil {
		return
	}
	for _, s := range stops {
		switch {
		case strings.HasPrefix(s.Scope, "brake:"):
			name := strings.TrimPrefix(s.Scope, "brake:")
			dealer, program, _ := strings.Cut(name, "/")
			tell(Finding{
				What:   fmt.Sprintf("the brake holds %s: %d planned for a day, %.0f is usual", name, s.Planned, s.Usual),
				Remedy: fmt.Sprintf("if that is right: carebell resume --dealer %s --program %s", dealer, program),
			})
		case s.Scope == "restored":
			tell(Finding{
				What:   "Redis was found restored from a snapshot, or without its last writes, on " + s.At.Format(time.RFC3339) + ": nothing is sent",
				Remedy: "look at what was sent before that (the providers' lists, carebell messages), then run carebell resume --restored",
			})
		case !strings.HasPrefix(s.Scope, "go:"):
			tell(Finding{What: "paused: " + s.Scope, Remedy: "go on with carebell resume"})
		}
	}
}

// doctorClock compares the machine's clock with itself only: that it is set at all. How far it is from Redis' is told by Redis' own
// lines.
func (e *Env) doctorClock(tell func(Finding)) {
	now := e.Now()
	if now.Year() < 2026 {
		tell(Finding{What: "the clock says " + now.Format(time.DateOnly), Remedy: "set the clock (NTP): schedules, signatures and expiries depend on it"})
		return
	}
	tell(Finding{OK: true, What: "the clock says " + now.Format(time.RFC3339)})
}

func (e *Env) doctorChannels(ctx context.Context, checked *carebook.Compiled, tell func(Finding)) {
	set := e.Settings
	if len(set.SMTP.URL) == 0 && set.SMS.Gateway == "" && set.SMS.Accounts.IsZero() && set.Webhook.URL.IsZero() {
		tell(Finding{What: "no channel is set up", Remedy: "set CARE_SMTP_URL, CARE_SMS_GATEWAY or CARE_WEBHOOK_URL"})
	}
	if len(set.SMTP.URL) > 0 {
		servers, err := email.ParseServers(strings.Join(reveal(set.SMTP.URL), ","))
		if err != nil {
			tell(Finding{What: "CARE_SMTP_URL: " + err.Error(), Remedy: "write smtp://user:password@host:587"}) //nolint:gosec // an example, no password
		}
		for _, s := range servers {
			tell(reach(ctx, "mail server", s.Address()))
		}
	}
	e.doctorPostbox(ctx, tell)
	gateways, err := e.gateways()
	if err != nil {
		tell(Finding{What: err.Error(), Remedy: "mend the list"})
	}
	for _, g := range gateways {
		if g.URL != "" {
			tell(reachURL(ctx, "SMS gateway "+g.Name, g.URL))
		}
		if checked != nil {
			doctorGateway(checked, g, tell)
		}
	}
	if !set.Webhook.URL.IsZero() {
		tell(reachURL(ctx, "webhook endpoint", set.Webhook.URL.Reveal()))
	}
	e.doctorSenders(checked, len(gateways) > 0, tell)
	for _, to := range []struct {
		ch   care.Channel
		name string
	}{{care.Email, set.RedirectEmail}, {care.SMS, set.RedirectPhone}} {
		if to.name != "" {
			tell(Finding{OK: true, What: "every " + string(to.ch) + " is redirected to one address"})
		}
	}
}

// doctorGateway holds an account against the book: its dealers, and the approved templates that it needs.
func doctorGateway(c *carebook.Compiled, g sms.Gateway, tell func(Finding)) {
	for _, name := range g.Dealers {
		if c.Book.Dealer(name) == nil {
			tell(Finding{What: fmt.Sprintf("SMS gateway %s is for the dealer %s, whom the book does not have", g.Name, name), Remedy: "mend its dealers in CARE_SMS_ACCOUNTS"})
		}
	}
	rules, known := sms.Approvals(c.Book.Files, c.Book.Decode)[g.Driver]
	if !known || rules.Plain {
		return
	}
	lacking := c.Templates.WithoutCode(g.Name, g.Driver)
	if n := len(lacking); n > 0 {
		tell(Finding{
			What:   fmt.Sprintf("SMS gateway %s sends approved templates only, and %d texts have none: %s", g.Name, n, some(lacking, 5)),
			Remedy: "add their codes under gateway: in these files (docs/gateways.md), or have a gateway that takes plain text behind it",
		})
	}
}

// some lists the first few of many.
func some(all []string, n int) string {
	if len(all) <= n {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:n], ", ") + fmt.Sprintf(" and %d more", len(all)-n)
}

// doctorSenders sets the channels up as serve would, and takes them down again. Without a book the gateways' files are not known.
func (e *Env) doctorSenders(checked *carebook.Compiled, gateways bool, tell func(Finding)) {
	if checked == nil && gateways {
		return
	}
	var files fs.FS
	if checked != nil {
		files = checked.Book.Files
	}
	s, err := e.newSenders(files)
	if err == nil {
		err = s.close()
	}
	if err != nil {
		tell(Finding{What: err.Error(), Remedy: "mend the setting it names"})
	}
}

// doctorPostbox logs in where returned mail is fetched from. It reads no mail.
func (e *Env) doctorPostbox(ctx context.Context, tell func(Finding)) {
	set := e.Settings.Bounce.IMAP
	if set.URL.IsZero() {
		return
	}
	box, err := mailbox.ParseIMAP(set.URL.Reveal())
	if err != nil {
		tell(Finding{What: "CARE_BOUNCE_IMAP_URL: " + err.Error(), Remedy: "write imaps://user:password@host:993/Folder"}) //nolint:gosec // an example, no password
		return
	}
	box.Timeout = dialTimeout
	waiting, err := box.Check(ctx)
	if err != nil {
		tell(Finding{What: "the mailbox of returned mail: " + err.Error(), Remedy: "mend CARE_BOUNCE_IMAP_URL"})
		return
	}
	tell(Finding{OK: true, What: fmt.Sprintf("the mailbox of returned mail, %s, lets us in: %d mails are waiting", box, waiting)})
}

// reachURL tries an endpoint as its channel would: directly, or through the proxy that the environment names. It names the hosts only: the
// rest of an endpoint's URL, and a proxy's, may be a secret.
func reachURL(ctx context.Context, what, raw string) Finding {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return Finding{What: what + ": its URL cannot be read", Remedy: "write http(s)://host/path"}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	what += " " + net.JoinHostPort(u.Hostname(), port)
	via, err := httpclient.Probe(ctx, u)
	switch {
	case via == "" && err != nil:
		return Finding{What: what + " does not answer", Remedy: "check the address, the port and the firewall; behind a proxy set HTTPS_PROXY and HTTP_PROXY"}
	case via == "":
		return Finding{OK: true, What: what + " answers"}
	case err != nil:
		return Finding{
			What:   fmt.Sprintf("%s cannot be reached through the proxy %s: %v", what, via, err),
			Remedy: "check HTTPS_PROXY and HTTP_PROXY, let the proxy pass this host, or name the host in NO_PROXY",
		}
	case u.Scheme == "http":
		return Finding{OK: true, What: what + " is asked through the proxy " + via + ", which answers"}
	}
	return Finding{OK: true, What: what + " answers through the proxy " + via}
}

func reach(ctx context.Context, what, address string) Finding {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return Finding{What: fmt.Sprintf("%s %s does not answer", what, address), Remedy: "check the address, the port and the firewall"}
	}
	_ = conn.Close()
	return Finding{OK: true, What: what + " " + address + " answers"}
}

func (e *Env) doctorLinks(tell func(Finding)) {
	set := e.Settings
	switch {
	case set.PublicURL == "":
		tell(Finding{What: "no CARE_PUBLIC_URL: mails carry no unsubscribe link", Remedy: "set CARE_PUBLIC_URL, CARE_PUBLIC_LISTEN and CARE_SECRET_KEY; mail providers ask bulk senders for one-click unsubscribe (RFC 8058)"})
	case !strings.HasPrefix(set.PublicURL, "https://"):
		tell(Finding{What: "CARE_PUBLIC_URL is not https", Remedy: "one-click unsubscribe needs https (RFC 8058 section 3.1)"})
	default:
		tell(Finding{OK: true, What: "links go to " + set.PublicURL})
	}
	for _, c := range e.Callbacks() {
		shown, _, hidden := strings.Cut(c.URL, "?")
		what := "the " + c.From + " is to call " + shown
		if hidden || c.Secret != "" {
			what += " with its secret (carebell doctor --show-callbacks prints it)"
		}
		tell(Finding{OK: true, What: what})
	}
}
