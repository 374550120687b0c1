package operate_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/channels/email/records"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
)

// dns is a DNS server on this machine that answers TXT from a table, and asks of nothing else.
func dns(t *testing.T, txt map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			for _, one := range txt[strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")] {
				var parts []string
				for len(one) > 255 {
					parts, one = append(parts, one[:255]), one[255:]
				}
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.TXTResource{TXT: append(parts, one)},
				})
			}
			if len(m.Answers) == 0 {
				m.RCode = dnsmessage.RCodeNameError
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); done.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// relay is a mail server that notes what it hears and answers MAIL as it is told.
func relay(t *testing.T, toMail string) (url string, heard func() []string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []string
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				fmt.Fprint(c, "220 relay.dealer.cn ESMTP\r\n")
				for in := bufio.NewScanner(c); in.Scan(); {
					verb, _, _ := strings.Cut(strings.ToUpper(in.Text()), " ")
					mu.Lock()
					all = append(all, in.Text())
					mu.Unlock()
					switch verb {
					case "MAIL":
						fmt.Fprint(c, toMail+"\r\n")
					case "QUIT":
						fmt.Fprint(c, "221 bye\r\n")
						return
					default:
						fmt.Fprint(c, "250 ok\r\n")
					}
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); done.Wait() })
	return "smtp://" + ln.Addr().String() + "?starttls=never", func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// examined is what a doctor says of mail with these settings, "+" for what is well.
func examined(t *testing.T, set *config.Settings, from string, resolver records.Resolver, locale string) []string {
	t.Helper()
	book, _, err := carebook.Check(carebook.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, dealer := range book.Book.Dealers {
		dealer.From.Email = from
	}
	env := &daemon.Env{Settings: set, Now: time.Now}
	doctor := operate.Doctor{Settings: set, Now: time.Now, Gateways: env.Gateways, Senders: env.OpenSenders, Resolver: resolver, Words: texts.For(locale)}
	var told []string
	doctor.Channels(t.Context(), book, func(f store.Finding) {
		mark := "- "
		if f.OK {
			mark = "+ "
		} else if f.Remedy == "" {
			t.Errorf("no remedy: %+v", f)
		}
		told = append(told, mark+f.What)
		if strings.Contains(f.What+f.Remedy, "doctor.") || strings.Contains(f.What+f.Remedy, "<no value>") {
			t.Errorf("a text is missing: %+v", f)
		}
	})
	return told
}

func has(t *testing.T, told []string, want ...string) {
	t.Helper()
	for _, one := range want {
		if !slices.ContainsFunc(told, func(line string) bool { return strings.HasPrefix(line, one) }) {
			t.Errorf("no line %q in\n%s", one, strings.Join(told, "\n"))
		}
	}
}

func TestDoctorLooksAtWhatMakesMailArrive(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	url, heard := relay(t, "250 2.1.0 ok")
	set := &config.Settings{PublicURL: "https://care.dealer.cn"}
	set.SMTP.URL = config.Secrets{config.NewSecret(url)}
	set.DKIM = config.DKIM{Domain: "dealer.cn", Selector: "cb", Key: config.NewSecret(private)}
	good := map[string][]string{
		"dealer.cn": {"v=spf1 mx -all"}, "cb._domainkey.dealer.cn": {records.Published(key)}, "_dmarc.dealer.cn": {"v=DMARC1; p=quarantine"},
	}
	server := strings.TrimSuffix(strings.TrimPrefix(url, "smtp://"), "?starttls=never")
	told := examined(t, set, "care@dealer.cn", dns(t, good), "en")
	has(t, told, "+ mail server "+server+" answers, lets us in, and takes mail of dealer.cn", "+ SPF: dealer.cn says", "+ DKIM: the key at cb._domainkey.dealer.cn is ours",
		"+ DMARC: dealer.cn asks for quarantine", "+ one-click unsubscribe stands in the mails, under the DKIM signature", "+ the largest mail of the book has ",
		"- the mail server calls itself dealer.cn, which has no address")
	if all := heard(); len(all) != 4 || !strings.HasPrefix(all[1], "MAIL FROM:<care@dealer.cn>") || all[2] != "RSET" || all[3] != "QUIT" {
		t.Errorf("the server heard %q", all)
	}
	told = examined(t, set, "care@dealer.cn", dns(t, nil), "zh-CN")
	has(t, told, "- SPF：dealer.cn 没有说明", "- DKIM：cb._domainkey.dealer.cn 没有公钥", "- DMARC：dealer.cn 没有记录", "+ 邮件带有一键退订，并受 DKIM 签名保护")
}

func TestDoctorTellsARefusedSender(t *testing.T) {
	t.Parallel()
	url, _ := relay(t, "553 5.7.1 Mail from must equal authorized user")
	set := &config.Settings{}
	set.SMTP.URL = config.Secrets{config.NewSecret(url)}
	told := examined(t, set, "care@pudong.example", dns(t, nil), "en")
	has(t, told, "- mail server "+strings.TrimSuffix(strings.TrimPrefix(url, "smtp://"), "?starttls=never")+" takes no mail of pudong.example: operator 553 5.7.1")
	if all := strings.Join(told, "\n"); strings.Contains(all, "SPF") || strings.Contains(all, "DMARC") {
		t.Errorf("a name that is never in DNS was asked about:\n%s", all)
	}
}

// Where DNS does not answer, nothing is found fault with.
func TestDoctorWithoutDNS(t *testing.T) {
	t.Parallel()
	url, _ := relay(t, "250 ok")
	set := &config.Settings{}
	set.SMTP.URL = config.Secrets{config.NewSecret(url)}
	nobody := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}
	told := examined(t, set, "care@dealer.cn", nobody, "en")
	has(t, told, "+ mail server", "+ DNS could not be asked about dealer.cn")
	for _, line := range told {
		if line[0] == '-' {
			t.Errorf("found fault with: %s", line)
		}
	}
}

func TestDoctorSeesMailThatIsNotAligned(t *testing.T) {
	t.Parallel()
	url, _ := relay(t, "250 ok")
	set := &config.Settings{}
	set.SMTP.URL = config.Secrets{config.NewSecret(url)}
	set.SMTP.ReturnPath = "bounce+{id}@relay.cn"
	told := examined(t, set, "care@dealer.cn", dns(t, map[string][]string{
		"relay.cn": {"v=spf1 +all"}, "_dmarc.dealer.cn": {"v=DMARC1; p=reject"},
	}), "en")
	has(t, told, "- SPF: relay.cn lets everybody send", "- DMARC: mails from dealer.cn leave in the name of relay.cn", "+ DKIM: carebell does not sign")
}
