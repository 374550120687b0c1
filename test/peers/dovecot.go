package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Who may log in to a DovecotServer.
const (
	dovecotUser     = "returns"
	dovecotPassword = "canary-imap-pw"
)

// DovecotServer is a Dovecot of its own that shows one Maildir over IMAP with TLS from the first byte.
type DovecotServer struct {
	t    testing.TB
	dir  string
	port int
	proc *Process
}

// Dovecot starts the server over a Maildir that belongs to nobody, such as PostfixServer.Maildir, and returns when it greets. It needs
// root, as Dovecot does, and leaves /etc/dovecot alone.
func Dovecot(t testing.TB, maildir string) *DovecotServer {
	t.Helper()
	program(t, "dovecot", "dovecot-imapd")
	if os.Geteuid() != 0 {
		t.Fatal("peers: Dovecot runs as root only; run these tests in a container as root")
	}
	d := &DovecotServer{t: t, dir: ownDir(t), port: FreePorts(t, 1)[0]}
	for _, sub := range []string{"run", "state", "home"} {
		if err := os.Mkdir(d.path(sub), 0o755); err != nil {
			t.Fatalf("peers: %v", err)
		}
	}
	if err := os.Chown(d.path("home"), nobody, nobody); err != nil {
		t.Fatalf("peers: %v", err)
	}
	d.certify()
	writeFile(t, d.path("dovecot.conf"), d.conf(maildir))
	d.proc = startProcess(t, "dovecot", d.path("start.log"), exec.Command("dovecot", "-F", "-c", d.path("dovecot.conf")))
	Eventually(t, readyWithin, "Dovecot greets", func() error {
		if !d.proc.Running() {
			log, _ := os.ReadFile(d.path("dovecot.log"))
			t.Fatalf("peers: Dovecot has ended:\n%s%s", tail(d.proc.Logs()), tail(string(log)))
		}
		return d.greet()
	})
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(d.path("dovecot.log"))
			t.Logf("peers: Dovecot's log:\n%s", tail(string(log)))
		}
	})
	return d
}

func (d *DovecotServer) path(name string) string { return filepath.Join(d.dir, name) }

func (d *DovecotServer) conf(maildir string) string {
	return fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <%[2]s
ssl_key = <%[1]s/key.pem
mail_location = maildir:%[3]s
first_valid_uid = 100
passdb {
  driver = static
  args = user=%[5]s password=%[6]s
}
userdb {
  driver = static
  args = uid=%[4]d gid=%[4]d home=%[1]s/home
}
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = %[7]d
    ssl = yes
  }
}
`, d.dir, d.CertFile(), maildir, nobody, dovecotUser, dovecotPassword, d.port)
}

// certify makes a key and a certificate for 127.0.0.1 that signs itself.
func (d *DovecotServer) certify() {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatalf("peers: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imap.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		d.t.Fatalf("peers: %v", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatalf("peers: %v", err)
	}
	writeFile(d.t, d.CertFile(), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(d.t, d.path("key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func (d *DovecotServer) greet() error {
	dialer := &net.Dialer{Timeout: time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", loopback(d.port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	hello := make([]byte, 4)
	if _, err := conn.Read(hello); err != nil || string(hello) != "* OK" {
		return errors.New("no greeting")
	}
	return nil
}

// CertFile is the server's certificate, which signs itself: a program trusts it with SSL_CERT_FILE.
func (d *DovecotServer) CertFile() string { return d.path("cert.pem") }

// URL is what CARE_BOUNCE_IMAP_URL takes, with user and password.
func (d *DovecotServer) URL() string {
	return "imaps://" + dovecotUser + ":" + dovecotPassword + "@" + loopback(d.port) + "/INBOX"
}
