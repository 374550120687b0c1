package sms

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/httpclient"
)

// Gateway is one gateway with its account, and what it is for.
type Gateway struct {
	// Name is the account's: under it go callbacks, receipts, attempts and approved templates of its own.
	Name string
	// Driver is kannel, twilio, vonage, aliyun, tencent, or a file of the book's gateways folder; "" = the one called Name. Several
	// accounts may have the same.
	Driver   string
	URL      string // where it is; "" = the provider's own (kannel has none)
	User     string // Kannel: username; Twilio: Account SID; Vonage: api_key; Aliyun: AccessKeyId; Tencent: SecretId
	Password string // the secret that goes with it
	// From is the sender's number or name. Twilio: or a Messaging Service SID (MG…). Tencent: the SmsSdkAppId.
	From   string
	Region string // Tencent: ap-guangzhou unless set
	// Countries, Prefixes and Dealers limit what the gateway is used for; empty = everything. Countries are ISO 3166-1 alpha-2
	// codes of the recipient's dealer, prefixes begin an E.164 number ("+86139" for an operator's range).
	Countries, Prefixes, Dealers []string
	Connections                  int // 0 = Config.Connections
}

// Config lists the gateways. Gateways and Clock are required.
type Config struct {
	Gateways []Gateway // the first that fits sends; the next ones stand in when it cannot
	Files    fs.FS     // the care book's folder, for gateway files; nil = none
	// Decode reads gateway files; it goes with Files.
	Decode care.FileDecoder
	// PublicURL is where gateways can call us; "" = no receipts are asked for.
	PublicURL string
	// Secrets make the tokens in callback URLs of gateways that do not sign: the first is given out, those of all are taken.
	Secrets     [][]byte
	Countries   []string      // calling codes that may be written to ("86", "1"); none = all
	MaxParts    int           // a longer text is refused; 0 = 10
	Connections int           // to each gateway that does not say how many; 0 = 32
	Timeout     time.Duration // of one message at one gateway; 0 = 30 s
	TLS         *tls.Config   // nil: the system's roots
	Clock       func() time.Time
}

// Sender sends text messages. It is safe for many goroutines.
type Sender struct {
	cfg      Config
	gateways []*route
}

type route struct {
	Gateway
	gateway gateway
	client  *httpclient.Client
	rest    channels.Rest // after a failure of its own, see sick
}

// New checks the settings and reads the gateway files. It connects to nothing.
func New(cfg Config) (*Sender, error) {
	if cfg.Clock == nil {
		return nil, errors.New("sms: no clock")
	}
	if len(cfg.Gateways) == 0 {
		return nil, errors.New("sms: no gateway; set CARE_SMS_GATEWAY")
	}
	if cfg.MaxParts <= 0 {
		cfg.MaxParts = 10
	}
	s := &Sender{cfg: cfg}
	for _, g := range cfg.Gateways {
		if s.route(g.Name) != nil {
			return nil, fmt.Errorf("sms: gateway %s is there twice: give each account a name of its own", g.Name)
		}
		if g.Driver == "" {
			g.Driver = g.Name
		}
		if BuiltIn(g.Name) && g.Driver != g.Name {
			return nil, fmt.Errorf("sms: gateway %s: the account of %s must not be named like another provider", g.Name, g.Driver)
		}
		client := httpclient.New(httpclient.Config{Connections: cmp.Or(g.Connections, cfg.Connections), Timeout: cfg.Timeout, TLS: cfg.TLS})
		p := provider{Gateway: g, client: client, clock: cfg.Clock, public: cfg.PublicURL}
		for _, secret := range cfg.Secrets {
			p.tokens = append(p.tokens, CallbackToken(secret, g.Name))
		}
		driver, err := s.driver(p)
		if err != nil {
			return nil, fmt.Errorf("sms: gateway %s: %w", g.Name, err)
		}
		s.gateways = append(s.gateways, &route{Gateway: g, gateway: driver, client: client})
	}
	return s, nil
}

// drivers are the gateways that need no file.
var drivers = map[string]func(provider) (gateway, error){
	"kannel": newKannel, "twilio": newTwilio, "vonage": newVonage, "aliyun": newAliyun, "tencent": newTencent,
}

func (s *Sender) driver(p provider) (gateway, error) {
	if p.URL != "" {
		if u, err := url.Parse(p.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, errors.New("its URL is no http(s) URL")
		}
	}
	if driver := drivers[p.Driver]; driver != nil {
		return driver(p)
	}
	if s.cfg.Decode == nil {
		return nil, errors.New("there is no such gateway; there are " + known())
	}
	spec, err := ReadGateway(s.cfg.Files, s.cfg.Decode, p.Driver)
	if err != nil {
		return nil, err
	}
	return newGeneric(p, spec)
}

// CallbackToken returns the token that stands as ?token= in the callback URL of a gateway that does not sign what it posts: for
// Kannel and Vonage it is put there by us, elsewhere whoever sets the gateway up does.
func CallbackToken(secret []byte, gateway string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("sms-callback\x00" + gateway))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:20]))
}

// Close closes idle connections.
func (s *Sender) Close() error {
	var errs []error
	for _, r := range s.gateways {
		errs = append(errs, r.client.Close())
	}
	return errors.Join(errs...)
}

