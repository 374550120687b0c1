//go:build e2e

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
)

// twilio is Prism with Twilio's own OpenAPI document, behind an ear that listens to what is asked and how Prism judges it.
type twilio struct {
	url string

	mu    sync.Mutex
	asked []twilioRequest
}

type twilioRequest struct {
	path, user string
	form       url.Values
	status     int
	answer     string
}

// prism starts it. Prism answers a request that breaks the document with 422, or 401 for the wrong kind of authorization.
func prism(t *testing.T) *twilio {
	t.Helper()
	dir := npm(t, "@stoplight/prism-cli@5.14.2")
	document, err := filepath.Abs("testdata/twilio-oai.json")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(peers.FreePorts(t, 1)[0])
	p := peers.Daemon(t, filepath.Join(dir, "node_modules/.bin/prism"), nil, "mock", "--errors", "-m", "false", "-h", "127.0.0.1", "-p", port, document)
	at := net.JoinHostPort("127.0.0.1", port)
	peers.Eventually(t, 60*time.Second, "Prism listens", func() error {
		if !p.Running() {
			t.Fatalf("Prism has ended:\n%s", p.Logs())
		}
		conn, err := net.DialTimeout("tcp", at, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	w := &twilio{}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: at})
	forward.ModifyResponse = w.note
	ear := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set("X-Ear", string(body))
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(ear.Close)
	w.url = ear.URL
	return w
}

func (w *twilio) note(res *http.Response) error {
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	form, err := url.ParseQuery(res.Request.Header.Get("X-Ear"))
	if err != nil {
		return err
	}
	user, _, _ := res.Request.BasicAuth()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, twilioRequest{res.Request.URL.Path, user, form, res.StatusCode, string(answer)})
	return nil
}

// to returns what was asked for a number.
func (w *twilio) to(number string) []twilioRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.asked), func(r twilioRequest) bool { return r.form.Get("To") != number })
}

// callTwilio posts what Twilio posts, signed with an account's token (facts: X-Twilio-Signature).
func (o *opened) callTwilio(token, address string, form url.Values) (int, string) {
	o.t.Helper()
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := o.client.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// Two accounts of Twilio stand side by side. What is asked of them and how the answer is read is judged by Twilio's own document; what
// each account signs counts for that account only.
func TestTwilioByItsOwnDocument(t *testing.T) {
	o := open(t, false)
	w := prism(t)
	accounts := filepath.Join(t.TempDir(), "accounts.yaml")
	list := fmt.Sprintf(`- {name: us, gateway: twilio, url: %[1]q, user: AC%032[2]d, password: canary-token-us, from: MG%032[2]d, prefixes: ["+1"]}
- {name: cn, gateway: twilio, url: %[1]q, user: AC%032[3]d, password: canary-token-cn, from: "+12125550100"}
`, w.url, 1, 2)
	if err := os.WriteFile(accounts, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	o.env = slices.DeleteFunc(o.env, func(v string) bool { return strings.HasPrefix(v, "CARE_SMS_") })
	o.set("CARE_SMS_ACCOUNTS_FILE=" + accounts)
	near, far := o.person("NEAR", care.SMS, o.bornToday), o.person("FAR", care.SMS, o.bornToday)
	far.Phone = "+12125550199"
	o.put([]care.Customer{near, far})
	p := o.serve()

	for _, tt := range []struct {
		customer             care.Customer
		account, user, other string
	}{{far, "us", fmt.Sprintf("AC%032d", 1), "cn"}, {near, "cn", fmt.Sprintf("AC%032d", 2), "us"}} {
		r := o.state(tt.customer.ID, "birthday", care.StateSent)
		if got := r.Attempts[len(r.Attempts)-1]; got.Gateway != tt.account || got.Provider == "" || r.Parts == 0 {
			t.Errorf("%s: %+v, %d parts", tt.customer.ID, got, r.Parts)
		}
		asked := w.to(tt.customer.Phone)
		if len(asked) != 1 || asked[0].status != http.StatusCreated || asked[0].user != tt.user || asked[0].path != "/2010-04-01/Accounts/"+tt.user+"/Messages.json" {
			t.Fatalf("%s: Prism was asked %+v", tt.customer.ID, asked)
		}
		back := asked[0].form.Get("StatusCallback")
		if !strings.HasPrefix(back, o.public+"/hooks/sms/"+tt.account+"?") {
			t.Errorf("the receipt is to go to %s", back)
		}
		report := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}, "AccountSid": {tt.user}, "To": {tt.customer.Phone}, "ApiVersion": {"2010-04-01"}}
		if code, _ := o.callTwilio("canary-token-"+tt.other, back, report); code != http.StatusForbidden {
			t.Errorf("a receipt that the other account signed: %d", code)
		}
		if r := o.state(tt.customer.ID, "birthday", care.StateSent); r.State != care.StateSent {
			t.Errorf("it counted: %s", r.State)
		}
		if code, body := o.callTwilio("canary-token-"+tt.account, back, report); code != http.StatusOK || body != "<Response></Response>" {
			t.Errorf("a receipt: %d %q", code, body)
		}
		o.state(tt.customer.ID, "birthday", care.StateDelivered)
	}

	stop := url.Values{"MessageSid": {"SM2"}, "From": {far.Phone}, "To": {"+12125550100"}, "Body": {"Stop"}, "OptOutType": {"STOP"}}
	if code, _ := o.callTwilio("canary-token-us", o.public+"/hooks/sms/us", stop); code != http.StatusOK {
		t.Errorf("a reply: %d", code)
	}
	if e := o.told(far.ID, "opt_out"); e.Value != "sms" {
		t.Errorf("the opt-out is %+v", e)
	}

	// The judge judges: the same request without its recipient is refused.
	bad := w.to(far.Phone)[0].form
	bad.Del("To")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/2010-04-01/Accounts/"+fmt.Sprintf("AC%032d", 1)+"/Messages.json", strings.NewReader(bad.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("AC", "x")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("Prism takes a request without To: %d", res.StatusCode)
	}
	if strings.Contains(p.Logs(), "canary") {
		t.Error("the log tells an account's token")
	}
}
