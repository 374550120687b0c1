package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// KannelOptions say what is not the same in every test.
type KannelOptions struct {
	// MO is the URL that gets the customers' replies, with Kannel's escapes (%p sender, %P receiver, %a text, %T epoch, %I id).
	// Without a '?' the parameters from, to, text, coding, charset, time and id are added (%a makes one space of each run of white space). Empty: replies are lost, as the gateway's owner would have it.
	MO string
	// GlobalSender is the sender of messages that name none. Empty: 10690000.
	GlobalSender string
	// QueueLimit is how many messages the bearerbox holds before it has no room for more (Kannel's sms-outgoing-queue-limit; 0 leaves
	// Kannel's default of a million). When the SMSC is stopped, sendsms queues that many and one more, and then answers 503.
	QueueLimit int
	// Extra is added to kannel.conf, after an empty line: more groups, such as that of HTTPSMSC.
	Extra string
}

// HTTPSMSC is the group of a second SMSC with the given id: one that hands each message to sendURL with GET (parameters from, to, text)
// and reads the answer's status: 2xx accepted, 5xx a passing failure, any other a permanent one, which sendsms's dlr-url hears of as 16.
// Messages go there when sendsms has smsc=<id>. The port is one that Kannel opens for it; take it from FreePorts.
func HTTPSMSC(id, sendURL string, port int) string {
	return fmt.Sprintf(`group = smsc
smsc = http
smsc-id = %[1]s
allowed-smsc-id = %[1]s
system-type = generic
send-url = "%[2]s?from=%%P&to=%%p&text=%%b"
port = %[3]d
connect-allow-ip = 127.0.0.1
status-success-regex = "^2"
status-tempfail-regex = "^5"
status-permfail-regex = "^[34]"
`, id, sendURL, port)
}

const (
	kannelUser     = "care"
	kannelPassword = "carepw"
	adminPassword  = "bar"
	fakeSMSC       = "/usr/lib/kannel/test/fakesmsc"
	kannelPackages = "kannel kannel-extras"
	defaultSender  = "10690000"
)

// KannelServer is a bearerbox, an smsbox and a fake SMSC that always delivers.
type KannelServer struct {
	t    testing.TB
	dir  string
	conf string

	admin, boxPort, sendPort, smscPort int

	bearerbox, smsbox, fake *Process
	fifo                    *os.File
}

// Kannel starts the gateway and returns when its link to the fake SMSC is online and its sendsms port answers.
func Kannel(t testing.TB, opts KannelOptions) *KannelServer {
	t.Helper()
	ports := FreePorts(t, 4)
	k := &KannelServer{t: t, dir: ownDir(t), admin: ports[0], boxPort: ports[1], sendPort: ports[2], smscPort: ports[3]}
	k.conf = filepath.Join(k.dir, "kannel.conf")
	writeFile(t, k.conf, k.settings(opts))
	k.bearerbox = startProcess(t, "bearerbox", k.path("bearerbox.log"),
		exec.Command(program(t, "/usr/sbin/bearerbox", kannelPackages), "-v", "1", k.conf))
	Eventually(t, readyWithin, "bearerbox answers", func() error {
		if !k.bearerbox.Running() {
			t.Fatalf("peers: bearerbox has ended:\n%s", tail(k.bearerbox.Logs()))
		}
		_, err := k.status()
		return err
	})
	k.StartSMSBox()
	k.openFIFO()
	k.StartSMSC()
	return k
}

func (k *KannelServer) path(name string) string { return filepath.Join(k.dir, name) }