func (s *Sender) route(name string) *route {
	for _, r := range s.gateways {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// candidates returns the gateways that are meant for a message, those that failed just now last.
func (s *Sender) candidates(to, country, dealer string) []*route {
	var meant []*route
	for _, r := range s.gateways {
		if r.fits(to, country, dealer) && r.writes(to, country) {
			meant = append(meant, r)
		}
	}
	return channels.RestingLast(meant, (*route).resting, s.cfg.Clock())
}

func (r *route) resting() *channels.Rest { return &r.rest }

// fits reports whether a gateway is meant for this number, country and dealer.
func (r *route) fits(to, country, dealer string) bool {
	return (len(r.Countries) == 0 || slices.ContainsFunc(r.Countries, func(c string) bool { return strings.EqualFold(c, country) })) &&
		(len(r.Dealers) == 0 || slices.Contains(r.Dealers, dealer)) &&
		(len(r.Prefixes) == 0 || slices.ContainsFunc(r.Prefixes, func(p string) bool { return strings.HasPrefix(to, p) }))
}

// GatewayFor returns the name of the gateway that a number (E.164) of a dealer's customer goes through first, for limits of each
// gateway's own; "" if there is none.
func (s *Sender) GatewayFor(to, country, dealer string) string {
	if s.allowed(to) {
		for _, r := range s.candidates(to, country, dealer) {
			return r.Name
		}
	}
	return ""
}

// Accepts reports whether some gateway is meant for a number (E.164) of a dealer's customer, for the planner's gate no_channel.
func (s *Sender) Accepts(to, country, dealer string) bool {
	return s.GatewayFor(to, country, dealer) != ""
}

func (s *Sender) allowed(to string) bool {
	return len(s.cfg.Countries) == 0 || slices.ContainsFunc(s.cfg.Countries, func(c string) bool {
		return strings.HasPrefix(to, "+"+strings.TrimPrefix(c, "+"))
	})
}

// Send sends a message through the first gateway that is meant for it, and through the next if that one definitely did not accept it for
// reasons of its own. An error is a *care.Error with the provider's code.
func (s *Sender) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	if err := s.check(m); err != nil {
		return care.Receipt{}, err
	}
	var last *care.Error
	tries := 0
	for _, r := range s.ways(m) {
		out, err := r.send(ctx, m, s.cfg.MaxParts)
		if err == nil {
			receipt := care.Receipt{
				ID: m.ID, Channel: care.SMS, Gateway: r.Name, ProviderID: foreign(out.id), State: care.StateSent, Parts: out.parts, At: s.cfg.Clock(),
			}
			if n := tries + max(out.tries, 1); n > 1 {
				receipt.Tries = n
			}
			return receipt, nil
		}
		e, ok := errors.AsType[*care.Error](err)
		if !ok {
			e = &care.Error{Kind: care.KindRetry, Err: err}
		}
		tries += max(e.Tries, 1)
		if last == nil || !standIn(e) || hope(e) > hope(last) {
			last = e
		}
		if !standIn(e) || ctx.Err() != nil {
			break
		}
		if sick(e) {
			r.rest.Begin(s.cfg.Clock())
		}
	}
	if last == nil {
		last = s.nobody(m)
	}
	if tries > 1 {
		last.Tries = tries
	}
	return care.Receipt{}, last
}

// nobody says why no gateway was asked.
func (s *Sender) nobody(m *care.Message) *care.Error {
	for _, r := range s.gateways {
		if r.fits(m.To, m.Country, m.Dealer) {
			return otherNumber()
		}
	}
	return content("no_gateway", "no gateway is meant for this number, country and dealer")
}

// standIn reports whether another gateway may be tried: this one has not taken the message, and it lies at the gateway.
func standIn(e *care.Error) bool {
	return e.Kind == care.KindRetry || e.Kind == care.KindOperator || e.Code == "no_template"
}

// hope ranks what stopped a gateway: one that is busy will take the message, one that is locked will when a person has acted, and one that
// has no template for it will not.
func hope(e *care.Error) int {
	switch e.Kind {
	case care.KindRetry:
		return 2
	case care.KindOperator:
		return 1
	}
	return 0
}

// sick reports whether a failure says something of the gateway rather than of one number.
func sick(e *care.Error) bool {
	switch e.Code {
	case "connect", "timeout", "tls":
		return true
	}
	return e.Kind == care.KindOperator || strings.HasPrefix(e.Code, "http ")
}

func (r *route) send(ctx context.Context, m *care.Message, maxParts int) (outcome, error) {
	if !r.gateway.plain() {
		if t := r.template(m); t.Template == "" {
			return outcome{}, content("no_template", "the template has no approved code for this gateway: add it under gateway: in sms.txt")
		}
		return r.gateway.send(ctx, m, "")
	}
	style := StyleFor(m.Country)
	body := channels.Lines(string(m.Text))
	if strings.TrimSpace(body) == "" {
		return outcome{}, content("empty", "the message has no text")
	}
	text := Compose(WithNotice(body, m.Class, style), m.Signature, style)
	n, _ := Parts(text, "", style)
	if n > maxParts || (style == StyleChinese && utf8.RuneCountInString(text) > MaxChinese) {
		return outcome{}, content("too_long", "the text is longer than the gateway takes or needs more parts than are allowed")
	}
	return r.gateway.send(ctx, m, text)
}

// content is a defect of the message itself: no repeat will help.
func content(code, cause string) *care.Error {
	return &care.Error{Kind: care.KindContent, Code: code, Local: true, Err: errors.New(cause)}
}
