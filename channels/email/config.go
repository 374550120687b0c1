package email

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// Config says where mail goes. Only Servers is required.
type Config struct {
	Servers     []Server // see ParseServers
	Connections int      // kept to each server that does not say how many; 0 = 16
	// Timeout is how long each answer is waited for; the caller's context bounds the whole message. 0 = as long as RFC 5321 section
	// 4.5.3.2 asks: a server that answers the final dot late has taken the mail, and whoever does not wait sends it again.
	Timeout     time.Duration
	IdleTimeout time.Duration // an unused connection is closed after it; 0 = 45 s, less than any server waits
	// HELO is the name to introduce ourselves by: a full name or an address literal. "" = the domain of the sender of the first mail,
	// else the machine's full name, else its address (RFC 5321 sections 4.1.1.1 and 4.1.3).
	HELO string
	DKIM []DKIM // keys; a mail is signed with the one for its From domain, else with the first
	// ReturnPath is the envelope's sender, in which {id} stands for the message's id on the wire ("bounce+{id}@dealer.example");
	// "" = the From address. Without it a bounce can only be matched by the headers that it quotes.
	ReturnPath string
	Proofs     *Proofs          // what reports must show; nil = they need not
	Tokens     *Tokens          // for servers whose URL has a user and no password; nil = there are none
	TLS        *tls.Config      // nil: the system's roots
	Clock      func() time.Time // for DKIM's timestamp
}

// Server is one SMTP server.
type Server struct {
	Name     string // what it goes by in limits and metrics; "" = host:port
	Host     string
	Port     int
	User     string
	Password string
	Socket   string         // a unix socket instead of host and port
	Auth     string         // the only way to log in that may be tried, such as PLAIN; "" = the best that the server offers
	Implicit bool           // TLS from the first byte (smtps)
	StartTLS mail.TLSPolicy // else
	// Unverified says that the server's certificate is not looked at; CA is a file of those that are trusted besides the system's.
	Unverified bool
	CA         string
	Weight     int // share of the messages among several servers, from 1
	// Connections and Rate (messages per second) are the server's own limits; 0 = those of all. The rate is the caller's to keep.
	Connections int
	Rate        float64
}

// DKIM is a key to sign with, RSA or Ed25519. See mail.PrivKeyFromPEM.
type DKIM struct {
	Domain, Selector string
	Key              crypto.Signer
}

// tlsPolicies are the values of ?starttls=, with the words that other programs use for them.
var tlsPolicies = map[string]mail.TLSPolicy{
	"":       mail.TLSMandatory,
	"always": mail.TLSMandatory, "mandatory": mail.TLSMandatory, "required": mail.TLSMandatory, "yes": mail.TLSMandatory, "true": mail.TLSMandatory,
	"opportunistic": mail.TLSOpportunistic, "auto": mail.TLSOpportunistic,
	"never": mail.NoTLS, "none": mail.NoTLS, "no": mail.NoTLS, "off": mail.NoTLS, "false": mail.NoTLS,
}