// settings is kannel.conf. Kannel stops at a key that it doesn't know and says so in its log.
func (k *KannelServer) settings(o KannelOptions) string {
	if o.GlobalSender == "" {
		o.GlobalSender = defaultSender
	}
	var service string
	if o.MO != "" {
		if !strings.Contains(o.MO, "?") {
			o.MO += "?from=%p&to=%P&text=%a&coding=%c&charset=%C&time=%T&id=%I"
		}
		service = fmt.Sprintf(`
group = sms-service
keyword = default
get-url = "%s"
accept-x-kannel-headers = true
max-messages = 0
catch-all = true
`, o.MO)
	}
	limit := ""
	if o.QueueLimit > 0 {
		limit = fmt.Sprintf("sms-outgoing-queue-limit = %d\n", o.QueueLimit)
	}
	return fmt.Sprintf(`group = core
admin-port = %d
admin-interface = 127.0.0.1
admin-password = %s
admin-allow-ip = "127.0.0.1"
admin-deny-ip = "*.*.*.*"
smsbox-port = %d
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
box-deny-ip = "*.*.*.*"
store-type = file
store-location = "%s"
dlr-storage = internal
sms-resend-freq = 5
sms-resend-retry = 2
%s
group = smsc
smsc = fake
smsc-id = FAKE
allowed-smsc-id = FAKE
host = 127.0.0.1
port = %d
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %d
sendsms-port = %d
sendsms-interface = 127.0.0.1
global-sender = %s
mo-recode = true

group = sendsms-user
username = %s
password = %s
default-smsc = FAKE
concatenation = true
max-messages = 10
user-allow-ip = "127.0.0.1"
user-deny-ip = "*.*.*.*"
%s
%s`, k.admin, adminPassword, k.boxPort, k.path("store"), limit, k.smscPort, k.boxPort, k.sendPort, o.GlobalSender, kannelUser, kannelPassword, service, o.Extra)
}

// openFIFO makes the named pipe that is the fake SMSC's standard input and holds it open for writing: it ends when its input does.
func (k *KannelServer) openFIFO() {
	k.t.Helper()
	pipe := k.path("fifo")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		k.t.Fatalf("peers: make the fake SMSC's pipe: %v", err)
	}
	// Opened for both, since opening a pipe for writing alone waits for a reader.
	fifo, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		k.t.Fatalf("peers: open the fake SMSC's pipe: %v", err)
	}
	k.fifo = fifo
	k.t.Cleanup(func() { _ = fifo.Close() })
}

// StopSMSC ends the fake SMSC: sendsms answers 202 "3: Queued for later delivery". With the settings here Kannel tries such a message
// twice more, 5 s apart.
func (k *KannelServer) StopSMSC() {
	k.t.Helper()
	k.fake.stop()
	Eventually(k.t, readyWithin, "the gateway notices that the SMSC is gone", func() error {
		if k.online() == nil {
			return errors.New("still online")
		}
		return nil
	})
}

// StartSMSC starts the fake SMSC (again) and waits until the gateway calls it online.
func (k *KannelServer) StartSMSC() {
	k.t.Helper()
	cmd := exec.Command(program(k.t, fakeSMSC, kannelPackages), "-H", "127.0.0.1", "-r", fmt.Sprint(k.smscPort))
	cmd.Stdin = k.fifo
	// The SMSC's port opens a moment after the admin port.
	Eventually(k.t, readyWithin, "the fake SMSC's port is open", func() error {
		return listening(k.smscPort)
	})
	k.fake = startProcess(k.t, "fakesmsc", k.path("fakesmsc.log"), cmd)
	Eventually(k.t, readyWithin, "the fake SMSC is online", k.online)
}

// listening says whether a port is open, as Linux lists it (Kannel opens this one on all addresses). A connection would be taken for an SMSC, and an attempt to bind
// the port could get in the gateway's way.
func listening(port int) error {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return err
	}
	const listen = "00000000:0000 0A"
	if !strings.Contains(string(table), fmt.Sprintf(":%04X %s", port, listen)) {
		return errors.New("nobody listens")
	}
	return nil
}

func (k *KannelServer) online() error {
	status, err := k.status()
	if err == nil && !strings.Contains(status, fmt.Sprintf("FAKE:%d (online", k.smscPort)) {
		err = errors.New("not online")
	}
	return err
}

// StopSMSBox ends the smsbox: connections to SendURL are refused, as with a gateway that is away. It returns when the box is gone.
func (k *KannelServer) StopSMSBox() { k.smsbox.stop() }

