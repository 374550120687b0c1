package operate

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/mailbox"
	"github.com/carebell/carebell/channels/email/records"
	"github.com/carebell/carebell/channels/httpclient"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/store"
)

// Doctor looks at everything that a daemon with these settings depends on. It sends nothing.
type Doctor struct {
	Settings *config.Settings
	Now      func() time.Time
	Store    *store.Store
	StoreErr error // why there is no store
	Gateways func() ([]sms.Gateway, error)
	Senders  OpenSenders
	Words    *texts.Language  // of what is said of mail and balances; nil = English
	Resolver records.Resolver // of DNS; nil = the machine's
}

func (d *Doctor) resolver() records.Resolver {
	if d.Resolver == nil {
		return net.DefaultResolver
	}
	return d.Resolver
}

func (d *Doctor) words() *texts.Language {
	if d.Words == nil {
		return texts.For("")
	}
	return d.Words
}

// DialTimeout is how long a doctor waits for a server to take a connection.
const DialTimeout = 5 * time.Second

// Run tells what it finds, line by line.
func (d *Doctor) Run(ctx context.Context, tell func(store.Finding)) {
	book := d.book(tell)
	d.redis(ctx, tell)
	d.clock(ctx, tell)
	d.channels(ctx, book, tell)
	d.links(tell)
	if book != nil && d.Settings.DryRun {
		tell(store.Finding{OK: true, What: "CARE_DRY_RUN is on: nothing will be sent"})
	}
}

func (d *Doctor) book(tell func(store.Finding)) *carebook.Compiled {
	if d.Settings.Book == "" {
		tell(store.Finding{What: "no care book: CARE_BOOK is not set", Remedy: "run carebell init DIR, make dealers.yaml yours, and set CARE_BOOK=DIR"})
		return nil
	}
	book, problems, err := carebook.Check(carebook.FromSettings(d.Settings, d.Settings.Book, d.Now))
	if err != nil {
		tell(store.Finding{What: "the care book: " + carebook.FirstFault(problems, err).Error(), Remedy: "run carebell lint " + d.Settings.Book})
		return nil
	}
	tell(store.Finding{OK: true, What: fmt.Sprintf("the care book: %d dealers, %d programs, %d warnings", len(book.Book.Dealers), len(book.Book.Programs), len(problems))})
	return book
}

func (d *Doctor) redis(ctx context.Context, tell func(store.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, 2*DialTimeout)
	defer cancel()
	if d.Store == nil {
		tell(store.Finding{What: fmt.Sprintf("Redis: %v", d.StoreErr), Remedy: "check CARE_REDIS_URL, and that the server runs"})
		return
	}
	for _, f := range d.Store.Doctor(ctx) {
		f.What = "Redis: " + f.What
		tell(f)
	}
	if n, err := d.Store.Uncertain(ctx); err == nil && n > 0 {
		tell(store.Finding{What: fmt.Sprintf("%d messages are uncertain", n), Remedy: "look at carebell messages --state uncertain and decide with carebell messages resolve"})
	}
	d.stops(ctx, tell)
}

func (d *Doctor) stops(ctx context.Context, tell func(store.Finding)) {
	stops, err := d.Store.Stops(ctx)
	if err != nil {
		return
	}
	for _, s := range stops {
		switch {
		case strings.HasPrefix(s.Scope, "brake:"):
			name := strings.TrimPrefix(s.Scope, "brake:")
			dealer, program, _ := strings.Cut(name, "/")
			tell(store.Finding{
				What:   fmt.Sprintf("the brake holds %d messages of %s: %d planned for a day, %d may go", s.Held, name, s.Planned, s.Allowed),
				Remedy: fmt.Sprintf("if that is right: carebell resume --dealer %s --program %s", dealer, program),
			})
		case s.Scope == "restored":
			tell(store.Finding{
				What:   "Redis was found restored from a snapshot, or without its last writes, on " + s.At.Format(time.RFC3339) + ": nothing is sent",
				Remedy: "look at what was sent before that (the providers' lists, carebell messages), then run carebell resume --restored",
			})
		case !strings.HasPrefix(s.Scope, "go:"):
			what := fmt.Sprintf("paused: %s, by %s at %s", s.Scope, cmp.Or(s.By, "carebell"), s.At.Format(time.RFC3339))
			if s.Reason != "" {
				what += ": " + s.Reason
			}
			tell(store.Finding{What: what, Remedy: "go on with carebell resume" + resumeFlags(s.Scope)})
		}
	}
}

// resumeFlags are those of carebell resume that lift one scope.
func resumeFlags(scope string) string {
	kind, name, found := strings.Cut(scope, ":")
	if !found {
		return ""
	}
	return " --" + kind + " " + name
}

// clockSaid is how far the machine's clock may be from Redis'.
const clockSaid = 2 * time.Second

