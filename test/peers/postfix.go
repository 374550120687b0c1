package peers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/jhillyerd/enmime/v2"
)

// PostfixOptions say for whom the server takes mail.
type PostfixOptions struct {
	// Domains take mail for any recipient, one Maildir each. Nil: example.com, pudong.example, dealer.example.
	Domains []string
	// StrictUsers are the only addresses of their domains: mail to any other is accepted and then bounced with a DSN (RFC 3464) to the
	// envelope's sender. Nil: known@strict.example.
	StrictUsers []string
	// Extra is added to main.cf, such as "smtpd_error_sleep_time = 0".
	Extra string
}

// PostfixServer is a Postfix of its own, in its own directory, that sends nothing to the outside.
type PostfixServer struct {
	t    testing.TB
	dir  string
	port int
	proc *Process
}

// nobody owns the mailboxes: Postfix refuses to deliver as root.
const nobody = 65534

// Postfix starts the server and returns when it greets. It needs root, as Postfix does, and leaves /etc/postfix alone.
func Postfix(t testing.TB, opts PostfixOptions) *PostfixServer {
	t.Helper()
	program(t, "postfix", "postfix")
	if os.Geteuid() != 0 {
		t.Fatal("peers: Postfix runs as root only; run these tests in a container as root")
	}
	if opts.Domains == nil {
		opts.Domains = []string{"example.com", "pudong.example", "dealer.example"}
	}
	if opts.StrictUsers == nil {
		opts.StrictUsers = []string{"known@strict.example"}
	}
	p := &PostfixServer{t: t, dir: ownDir(t), port: FreePorts(t, 1)[0]}
	p.mkdirs(opts)
	writeFile(t, p.path("etc/main.cf"), p.mainCF(opts))
	writeFile(t, p.path("etc/master.cf"), p.masterCF())
	if out, err := exec.Command("postfix", "-c", p.path("etc"), "check").CombinedOutput(); err != nil {
		t.Fatalf("peers: postfix check: %v\n%s", err, out)
	}
	p.Start()
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(p.path("log/maillog"))
			t.Logf("peers: Postfix's log:\n%s", tail(string(log)))
		}
	})
	return p
}

func (p *PostfixServer) path(name string) string { return filepath.Join(p.dir, name) }

