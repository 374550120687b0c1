package operate_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
)

func TestDoctorReadsTheAccounts(t *testing.T) {
	t.Parallel()
	checked, _, err := carebook.Check(carebook.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	account := "{gateway: twilio, user: AC, password: canary, from: MG, "
	for list, want := range map[string]string{
		account + "name: us, dealers: [example]}":                        "",
		account + "name: us, dealers: [harbor]}":                         "SMS gateway us is for the dealer harbor, whom the book does not have",
		account + "name: vonage}":                                        "must not be named like another provider",
		account + "}, " + account + "}":                                  "entry 2: twilio is there twice",
		"{name: cn, gateway: aliyun, user: u, password: canary}":         "SMS gateway cn sends approved templates only, and ",
		"{name: us, gateway: acme, user: u, password: canary}":           "gateways/acme.yaml cannot be read",
		"{name: us, gateway: twilio, user: AC, password: canary}":        "sms: gateway us: set CARE_SMS_USER",
		account + "name: us}, {name: eu, gateway: twilio, from: canary}": "sms: gateway eu: set CARE_SMS_USER",
	} {
		env := &daemon.Env{Settings: &config.Settings{SMS: config.SMS{Accounts: config.NewSecret("[" + list + "]")}}, Now: time.Now}
		var told []string
		doctor := operate.Doctor{Settings: env.Settings, Now: env.Now, Gateways: env.Gateways, Senders: env.OpenSenders}
		doctor.Channels(t.Context(), checked, func(f store.Finding) {
			if !f.OK {
				told = append(told, f.What)
			}
		})
		got := strings.Join(told, "\n")
		if want == "" && got != "" || !strings.Contains(got, want) || strings.Contains(got, "canary") {
			t.Errorf("%s: doctor says %q, want %q", list, got, want)
		}
	}
}

// TestDoctorTriesThroughTheProxy: what the channels can reach only through a proxy, doctor tries through it too, and says so.
func TestDoctorTriesThroughTheProxy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	proxy := channeltest.NewProxy(t)
	proxy.Knows("hooks.example.com:443", ln.Addr().String())
	t.Setenv("HTTP_PROXY", proxy.URL())
	t.Setenv("HTTPS_PROXY", strings.Replace(proxy.URL(), "http://", "http://care:canary@", 1))
	t.Setenv("NO_PROXY", "")
	doctor := func(url string) (told []string) {
		env := &daemon.Env{Settings: &config.Settings{Webhook: config.Webhook{URL: config.NewSecret(url)}}, Now: time.Now}
		doctor := operate.Doctor{Settings: env.Settings, Now: env.Now, Gateways: env.Gateways, Senders: env.OpenSenders}
		doctor.Channels(t.Context(), nil, func(f store.Finding) {
			mark := "- "
			if f.OK {
				mark = "+ "
			}
			told = append(told, mark+f.What)
			if strings.Contains(f.What+f.Remedy, "canary") {
				t.Errorf("a secret is told: %+v", f)
			}
		})
		return told
	}
	at := proxy.Address()
	for url, want := range map[string]string{
		"https://hooks.example.com/canary":  "+ webhook endpoint hooks.example.com:443 answers through the proxy " + at,
		"https://other.example.com/canary":  "- webhook endpoint other.example.com:443 cannot be reached through the proxy " + at + ": the proxy refused the connection with status 502",
		"http://hooks.example.com/canary":   "+ webhook endpoint hooks.example.com:80 is asked through the proxy " + at + ", which answers",
		"http://" + ln.Addr().String() + "": "+ webhook endpoint " + ln.Addr().String() + " answers",
	} {
		if diff := cmp.Diff([]string{want}, doctor(url)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
	proxy.Refuse(http.StatusProxyAuthRequired)
	if got := doctor("https://hooks.example.com/canary"); len(got) != 1 || !strings.HasSuffix(got[0], "with status 407") {
		t.Errorf("%q", got)
	}
}

// A mailbox that cannot be asked is named by its setting, without the password.
func TestDoctorNamesTheMailboxByItsSetting(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{"imaps://canary:canary@h?starttls=never": "CARE_BOUNCE_IMAP_URL", "imaps://me:canary@127.0.0.1:1/INBOX": "CARE_BOUNCE_IMAP_URL"} {
		set := &config.Settings{}
		set.Bounce.IMAP.URL = config.NewSecret(raw)
		doctor := operate.Doctor{Settings: set, Now: time.Now}
		var told []string
		doctor.Mailbox(t.Context(), func(f store.Finding) { told = append(told, fmt.Sprint(f)) })
		if len(told) != 1 || !strings.Contains(told[0], want) || strings.Contains(told[0], "canary") {
			t.Errorf("%s: doctor says %q", raw, told)
		}
	}
}

// What an SMS account is worth is said in the reader's language; one that runs empty is a fault.
func TestDoctorSaysWhatAccountsAreWorth(t *testing.T) {
	t.Parallel()
	worth := `{"balance": 7.5}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, worth) }))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "gateways"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := "url: " + srv.URL + "/send?to={to}&text={text}\nbalance: {url: /balance, value: /balance, low: 10}\n"
	if err := os.WriteFile(filepath.Join(dir, "gateways", "acme.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	env := &daemon.Env{Settings: &config.Settings{SMS: config.SMS{Gateway: "acme"}}, Now: time.Now}
	for _, tt := range []struct{ answer, locale, want string }{
		{`{"balance": 7.5}`, "en", "false SMS gateway acme: the account is worth 7.5, less than 10"},
		{`{"balance": 70}`, "zh-CN", "true 短信网关 acme：账户余额 70"},
		{`{}`, "zh-CN", "false 短信网关 acme 没有给出账户余额：the answer has no balance at /balance"},
	} {
		worth = tt.answer
		doctor := operate.Doctor{Settings: env.Settings, Now: env.Now, Gateways: env.Gateways, Words: texts.For(tt.locale)}
		doctor.Senders = func(fs.FS) (*operate.Senders, error) { return env.OpenSenders(os.DirFS(dir)) }
		var told []string
		doctor.SendersOf(t.Context(), func(f store.Finding) { told = append(told, fmt.Sprint(f.OK, " ", f.What)) })
		if diff := cmp.Diff([]string{tt.want}, told); diff != "" {
			t.Error(diff)
		}
	}
}