// clock looks whether the machine's clock is set at all, and how far it is from Redis'.
func (d *Doctor) clock(ctx context.Context, tell func(store.Finding)) {
	now := d.Now()
	if now.Year() < 2026 {
		tell(store.Finding{What: "the clock says " + now.Format(time.DateOnly), Remedy: "set the clock (NTP): schedules, signatures and expiries depend on it"})
		return
	}
	if d.Store != nil {
		asked := d.Now()
		there, err := d.Store.Time(ctx)
		now = d.Now()
		if off := now.Sub(there); err == nil && now.Sub(asked) < clockSaid && off.Abs() > clockSaid {
			tell(store.Finding{
				What:   fmt.Sprintf("the clock says %s, Redis' says %s", now.Format(time.RFC3339), there.In(now.Location()).Format(time.RFC3339)),
				Remedy: "set the wrong one right (NTP): messages would go too early or too late, and from 30 s on a replica sends nothing",
			})
			return
		}
	}
	tell(store.Finding{OK: true, What: "the clock says " + now.Format(time.RFC3339)})
}

func (d *Doctor) channels(ctx context.Context, book *carebook.Compiled, tell func(store.Finding)) {
	set := d.Settings
	if len(set.SMTP.URL) == 0 && set.SMS.Gateway == "" && set.SMS.Accounts.IsZero() && set.Webhook.URL.IsZero() {
		tell(store.Finding{What: "no channel is set up", Remedy: "set CARE_SMTP_URL, CARE_SMS_GATEWAY or CARE_WEBHOOK_URL"})
	}
	var servers []email.Server
	if len(set.SMTP.URL) > 0 {
		var err error
		servers, err = email.ParseServers(strings.Join(revealed(set.SMTP.URL), ","))
		if err != nil {
			tell(store.Finding{What: "CARE_SMTP_URL: " + err.Error(), Remedy: "write smtp://user:password@host:587"}) //nolint:gosec // an example, no password
		}
	}
	d.mailbox(ctx, tell)
	gateways, err := d.Gateways()
	if err != nil {
		tell(store.Finding{What: err.Error(), Remedy: "mend the list"})
	}
	for _, g := range gateways {
		if g.URL != "" {
			tell(reachURL(ctx, "SMS gateway "+g.Name, g.URL))
		}
		if book != nil {
			gateway(book, g, tell)
		}
	}
	if !set.Webhook.URL.IsZero() {
		tell(reachURL(ctx, "webhook endpoint", set.Webhook.URL.Reveal()))
	}
	d.senders(ctx, book, servers, len(gateways) > 0, tell)
	for _, to := range []struct {
		ch   care.Channel
		name string
	}{{care.Email, set.RedirectEmail}, {care.SMS, set.RedirectPhone}} {
		if to.name != "" {
			tell(store.Finding{OK: true, What: "every " + string(to.ch) + " is redirected to one address"})
		}
	}
}