// StartSMSBox starts the smsbox (again) and waits until its sendsms port answers and the bearerbox knows it.
func (k *KannelServer) StartSMSBox() {
	k.t.Helper()
	k.smsbox = startProcess(k.t, "smsbox", k.path("smsbox.log"),
		exec.Command(program(k.t, "/usr/sbin/smsbox", kannelPackages), "-v", "1", k.conf))
	Eventually(k.t, readyWithin, "smsbox answers", func() error {
		if !k.smsbox.Running() {
			k.t.Fatalf("peers: smsbox has ended:\n%s", tail(k.smsbox.Logs()))
		}
		if _, _, err := get(k.SendURL()); err != nil {
			return err
		}
		status, err := k.status()
		if err == nil && !strings.Contains(status, "smsbox:") {
			err = errors.New("bearerbox doesn't know it yet")
		}
		return err
	})
}

// PauseSMSC stops the fake SMSC in its tracks: messages are taken and neither arrive nor are acknowledged until ResumeSMSC.
func (k *KannelServer) PauseSMSC() { k.fake.Signal(syscall.SIGSTOP) }

// ResumeSMSC lets the fake SMSC go on.
func (k *KannelServer) ResumeSMSC() { k.fake.Signal(syscall.SIGCONT) }

// SendURL is where messages are sent with GET: http://127.0.0.1:PORT/cgi-bin/sendsms.
func (k *KannelServer) SendURL() string { return localURL(k.sendPort, "/cgi-bin/sendsms") }

// User is the account for SendURL.
func (k *KannelServer) User() string { return kannelUser }

// Password is that account's password.
func (k *KannelServer) Password() string { return kannelPassword }

// Admin sends a command to the bearerbox ("status.txt", "suspend", "isolate", "resume", "flush-dlr") and returns its answer. While it is
// suspended, sendsms doesn't answer at all; what was sent meanwhile may go out at "resume": the unknown outcome from a real gateway.
func (k *KannelServer) Admin(command string) string {
	k.t.Helper()
	code, body, err := get(localURL(k.admin, "/"+command+"?password="+adminPassword))
	if err != nil || code >= http.StatusBadRequest {
		k.t.Fatalf("peers: Kannel's %s: status %d, %v\n%s", command, code, err, body)
	}
	return body
}

func (k *KannelServer) status() (string, error) {
	code, body, err := get(localURL(k.admin, "/status.txt?password="+adminPassword))
	if err == nil && code >= http.StatusBadRequest {
		err = fmt.Errorf("status %d", code)
	}
	return body, err
}

// Reply has the customer at the number from write text to the number to; it comes out at the MO URL in UTF-8.
func (k *KannelServer) Reply(from, to, text string) {
	k.t.Helper()
	line := fmt.Sprintf("%s %s ucs2 %s\n", from, to, percentUCS2(text))
	if _, err := k.fifo.WriteString(line); err != nil {
		k.t.Fatalf("peers: hand a reply to the fake SMSC: %v", err)
	}
}

// Received returns the messages that have reached the fake SMSC, oldest first, parts put together. Kannel is quick but asynchronous:
// poll with Eventually.
func (k *KannelServer) Received() []SMS {
	k.t.Helper()
	got, err := parseFakeSMSC(k.fake.Logs())
	if err != nil {
		k.t.Fatalf("peers: %v", err)
	}
	return got
}

// Logs returns the logs of bearerbox and smsbox.
func (k *KannelServer) Logs() string { return k.bearerbox.Logs() + k.smsbox.Logs() }

func get(address string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true // no idle connection is left for a leak test to find
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(body), err
}

// percentUCS2 writes text as UTF-16BE with every byte escaped, as the fake SMSC reads it.
func percentUCS2(text string) string {
	var b strings.Builder
	for _, c := range encodeUCS2(text) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// SendSMS is a plain client for SendURL: it sends with coding 2 and UTF-8 and returns status and answer. dlrURL may be empty. More
// parameters may follow, as name and value.
func (k *KannelServer) SendSMS(to, text, dlrURL string, params ...string) (int, string) {
	k.t.Helper()
	q := url.Values{"username": {kannelUser}, "password": {kannelPassword}, "to": {to}, "text": {text}, "coding": {"2"}, "charset": {"UTF-8"}}
	if dlrURL != "" {
		q.Set("dlr-mask", "31")
		q.Set("dlr-url", dlrURL)
	}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	code, body, err := get(k.SendURL() + "?" + q.Encode())
	if err != nil {
		k.t.Fatalf("peers: sendsms: %v", err)
	}
	return code, body
}
