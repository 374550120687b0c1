package sms_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config/yaml"
)

// TestConformance runs the suite of all channels for every gateway.
func TestConformance(t *testing.T) {
	t.Parallel()
	gateways := map[string]struct {
		account sms.Gateway
		yes     func(w http.ResponseWriter)
	}{
		"kannel": {sms.Gateway{Name: "kannel", User: "care"}, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, "0: Accepted for delivery")
		}},
		"acme": {sms.Gateway{Name: "acme", User: "care"}, func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"result":{"code":"0"}}`) }},
	}
	for name, account := range accounts {
		gateways[name] = struct {
			account sms.Gateway
			yes     func(w http.ResponseWriter)
		}{account, func(w http.ResponseWriter) {
			w.WriteHeader(yes[name].status)
			_, _ = io.WriteString(w, yes[name].body)
		}}
	}
	for name, g := range gateways {
		suite := channeltest.Suite{
			Peer: func(t channeltest.T) channeltest.Peer { return channeltest.NewHTTPPeer(t, g.yes) },
			New: func(t channeltest.T, url string) channeltest.Sender {
				account := g.account
				account.URL, account.Password = url, password
				s, err := sms.New(sms.Config{
					Gateways: []sms.Gateway{account}, Decode: yaml.Decode, Files: book("acme", strings.ReplaceAll(acme, "URL", url)), PublicURL: "https://care.example",
					Secrets: [][]byte{[]byte("secret-canary")}, Clock: testClock, Timeout: 20 * time.Second, Connections: 32,
				})
				if err != nil {
					t.Fatalf("%v", err)
				}
				t.Cleanup(func() { s.Close() })
				return s
			},
			Message:  func() *care.Message { return templated() },
			Secrets:  []string{password, "secret-canary"},
			Personal: []string{number, number[1:], number[3:], "王小明", "canary", "Regal"},
		}
		for _, c := range suite.Cases() {
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				c.Run(t)
			})
		}
	}
}