// ParseServers reads CARE_SMTP_URL: smtp://user:pass@host:587, smtps://user:pass@host:465 or smtp+unix:///path of a socket, several
// separated by commas. STARTTLS is demanded unless the URL says otherwise; on a loopback address without a user it is opportunistic. A
// certificate is verified where TLS is demanded or a password goes over it; opportunistic TLS is better than none whatever it shows (RFC
// 7435). No error quotes the URL: it may hold a password.
func ParseServers(raw string) ([]Server, error) {
	var out []Server
	for i, one := range strings.Split(raw, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		s, err := parseServer(one)
		if err != nil {
			return nil, fmt.Errorf("SMTP URL %d: %w", i+1, err)
		}
		s.Name = s.Address()
		if slices.ContainsFunc(out, func(o Server) bool { return o.Name == s.Name }) {
			s.Name += "#" + strconv.Itoa(i+1) // another account on the same server
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("no SMTP server: write smtp://user:password@host:587")
	}
	return out, nil
}

func parseServer(raw string) (Server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Server{}, errors.New("it is no URL; percent-encode special characters of the password (comma: %2C)")
	}
	s := Server{Host: u.Hostname(), User: u.User.Username(), Weight: 1}
	s.Password, _ = u.User.Password()
	switch u.Scheme {
	case "smtp":
		s.Port = 587
		if s.User == "" {
			s.Port = 25
		}
	case "smtps":
		s.Port, s.Implicit = 465, true
	case "smtp+unix":
		s.Socket = u.Path
	default:
		return Server{}, errors.New("it must begin with smtp://, smtps:// or smtp+unix://")
	}
	switch {
	case u.Fragment != "":
		return Server{}, errors.New("it has a #: percent-encode it in the password (%23)")
	case u.Scheme == "smtp+unix":
		if u.Host != "" || len(s.Socket) < 2 {
			return Server{}, errors.New("it names no socket: write smtp+unix:///run/relay.sock")
		}
	case s.Host == "":
		return Server{}, errors.New("it names no host")
	case u.Path != "" && u.Path != "/":
		return Server{}, errors.New("it has a path; only options such as ?starttls= may follow the host")
	}
	if p := u.Port(); p != "" {
		if s.Port, err = strconv.Atoi(p); err != nil || s.Port < 1 || s.Port > 65535 {
			return Server{}, errors.New("its port is not between 1 and 65535")
		}
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Server{}, errors.New("its query cannot be read")
	}
	for key, values := range q {
		if err := s.option(key, values[len(values)-1]); err != nil {
			return Server{}, err
		}
	}
	if !q.Has("starttls") {
		s.StartTLS = mail.TLSMandatory
		if s.User == "" && s.Local() {
			s.StartTLS = mail.TLSOpportunistic
		}
	}
	if !q.Has("verify") && s.CA == "" {
		s.Unverified = !s.Implicit && s.StartTLS == mail.TLSOpportunistic && (s.User == "" || s.Local())
	}
	return s, nil
}

// option takes one of the options behind the host.
func (s *Server) option(key, value string) (err error) {
	switch key {
	case "starttls":
		var ok bool
		if s.StartTLS, ok = tlsPolicies[value]; !ok || s.Implicit {
			return errors.New("starttls is always, opportunistic or never, and has no place in smtps://")
		}
	case "verify":
		verify, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("verify is true or false")
		}
		s.Unverified = !verify
	case "ca":
		if s.CA = value; value == "" {
			return errors.New("ca is a file with certificates (PEM)")
		}
	case "auth":
		if s.Auth = strings.ToUpper(value); s.User == "" || !slices.Contains(methods, s.Auth) {
			return fmt.Errorf("auth is %s, for a URL with a user", strings.ToLower(strings.Join(methods, ", ")))
		}
	case "weight":
		if s.Weight, err = strconv.Atoi(value); err != nil || s.Weight < 1 || s.Weight > 1000 {
			return errors.New("weight is a number from 1 to 1000")
		}
	case "connections":
		if s.Connections, err = strconv.Atoi(value); err != nil || s.Connections < 1 || s.Connections > 1000 {
			return errors.New("connections is a number from 1 to 1000")
		}
	case "rate":
		if s.Rate, err = strconv.ParseFloat(value, 64); err != nil || !(s.Rate > 0 && s.Rate < 1e9) {
			return errors.New("rate is messages per second, more than 0")
		}
	default:
		return fmt.Errorf("unknown option %q; there are starttls, verify, ca, auth, weight, connections and rate", key)
	}
	return nil
}

// Local reports whether the server is on this machine.
func (s *Server) Local() bool { return s.Socket != "" || loopback(s.Host) }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Address returns host:port, or the socket's path.
func (s Server) Address() string {
	if s.Socket != "" {
		return s.Socket
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Network is what Address is an address of.
func (s Server) Network() string {
	if s.Socket != "" {
		return "unix"
	}
	return "tcp"
}

func (cfg *Config) check() error {
	if len(cfg.Servers) == 0 {
		return errors.New("email: no server; set CARE_SMTP_URL")
	}
	if cfg.HELO != "" && !ValidHELO(cfg.HELO) {
		return errors.New("CARE_SMTP_HELO: write a full host name such as mail.dealer.example, or an address in brackets: [192.0.2.1] or [IPv6:2001:db8::1]")
	}
	if cfg.Clock == nil {
		return errors.New("email: no clock")
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 16
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 45 * time.Second
	}
	if cfg.ReturnPath != "" {
		if _, err := address(strings.ReplaceAll(cfg.ReturnPath, "{id}", strings.Repeat("a", 26)+"-email-"+strings.Repeat("a", proofLength))); err != nil {
			return errors.New("email: the return path is no address; write bounce+{id}@domain")
		}
	}
	return nil
}
