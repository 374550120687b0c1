package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/channels/webhook"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/config/yaml"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/service/feedback"
	"github.com/wneessen/go-mail"
)

// senders are the channels that the settings set up.
type senders struct {
	byChannel map[care.Channel]delivery.Sender
	gateways  map[care.Channel][]delivery.Gateway // with limits of their own
	sms       *sms.Sender                         // nil = no gateway; it reads the gateways' callbacks too
	files     map[string]string                   // what the SMS gateways' files said, by the gateway's name
	closers   map[care.Channel]io.Closer
}

func (s *senders) add(ch care.Channel, sender interface {
	delivery.Sender
	io.Closer
},
) {
	s.byChannel[ch] = sender
	s.closers[ch] = sender
}

// close ends every connection; nothing may be sent after it.
func (s *senders) close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// has reports whether the channel is set up, for the plan's no_channel gate. Without any channel (a command that only plans)
// everything counts as set up.
func (s *senders) has(ch care.Channel) bool { return s.byChannel[ch] != nil }

// reaches reports whether the channel is set up for an address of a dealer's customer: with several SMS gateways some number may be
// nobody's.
func (s *senders) reaches(ch care.Channel, dealer *care.Dealer, address string) bool {
	if ch == care.SMS && s.sms != nil {
		return s.sms.Accepts(address, dealer.Country, dealer.Dealer)
	}
	return ch == care.Task || s.has(ch)
}

