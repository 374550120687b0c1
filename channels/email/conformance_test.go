package email_test

import (
	"testing"
	"time"

	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/email"
)

// TestConformance runs the suite of all channels.
func TestConformance(t *testing.T) {
	t.Parallel()
	suite := channeltest.Suite{
		Peer: func(t channeltest.T) channeltest.Peer { return channeltest.NewSMTPPeer(t) },
		New: func(t channeltest.T, url string) channeltest.Sender {
			servers, err := email.ParseServers(url)
			if err != nil {
				t.Fatalf("%v", err)
			}
			s, err := email.New(email.Config{Servers: servers, HELO: "carebell.test", Clock: testClock, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatalf("%v", err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		Message:  testMessage,
		Personal: []string{"wang@customer.example", "王小明", "Regal"},
		Plain:    true,
	}
	for _, c := range suite.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t)
		})
	}
}