func (p *PostfixServer) mkdirs(opts PostfixOptions) {
	p.t.Helper()
	dirs := []string{"etc", "queue", "data", "log", "mail"}
	for _, d := range opts.Domains {
		dirs = append(dirs, "mail/"+d)
	}
	for _, u := range opts.StrictUsers {
		dirs = append(dirs, "mail/"+domainOf(u))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(p.path(d), 0o755); err != nil {
			p.t.Fatalf("peers: %v", err)
		}
		if strings.HasPrefix(d, "mail") {
			if err := os.Chown(p.path(d), nobody, nobody); err != nil {
				p.t.Fatalf("peers: give the mailboxes to nobody: %v", err)
			}
		}
	}
	if out, err := exec.Command("chown", "postfix", p.path("data")).CombinedOutput(); err != nil {
		p.t.Fatalf("peers: give the data directory to postfix: %v\n%s", err, out)
	}
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

func (p *PostfixServer) mainCF(o PostfixOptions) string {
	var maps []string
	domains := append([]string(nil), o.Domains...)
	for _, d := range o.Domains {
		maps = append(maps, fmt.Sprintf("{ @%s = %s/ }", d, d))
	}
	seen := map[string]bool{}
	for _, u := range o.StrictUsers {
		d := domainOf(u)
		if !seen[d] {
			seen[d] = true
			domains = append(domains, d)
		}
		maps = append(maps, fmt.Sprintf("{ %s = %s/ }", u, d))
	}
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log/maillog
maillog_file_prefixes = %[1]s/log
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
smtpd_client_connection_count_limit = 0
smtputf8_enable = yes
recipient_delimiter = +
virtual_mailbox_domains = %[2]s
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{ %[3]s }
virtual_mailbox_limit = 0
virtual_minimum_uid = 100
virtual_uid_maps = static:%[4]d
virtual_gid_maps = static:%[4]d
default_transport = error:5.4.4 this server sends nothing to the outside
relay_transport = error:5.4.4 this server sends nothing to the outside
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
%[5]s
`, p.dir, strings.Join(domains, ", "), strings.Join(maps, ", "), nobody, o.Extra)
}

var masterService = regexp.MustCompile(`^\S+\s+(?:inet|unix|fifo|pass|unix-dgram)\s`)

// masterCF is Debian's own list of services with the SMTP port moved, everything outside a chroot, and nothing that needs the system's
// accounts.
func (p *PostfixServer) masterCF() string {
	p.t.Helper()
	dist, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		p.t.Fatalf("peers: Postfix's list of services: %v", err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(dist)) {
		if !masterService.MatchString(line) {
			if strings.HasPrefix(line, "#") || strings.HasPrefix(line, " ") {
				b.WriteString(line)
			}
			continue
		}
		f := strings.Fields(line)
		if f[0] == "smtp" && f[1] == "inet" {
			f[0] = loopback(p.port)
		}
		f[4] = "n"
		b.WriteString(strings.Join(f, "\t") + "\n")
	}
	return b.String()
}

// Start starts the server (again) on the same port and queue and waits until it greets.
func (p *PostfixServer) Start() {
	p.t.Helper()
	// The master itself in the foreground, so that we hold its process id: `postfix start-fg` stays in front of it as a shell.
	master := filepath.Join(p.daemons(), "master")
	p.proc = startProcess(p.t, "postfix", p.path("log/start.log"), exec.Command(master, "-c", p.path("etc"), "-s"))
	Eventually(p.t, readyWithin, "Postfix greets", func() error {
		if !p.proc.Running() {
			log, _ := os.ReadFile(p.path("log/maillog"))
			p.t.Fatalf("peers: Postfix has ended:\n%s%s", tail(p.proc.Logs()), tail(string(log)))
		}
		return p.greet()
	})
}

// daemons is the directory with Postfix's own programs, which differs between distributions.
func (p *PostfixServer) daemons() string {
	p.t.Helper()
	out, err := exec.Command("postconf", "-c", p.path("etc"), "-h", "daemon_directory").Output()
	if err != nil {
		p.t.Fatalf("peers: ask postconf for daemon_directory: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func (p *PostfixServer) greet() error {
	conn, err := net.DialTimeout("tcp", p.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	c := textproto.NewConn(conn)
	if _, _, err := c.ReadResponse(220); err != nil {
		return err
	}
	return c.PrintfLine("QUIT")
}

// Stop ends the server; connections are refused until Start. What it has accepted stays in its queue.
func (p *PostfixServer) Stop() {
	p.t.Helper()
	p.proc.stop()
	// The master's children hold the port for a moment longer.
	Eventually(p.t, stopWithin, "Postfix lets its port go", func() error {
		if !portFree(p.port) {
			return errors.New("port in use")
		}
		return nil
	})
}

// Addr is 127.0.0.1:PORT, plain SMTP without authentication.
func (p *PostfixServer) Addr() string { return loopback(p.port) }

// URL is smtp://127.0.0.1:PORT, as CARE_SMTP_URL takes it.
func (p *PostfixServer) URL() string { return "smtp://" + p.Addr() }

// Maildir is the mailbox of a domain.
func (p *PostfixServer) Maildir(domain string) string { return p.path("mail/" + domain) }

// Mail is one message in a mailbox.
type Mail struct {
	// Raw is the file as Postfix wrote it, with the headers Return-Path, X-Original-To, Delivered-To and Received on top.
	Raw []byte
	// To is the recipient of the envelope, from X-Original-To.
	To string
	// From is the envelope's sender, from Return-Path, without brackets; empty for a DSN.
	From string
	// Headers are all of them, with encoded words still encoded; Subject and the like decoded are in Envelope.GetHeader.
	Headers textproto.MIMEHeader
	// Text and HTML are the bodies in UTF-8.
	Text, HTML string
	// Envelope is the whole message as enmime reads it: attachments, inlines, errors.
	Envelope *enmime.Envelope
}

// Messages returns every message in every mailbox, in the order in which they came. Delivery is asynchronous: poll with Eventually.
func (p *PostfixServer) Messages() []Mail {
	p.t.Helper()
	files, err := filepath.Glob(p.path("mail/*/new/*"))
	if err != nil {
		p.t.Fatalf("peers: %v", err)
	}
	type entry struct {
		path string
		at   time.Time
	}
	entries := make([]entry, 0, len(files))
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			p.t.Fatalf("peers: %v", err)
		}
		entries = append(entries, entry{f, st.ModTime()})
	}
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].at.Before(entries[j].at) })
	out := make([]Mail, len(entries))
	for i, e := range entries {
		if out[i], err = readMail(e.path); err != nil {
			p.t.Fatalf("peers: read a message: %v", err)
		}
	}
	return out
}

func readMail(path string) (Mail, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Mail{}, err
	}
	env, err := enmime.ReadEnvelope(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, err
	}
	return Mail{
		Raw:      raw,
		To:       env.GetHeader("X-Original-To"),
		From:     strings.Trim(env.GetHeader("Return-Path"), "<>"),
		Headers:  env.Root.Header,
		Text:     env.Text,
		HTML:     env.HTML,
		Envelope: env,
	}, nil
}