// gateway holds an account against the book: its dealers, and the approved templates that it needs.
func gateway(book *carebook.Compiled, g sms.Gateway, tell func(store.Finding)) {
	for _, name := range g.Dealers {
		if book.Book.Dealer(name) == nil {
			tell(store.Finding{What: fmt.Sprintf("SMS gateway %s is for the dealer %s, whom the book does not have", g.Name, name), Remedy: "mend its dealers in CARE_SMS_ACCOUNTS"})
		}
	}
	rules, known := sms.Approvals(book.Book.Files, book.Book.Decode)[g.Driver]
	if !known || rules.Plain {
		return
	}
	lacking := book.Templates.WithoutCode(g.Name, g.Driver)
	if n := len(lacking); n > 0 {
		tell(store.Finding{
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

// senders sets the channels up as serve would, and takes them down again. Without a book the gateways' files are not known.
func (d *Doctor) senders(ctx context.Context, book *carebook.Compiled, servers []email.Server, gateways bool, tell func(store.Finding)) {
	if book == nil && gateways {
		d.reach(ctx, servers, tell)
		return
	}
	var files fs.FS
	if book != nil {
		files = book.Book.Files
	}
	s, err := d.Senders(files)
	if err == nil {
		if mails, ok := s.ByChannel[care.Email].(*email.Sender); ok && book != nil {
			d.mail(ctx, book, mails, servers, tell)
		} else {
			d.reach(ctx, servers, tell)
		}
		if texts, ok := s.ByChannel[care.SMS].(*sms.Sender); ok {
			d.balances(ctx, texts, tell)
		}
		err = s.Close()
	}
	if err != nil {
		tell(store.Finding{What: err.Error(), Remedy: "mend the setting it names"})
	}
}

// balances says what SMS accounts are worth, where their gateways can be asked.
func (d *Doctor) balances(ctx context.Context, s *sms.Sender, tell func(store.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, 2*DialTimeout)
	defer cancel()
	for _, b := range s.Balances(ctx) {
		worth := strconv.FormatFloat(b.Value, 'f', -1, 64)
		switch {
		case b.Err != nil:
			tell(store.Finding{What: d.words().T("doctor.balance.unknown", "gateway", b.Gateway, "why", b.Err), Remedy: d.words().T("doctor.balance.unknown.remedy")})
		case b.Value < b.Low:
			tell(store.Finding{What: d.words().T("doctor.balance.low", "gateway", b.Gateway, "value", worth, "low", b.Low), Remedy: d.words().T("doctor.balance.low.remedy")})
		default:
			tell(store.Finding{OK: true, What: d.words().T("doctor.balance.ok", "gateway", b.Gateway, "value", worth)})
		}
	}
}

// mailbox logs in where returned mail is fetched from. It reads no mail.
func (d *Doctor) mailbox(ctx context.Context, tell func(store.Finding)) {
	set := d.Settings.Bounce.IMAP
	if set.URL.IsZero() {
		return
	}
	tokens, err := feedback.Tokens(set.Token, d.Now)
	if err != nil {
		tell(store.Finding{What: "CARE_BOUNCE_IMAP_TOKEN_…: " + err.Error(), Remedy: "mend the setting it names"})
		return
	}
	box, err := mailbox.ParseIMAP(set.URL.Reveal(), tokens)
	if err != nil {
		tell(store.Finding{What: "CARE_BOUNCE_IMAP_URL: " + err.Error(), Remedy: "write imaps://user:password@host:993/Folder"}) //nolint:gosec // an example, no password
		return
	}
	box.Timeout = DialTimeout
	waiting, err := box.Check(ctx)
	if err != nil {
		tell(store.Finding{What: "the mailbox of returned mail: " + err.Error(), Remedy: "mend CARE_BOUNCE_IMAP_URL"})
		return
	}
	tell(store.Finding{OK: true, What: fmt.Sprintf("the mailbox of returned mail, %s, lets us in: %d mails are waiting", box, waiting)})
}

// reachURL tries an endpoint as its channel would: directly, or through the proxy that the environment names. It names the hosts only: the
// rest of an endpoint's URL, and a proxy's, may be a secret.
func reachURL(ctx context.Context, what, raw string) store.Finding {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return store.Finding{What: what + ": its URL cannot be read", Remedy: "write http(s)://host/path"}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	what += " " + net.JoinHostPort(u.Hostname(), port)
	via, err := httpclient.Probe(ctx, u)
	switch {
	case via == "" && err != nil:
		return store.Finding{What: what + " does not answer", Remedy: "check the address, the port and the firewall; behind a proxy set HTTPS_PROXY and HTTP_PROXY"}
	case via == "":
		return store.Finding{OK: true, What: what + " answers"}
	case err != nil:
		return store.Finding{
			What:   fmt.Sprintf("%s cannot be reached through the proxy %s: %v", what, via, err),
			Remedy: "check HTTPS_PROXY and HTTP_PROXY, let the proxy pass this host, or name the host in NO_PROXY",
		}
	case u.Scheme == "http":
		return store.Finding{OK: true, What: what + " is asked through the proxy " + via + ", which answers"}
	}
	return store.Finding{OK: true, What: what + " answers through the proxy " + via}
}

// reach opens a connection to each mail server, where no dialogue can be tried.
func (d *Doctor) reach(ctx context.Context, servers []email.Server, tell func(store.Finding)) {
	for _, s := range servers {
		ctx, cancel := context.WithTimeout(ctx, DialTimeout)
		conn, err := (&net.Dialer{}).DialContext(ctx, s.Network(), s.Address())
		cancel()
		if err != nil {
			tell(store.Finding{What: fmt.Sprintf("mail server %s does not answer", s.Address()), Remedy: "check the address, the port and the firewall"})
			continue
		}
		_ = conn.Close()
		tell(store.Finding{OK: true, What: "mail server " + s.Address() + " answers"})
	}
}

func (d *Doctor) links(tell func(store.Finding)) {
	set := d.Settings
	switch {
	case set.PublicURL == "":
		tell(store.Finding{What: "no CARE_PUBLIC_URL: mails carry no unsubscribe link", Remedy: "set CARE_PUBLIC_URL, CARE_PUBLIC_LISTEN and CARE_SECRET_KEY; mail providers ask bulk senders for one-click unsubscribe (RFC 8058)"})
	case !strings.HasPrefix(set.PublicURL, "https://"):
		tell(store.Finding{What: "CARE_PUBLIC_URL is not https", Remedy: "one-click unsubscribe needs https (RFC 8058 section 3.1)"})
	default:
		tell(store.Finding{OK: true, What: "links go to " + set.PublicURL})
	}
}

func revealed(secrets config.Secrets) []string {
	out := make([]string, len(secrets))
	for i, s := range secrets {
		out[i] = s.Reveal()
	}
	return out
}
