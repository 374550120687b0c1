package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/emersion/go-smtp"
)

// arrival is one message as its customer got it.
type arrival struct {
	ID      string // the occurrence's
	Channel care.Channel
	At      time.Time // the demo's time
	To      string
	From    string
	Subject string
	HTML    string
	Text    string
}

// inbox is every customer's mailbox and telephone, and the dealers' endpoint.
type inbox struct {
	now func() time.Time

	mu       sync.Mutex
	arrivals []arrival
	times    map[string]int // by id and channel
}

func newInbox(now func() time.Time) *inbox { return &inbox{now: now, times: map[string]int{}} }

func (b *inbox) put(a arrival) {
	a.At = b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals = append(b.arrivals, a)
	b.times[a.ID]++
}

// all returns the arrivals so far, in their order.
func (b *inbox) all() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]arrival(nil), b.arrivals...)
}

// count returns how often the message with this id arrived.
func (b *inbox) count(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.times[id]
}

// NewSession lets a mail client speak to the inbox.
func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{inbox: b}, nil }

type session struct {
	inbox *inbox
	to    string
}

func (s *session) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *session) Reset()                                    { s.to = "" }
func (s *session) Logout() error                             { return nil }

func (s *session) Data(r io.Reader) error {
	mail, err := readMail(r)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "this is no mail"}
	}
	s.inbox.put(arrival{
		ID: strings.TrimSuffix(mail.ID, "-email"), Channel: care.Email, To: s.to, From: mail.From,
		Subject: mail.Subject, HTML: mail.HTML, Text: mail.Text,
	})
	return nil
}

// servers are the demo's providers, on loopback ports that the system chose.
type servers struct {
	mail    *smtp.Server
	gateway *http.Server
	SMTPURL string
	SMSURL  string
	HookURL string
	running sync.WaitGroup
}

// serve starts the SMTP server and the HTTP server for SMS (in Kannel's dialect) and webhooks.
func serve(ctx context.Context, b *inbox, log *slog.Logger) (*servers, error) {
	s := &servers{mail: smtp.NewServer(b)}
	s.mail.Domain, s.mail.AllowInsecureAuth = "localhost", true
	s.mail.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	mailListener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: no port for the mail server: %w", err)
	}
	webListener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		_ = mailListener.Close()
		return nil, fmt.Errorf("demo: no port for the SMS gateway: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cgi-bin/sendsms", b.sendsms)
	mux.HandleFunc("POST /hook", b.hook)
	s.gateway = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	s.SMTPURL = "smtp://" + mailListener.Addr().String() + "?starttls=never"
	s.SMSURL = "http://" + webListener.Addr().String() + "/cgi-bin/sendsms"
	s.HookURL = "http://" + webListener.Addr().String() + "/hook"
	s.running.Go(func() { _ = s.mail.Serve(mailListener) })
	s.running.Go(func() {
		if err := s.gateway.Serve(webListener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the demo's gateway ended", slog.Any("error", err))
		}
	})
	return s, nil
}

func (s *servers) close() {
	_ = s.mail.Close()
	_ = s.gateway.Close()
	s.running.Wait()
}

// sendsms answers as Kannel's smsbox does: 202 and "0: Accepted for delivery".
func (b *inbox) sendsms(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	// Kannel has no place for a sender's id but the URL for receipts, which the daemon gives it.
	id := ""
	if receipts, err := url.Parse(q.Get("dlr-url")); err == nil {
		id = receipts.Query().Get("id")
	}
	b.put(arrival{ID: strings.TrimSuffix(id, "-sms"), Channel: care.SMS, To: q.Get("to"), From: q.Get("from"), Text: q.Get("text")})
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "0: Accepted for delivery")
}

func (b *inbox) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	id := r.Header.Get("Webhook-Id")
	b.put(arrival{ID: strings.TrimSuffix(id, "-webhook"), Channel: care.Webhook, To: "webhook", Text: string(body)})
	w.WriteHeader(http.StatusNoContent)
}
