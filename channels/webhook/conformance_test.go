package webhook_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/webhook"
)

// TestConformance runs the suite of all channels for every preset.
func TestConformance(t *testing.T) {
	t.Parallel()
	bot := func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`) }
	for preset, p := range map[webhook.Preset]struct {
		secret string
		yes    func(w http.ResponseWriter)
	}{
		webhook.Standard: {secret1, func(http.ResponseWriter) {}}, webhook.CloudEvents: {secret1, func(http.ResponseWriter) {}},
		webhook.WeCom: {secret1, bot}, webhook.DingTalk: {"SEC-canary", bot},
		webhook.Feishu: {"feishu-canary", func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"code":0,"msg":"success"}`) }},
	} {
		isBot := preset == webhook.WeCom || preset == webhook.DingTalk || preset == webhook.Feishu
		suite := channeltest.Suite{
			Peer: func(t channeltest.T) channeltest.Peer { return channeltest.NewHTTPPeer(t, p.yes) },
			New: func(t channeltest.T, url string) channeltest.Sender {
				s, err := webhook.New(webhook.Config{
					URL: url + "/hook?access_token=token-canary", Secrets: []string{p.secret}, Preset: preset, Clock: testClock, Timeout: 20 * time.Second,
				})
				if err != nil {
					t.Fatalf("%v", err)
				}
				t.Cleanup(func() { s.Close() })
				return s
			},
			Message:       testMessage,
			Secrets:       []string{secret1, "SEC-canary", "feishu-canary", "token-canary"},
			Personal:      []string{"王小明", "canary"},
			Repeats:       !isBot,
			StatusDecides: !isBot,
		}
		for _, c := range suite.Cases() {
			t.Run(string(preset)+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				c.Run(t)
			})
		}
	}
}