// newSenders builds the channels. book is where gateway files are.
func (e *Env) newSenders(book fs.FS) (*senders, error) {
	s := &senders{
		byChannel: map[care.Channel]delivery.Sender{}, gateways: map[care.Channel][]delivery.Gateway{}, closers: map[care.Channel]io.Closer{},
	}
	for _, build := range []func(*senders, fs.FS) error{e.addEmail, e.addSMS, e.addWebhook} {
		if err := build(s, book); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	e.redirect(s)
	return s, nil
}

func (e *Env) addEmail(s *senders, _ fs.FS) error {
	set := e.Settings
	if len(set.SMTP.URL) == 0 {
		return nil
	}
	servers, err := email.ParseServers(strings.Join(reveal(set.SMTP.URL), ","))
	if err != nil {
		return fmt.Errorf("CARE_SMTP_URL: %w", err)
	}
	cfg := email.Config{Servers: servers, Connections: set.SMTP.Connections, ReturnPath: set.SMTP.ReturnPath, HELO: set.SMTP.HELO, Clock: e.Now}
	if cfg.Tokens, err = feedback.Tokens(set.SMTP.Token, e.Now); err != nil {
		return fmt.Errorf("CARE_SMTP_TOKEN_…: %w", err)
	}
	if keys := set.ReportKeys(); len(keys) > 0 {
		cfg.Proofs = email.NewProofs(keys...)
	}
	if !set.DKIM.Key.IsZero() {
		key, err := mail.PrivKeyFromPEM([]byte(set.DKIM.Key.Reveal()))
		if err != nil {
			return errors.New("CARE_DKIM_KEY is no private key in PEM (RSA or Ed25519)")
		}
		cfg.DKIM = []email.DKIM{{Domain: set.DKIM.Domain, Selector: set.DKIM.Selector, Key: key}}
	}
	sender, err := email.New(cfg)
	if err != nil {
		return err
	}
	for _, server := range servers {
		s.gateways[care.Email] = append(s.gateways[care.Email], delivery.Gateway{
			Name: server.Name, Connections: server.Connections, Rate: server.Rate,
		})
	}
	s.add(care.Email, sender)
	return nil
}

func (e *Env) addSMS(s *senders, book fs.FS) error {
	gateways, err := e.gateways()
	if err != nil || len(gateways) == 0 {
		return err
	}
	s.files = gatewayFiles(book, gateways)
	sender, err := sms.New(sms.Config{
		Gateways: gateways, Files: book, Decode: yaml.Decode, PublicURL: e.Settings.PublicURL, Secrets: e.Settings.CallbackKeys(),
		Connections: e.Settings.SMS.Connections, Clock: e.Now,
	})
	if err != nil {
		return err
	}
	accounts, err := e.Settings.SMS.Routes()
	if err != nil {
		return err
	}
	for i, a := range accounts {
		s.gateways[care.SMS] = append(s.gateways[care.SMS], delivery.Gateway{Name: gateways[i].Name, Connections: a.Connections, Rate: a.Rate})
	}
	s.sms = sender
	s.add(care.SMS, sender)
	return nil
}

// gatewayFiles reads the files of the gateways that have one, by the gateway's name. What cannot be read sms.New complains of.
func gatewayFiles(book fs.FS, gateways []sms.Gateway) map[string]string {
	files := map[string]string{}
	for _, g := range gateways {
		driver := cmp.Or(g.Driver, g.Name)
		if book == nil || sms.BuiltIn(driver) {
			continue
		}
		if raw, err := fs.ReadFile(book, "gateways/"+driver+".yaml"); err == nil {
			files[g.Name] = string(raw)
		}
	}
	return files
}

// reopenChannels builds what depends on the book's files anew: the SMS gateways, if a file of theirs has changed. Everything that can
// fail has been done then, and swap puts it in force: gateways that are as they were keep their connections, the others are closed when
// the last message through them has an outcome. Other channels depend on the settings only.
func (d *Daemon) reopenChannels(book fs.FS) (swap func(), err error) {
	old := d.channels.Load()
	if old.sms == nil {
		return func() {}, nil
	}
	gateways, err := d.env.gateways()
	if err != nil {
		return nil, err
	}
	if maps.Equal(old.files, gatewayFiles(book, gateways)) {
		return func() {}, nil
	}
	next := &senders{byChannel: maps.Clone(old.byChannel), gateways: maps.Clone(old.gateways), closers: maps.Clone(old.closers)}
	delete(next.gateways, care.SMS)
	if err := d.env.addSMS(next, book); err != nil {
		return nil, fmt.Errorf("the SMS gateways: %w", err)
	}
	if err := next.sms.TakeOver(old.sms, func(name string) bool { return old.files[name] == next.files[name] }); err != nil {
		d.log.Warn("the SMS gateways", slog.Any("error", err))
	}
	d.env.redirectOne(next, care.SMS)
	return func() {
		d.channels.Store(next)
		d.log.Info("the SMS gateways' files are in force")
		d.engine.Replace(care.SMS, d.wrap.sender(next.byChannel[care.SMS]), next.gateways[care.SMS], func() {
			if err := next.sms.CloseReplaced(old.sms); err != nil {
				d.log.Warn("an SMS gateway's connections could not be closed", slog.Any("error", err))
			}
		})
	}, nil
}

// gateways are the SMS gateways of the settings: the first that is meant for a number sends.
func (e *Env) gateways() ([]sms.Gateway, error) {
	accounts, err := e.Settings.SMS.Routes()
	if err != nil {
		return nil, err
	}
	out := make([]sms.Gateway, len(accounts))
	for i, a := range accounts {
		out[i] = sms.Gateway{
			Name: a.Name, Driver: a.Gateway, URL: a.URL, User: a.User, Password: a.Password, From: a.From, Region: a.Region,
			Countries: a.Countries, Prefixes: a.Prefixes, Dealers: a.Dealers, Connections: a.Connections,
		}
	}
	return out, nil
}

func (e *Env) addWebhook(s *senders, _ fs.FS) error {
	set := e.Settings.Webhook
	if set.URL.IsZero() {
		return nil
	}
	sender, err := webhook.New(webhook.Config{
		URL: set.URL.Reveal(), Secrets: reveal(set.Secret), AllowHosts: set.AllowHosts, Connections: set.Connections, Clock: e.Now,
	})
	if err != nil {
		return err
	}
	s.gateways[care.Webhook] = []delivery.Gateway{{Name: string(care.Webhook)}}
	s.add(care.Webhook, sender)
	return nil
}

// domains are the limits of the domains that mail goes to.
func (e *Env) domains() delivery.Domains {
	d := delivery.Domains{Rates: e.Settings.SMTP.DomainRate, Connections: map[string]int{}}
	for name, n := range e.Settings.SMTP.DomainConnections {
		d.Connections[name] = int(n)
	}
	return d
}

func reveal(secrets config.Secrets) []string {
	out := make([]string, len(secrets))
	for i, s := range secrets {
		out[i] = s.Reveal()
	}
	return out
}

// redirect puts the safe first day's one address over the channels that reach people.
func (e *Env) redirect(s *senders) {
	e.redirectOne(s, care.Email)
	e.redirectOne(s, care.SMS)
}

func (e *Env) redirectOne(s *senders, ch care.Channel) {
	to := e.Settings.RedirectEmail
	if ch == care.SMS {
		to = e.Settings.RedirectPhone
	}
	if to != "" && s.byChannel[ch] != nil {
		s.byChannel[ch] = redirected{s.byChannel[ch], to}
	}
}

// trialStops adds to the operator's stops the channels that a redirect leaves alone: while one channel is tried out, no customer and no
// system is reached by the others.
func (e *Env) trialStops(read func(context.Context) (*care.Operator, error)) func(context.Context) (*care.Operator, error) {
	if e.Settings.Trial() == "" || e.Settings.DryRun { // a dry run sends nothing by any
		return read
	}
	to := e.redirects()
	return func(ctx context.Context) (*care.Operator, error) {
		op, err := read(ctx)
		if err != nil {
			return nil, err
		}
		held := *op
		held.Channels = map[care.Channel]bool{}
		maps.Copy(held.Channels, op.Channels)
		for _, ch := range care.Channels {
			if to[ch] == "" {
				held.Channels[ch] = true
			}
		}
		return &held, nil
	}
}

// redirected sends everything to one address. The message itself stays what the customer would have got, under an id of its own: who drops a
// second copy by its id must not drop the real one later.
type redirected struct {
	next delivery.Sender
	to   string
}

// Send sends the message under the redirect's address.
func (r redirected) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	copied := *m
	copied.To, copied.ToName, copied.Unsubscribe = r.to, "", ""
	copied.ID = care.OccurrenceID(m.Customer, m.Vehicle, m.Program, m.Step, "trial "+m.ID)
	receipt, err := r.next.Send(ctx, &copied)
	if e, ok := errors.AsType[*care.Error](err); ok && (e.Kind == care.KindRecipient || e.Kind == care.KindOptedOut) {
		// It is the redirect's address that is dead, or wants nothing: no customer's may be suppressed for it.
		return receipt, &care.Error{
			Kind: care.KindOperator, Code: e.Code, Tries: e.Tries, Reached: e.Reached,
			Err: errors.New("the address of CARE_REDIRECT_EMAIL or CARE_REDIRECT_PHONE is refused: mend it"),
		}
	}
	return receipt, err
}

// Route names the gateway for the redirect's address.
func (r redirected) Route(m *care.Message, open func(gateway string) bool) string {
	router, ok := r.next.(delivery.Router)
	if !ok {
		return ""
	}
	copied := *m
	copied.To = r.to
	return router.Route(&copied, open)
}

func channelNames(senders map[care.Channel]delivery.Sender) string {
	var names []string
	for _, ch := range care.Channels {
		if senders[ch] != nil {
			names = append(names, string(ch))
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}
