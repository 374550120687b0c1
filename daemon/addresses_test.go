package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/service/operate"
)

const (
	keyOne = "zZ0-first-key-of-a-test-8Qw3Er5Ty7U"
	keyTwo = "yY1-other-key-of-a-test-9Aa2Ss4Dd6F"
)

// household is a daemon with stores in seven countries whose customers each have a text and a mail due on their birthday.
type household struct {
	t *testing.T
	*Daemon
	set *config.Settings
}

// addressBook writes the book: every customer has a text and a mail on the birthday.
func addressBook(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var dealers strings.Builder
	dealers.WriteString("dealers:\n")
	for name, country := range map[string]string{"sh": "CN", "ny": "US", "tw": "TW", "hk": "HK", "de": "DE", "gb": "GB", "sg": "SG"} {
		fmt.Fprintf(&dealers, "  - {dealer: %s, name: %s, time_zone: UTC, locale: en, country: %s, phone: \"+862150000000\", address: 1 Road, from: {name: A, email: a@a.example}, "+
			"sms_signature: A, consent_default: {service: true}, quiet_hours: {default: none}, caps: {default: none}}\n", name, name, country)
	}
	write(t, filepath.Join(dir, "dealers.yaml"), dealers.String())
	for _, ch := range []string{"sms", "email"} {
		write(t, filepath.Join(dir, "programs", "by-"+ch+".yaml"), "program: by-"+ch+"\ntrigger: {on: birthday}\nexpires: 3d\nchannels: ["+ch+"]\nsteps: [{step: s, template: t}]\n")
	}
	write(t, filepath.Join(dir, "templates", "t", "en", "sms.txt"), "Hello {{ customer.name }}\n")
	write(t, filepath.Join(dir, "templates", "t", "en", "email.md"), "---\nsubject: Hello\n---\nHello {{ customer.name }}\n")
	return dir
}

// live starts a daemon on a Redis with these keys.
func live(t *testing.T, redisURL, book string, keys, addressKey string) (*household, error) {
	t.Helper()
	set := &config.Settings{
		RedisURL: config.NewSecret(redisURL), Listen: "127.0.0.1:0", PublicListen: "127.0.0.1:0", PublicURL: "https://care.example", Book: book,
		DryRun: true, Sweep: "@every 15m", AddressKey: config.NewSecret(addressKey),
	}
	if err := set.SecretKey.Set(keys); err != nil {
		t.Fatal(err)
	}
	set.SMS = config.SMS{Gateway: "kannel", URL: "http://127.0.0.1:1/", User: "u", Password: config.NewSecret("p")}
	env := &Env{Settings: set, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Now: time.Now, Version: "test"}
	d, err := env.New(t.Context(), Parts{})
	if err != nil {
		return nil, err
	}
	d.Start()
	h := &household{t: t, Daemon: d, set: set}
	t.Cleanup(h.stop)
	return h, nil
}

func (h *household) stop() {
	if err := h.Stop(context.Background()); err != nil {
		h.t.Errorf("stop: %v", err)
	}
}

func newHousehold(t *testing.T) *household {
	t.Helper()
	h, err := live(t, startRedis(t, "everysec").URL(), addressBook(t), keyOne, "")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// put writes a customer's record.
func (h *household) put(id, dealer, phone, email string) {
	h.t.Helper()
	birthday := time.Now().UTC().AddDate(0, 0, 20).Format("01-02")
	doc := fmt.Sprintf(`{"id":%q,"dealer":%q,"name":"Doe","phone":%q,"email":%q,"birthday":"--%s"}`, id, dealer, phone, email, birthday)
	if _, err := h.store.Merge(h.t.Context(), []string{id}, func(int, []byte) ([]byte, error) { return []byte(doc), nil }); err != nil {
		h.t.Fatal(err)
	}
}

// fate says what becomes of a customer's next message by a channel: send, or why not.
func (h *household) fate(id string, ch care.Channel) string {
	h.t.Helper()
	facts, err := h.store.Facts(h.t.Context(), []string{id})
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	for _, o := range h.book.Load().Planner.Plan(facts[0], scheduler.Request{From: now, To: now.AddDate(0, 0, 40), Now: now}) {
		if o.Program == "by-"+string(ch) {
			if o.Verdict == care.Send {
				return "send"
			}
			return o.Reason
		}
	}
	return "nothing"
}

// text has the gateway post a customer's text, with the token of a key.
func (h *household) text(key, from, text, id string) int {
	h.t.Helper()
	keys := h.set.CallbackKeys()
	for i, k := range h.set.SecretKey {
		if k.Reveal() == key {
			keys = keys[i:]
		}
	}
	q := url.Values{"token": {sms.CallbackToken(keys[0], "kannel")}, "from": {from}, "to": {"1069"}, "text": {text}}
	if id != "" {
		q.Set("id", id)
	}
	return h.post("/hooks/sms/kannel?" + q.Encode())
}

// unsubscribe is the one-click POST of a mail program.
func (h *household) unsubscribe(keys [][]byte, id string) int {
	h.t.Helper()
	link := token.NewSigner(keys...).Sign(token.Token{Purpose: token.Unsubscribe, Customer: id, Channel: care.Email})
	return h.post("/u/" + link)
}

func (h *household) post(path string) int {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.PublicAddr()+path, strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func (h *household) want(id string, ch care.Channel, fate string) {
	h.t.Helper()
	if got := h.fate(id, ch); got != fate {
		h.t.Errorf("%s by %s: %s, want %s", id, ch, got, fate)
	}
}

// TestAStopHoldsForTheNumber: in whatever spelling a gateway writes a number, whether it was texted before or not, whoever has it now or
// gets it later; until START comes from it.
func TestAStopHoldsForTheNumber(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	for i, tt := range []struct{ dealer, record, from string }{
		{"ny", "+12125550125", "+12125550125"},
		{"ny", "(212) 555-0124", "2125550124"},
		{"ny", "212-555-0126", "12125550126"},
		{"ny", "+12125550127", "0012125550127"},
		{"ny", "+12125550128", " 12125550128"},
		{"ny", "2125550129", "+2125550129"},
		{"gb", "+447911123456", "07911123456"},
		{"gb", "07911 123457", "447911123457"},
		{"gb", "+447911123458", "00447911123458"},
		{"gb", "+44 7911 123459", "+4407911123459"},
		{"sg", "91234567", "91234567"},
		{"sg", "+6591234568", "6591234568"},
		{"hk", "5123 4567", "85251234567"},
		{"hk", "+85251234568", "51234568"},
		{"tw", "0912345678", "886912345678"},
		{"tw", "+886912345679", "0912345679"},
		{"de", "0170 1234567", "491701234567"},
		{"de", "+491701234568", "01701234568"},
		{"sh", "13800138000", "13800138000"},
		{"sh", "+8613800138001", "8613800138001"},
		{"sh", "138-0013-8002", "008613800138002"},
		{"sh", "13800138003", "+86 138 0013 8003"},
	} {
		first, again := fmt.Sprintf("G%d", i), fmt.Sprintf("L%d", i)
		h.put(first, tt.dealer, tt.record, "")
		h.want(first, care.SMS, "send")
		if code := h.text(keyOne, tt.from, "Stop. Thank you", fmt.Sprintf("r%d", i)); code != http.StatusOK {
			t.Fatalf("%s: %d", tt.from, code)
		}
		h.put(again, tt.dealer, tt.record, "")
		h.want(first, care.SMS, "opted_out")
		h.want(again, care.SMS, "opted_out")
		h.text(keyOne, tt.from, "START", fmt.Sprintf("s%d", i))
		h.want(first, care.SMS, "send")
		h.want(again, care.SMS, "send")
	}
	// A number that nobody has: the stop is there when somebody comes with it.
	h.text(keyOne, "2125550200", "UNSUBSCRIBE", "x")
	h.put("N1", "ny", "+1 212 555 0200", "n@example.com")
	h.want("N1", care.SMS, "opted_out")
	h.want("N1", care.Email, "send")
	// One that two countries of the book have: it is both of them who may have said it.
	h.put("CN", "sh", "13125550123", "")
	h.put("US", "ny", "+13125550123", "")
	h.text(keyOne, "13125550123", "退订", "y")
	h.want("CN", care.SMS, "opted_out")
	h.want("US", care.SMS, "opted_out")
}

// TestAnOldStartIsNoNewOne: the START of before, posted again after fifty other texts, lifts no STOP.
func TestAnOldStartIsNoNewOne(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.put("G1", "ny", "+12125550125", "")
	h.text(keyOne, "12125550125", "START", "A")
	h.text(keyOne, "12125550125", "STOP", "B")
	for i := range 55 {
		h.text(keyOne, "12125550125", "what about my car", fmt.Sprintf("other%d", i))
	}
	h.text(keyOne, "12125550125", "START", "A")
	h.want("G1", care.SMS, "opted_out")
	h.text(keyOne, "12125550125", "START", "C")
	h.want("G1", care.SMS, "send")
	// Without ids: a STOP always counts, and the same START again does not.
	h.text(keyOne, "12125550125", "start", "")
	h.text(keyOne, "12125550125", "stop", "")
	h.text(keyOne, "12125550125", "start", "")
	h.want("G1", care.SMS, "opted_out")
}

// TestOneClickHoldsForTheMailbox: whoever else has the mailbox is left alone too, in whatever letters it is written; other mailboxes and the
// number are not; and the reason is named, also beside a channel that there never was.
func TestOneClickHoldsForTheMailbox(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	write(t, filepath.Join(h.set.Book, "programs", "by-webhook.yaml"), "program: by-webhook\ntrigger: {on: birthday}\nexpires: 3d\nchannels: [preferred, sms, email]\nsteps: [{step: s, template: t}]\n")
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	for id, mail := range map[string]string{"E1": "cat@example.com", "E2": "cat@example.com", "E3": "Cat@Example.COM", "E4": " cat@example.com", "E5": "ｃａｔ@example.com", "O1": "other@example.com"} {
		h.put(id, "ny", "", mail)
		h.want(id, care.Email, "send")
	}
	if code := h.unsubscribe(h.set.LinkKeys(), "E1"); code != http.StatusOK {
		t.Fatal(code)
	}
	h.put("E6", "de", "+491701234567", "cat@example.com")
	for _, id := range []string{"E1", "E2", "E3", "E4", "E5", "E6"} {
		h.want(id, care.Email, "opted_out")
	}
	for _, id := range []string{"E1", "E2", "E3"} {
		h.want(id, care.Webhook, "opted_out") // of sms and email, not no_channel
	}
	h.want("E6", care.SMS, "send")
	h.want("O1", care.Email, "send")
	// What the operator sees of it.
	ops := h.operate()
	d, err := ops.Customer(t.Context(), care.CommandLine(), "E2")
	if err != nil || d.Overlay == nil || d.Overlay.Stops["email"].Source != "one_click" {
		t.Errorf("export of E2: %+v, %v", d, err)
	}
	x, err := (&insight.Service{Store: h.store, Book: ops.Book, Now: time.Now}).Explain(t.Context(), care.CommandLine(), insight.ExplainOptions{Customer: "E2", Locale: "en"})
	if err != nil || len(x.Channels) == 0 || len(x.Channels[0].Stops) == 0 && len(x.Channels[1].Stops) == 0 {
		t.Errorf("explain of E2: %+v, %v", x, err)
	}
}

func (h *household) operate() *operate.Service {
	return &operate.Service{Store: h.store, Book: func() (*carebook.Compiled, error) { return h.book.Load(), nil }, Now: time.Now, Log: h.log}
}

// TestAnErasedCustomerStaysErased: a record that comes with their number or mailbox later is not served, whatever its id, until an operator
// allows it; who had the address before is.
func TestAnErasedCustomerStaysErased(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	ops, who := h.operate(), care.CommandLine()
	h.put("000123", "ny", "+12125550126", "ida@example.com")
	h.put("SPOUSE", "ny", "(212) 555-0126", "ian@example.com")
	if _, err := ops.Erase(t.Context(), who, "000123", true); err != nil {
		t.Fatal(err)
	}
	h.put("000123", "ny", "+12125550126", "ida@example.com")
	for id, at := range map[string][2]string{
		"123": {"+12125550126", "ida@example.com"}, "000123.0": {"2125550126", ""}, "A": {"", "Ida@EXAMPLE.com"}, "B": {"212.555.0126", "new@example.com"}, "C": {"+1 (212) 555-0126", ""},
	} {
		h.put(id, "ny", at[0], at[1])
		for ch, address := range map[care.Channel]string{care.SMS: at[0], care.Email: at[1]} {
			if address != "" {
				h.want(id, ch, "erased")
			}
		}
	}
	h.want("000123", care.SMS, "erased")
	h.want("SPOUSE", care.SMS, "send")
	h.want("SPOUSE", care.Email, "send")
	h.put("D", "ny", "+12125550199", "d@example.com")
	h.want("D", care.SMS, "send")

	found := map[string]bool{}
	_, err := (&insight.Service{Store: h.store, Book: ops.Book, Now: time.Now}).Hygiene(t.Context(), who, insight.HygieneOptions{}, func(f insight.Flaw) error {
		found[f.Kind+" "+f.Customer] = true
		return nil
	})
	if err != nil || !found["erased_address 123"] || !found["erased_address A"] || found["erased_address SPOUSE"] || found["erased_address D"] {
		t.Errorf("hygiene: %v, %v", found, err)
	}

	if changed, err := ops.Allow(t.Context(), who, "123"); err != nil || !changed {
		t.Errorf("allow: %t, %v", changed, err)
	}
	h.want("123", care.SMS, "send")
	h.want("B", care.SMS, "erased")
	if changed, err := ops.Allow(t.Context(), who, "D"); err != nil || changed {
		t.Errorf("allow of one who is not held back: %t, %v", changed, err)
	}
	if _, err := ops.Allow(t.Context(), who, "000123"); err == nil {
		t.Error("an erased id was allowed")
	}
	// The spouse is erased too: nobody else is served by that.
	if _, err := ops.Erase(t.Context(), who, "SPOUSE", true); err != nil {
		t.Fatal(err)
	}
	h.put("SPOUSE2", "ny", "(212) 555-0126", "")
	h.want("SPOUSE2", care.SMS, "erased")
	h.want("123", care.SMS, "send")
}

// TestKeysRotate: K1, then K2 in front of it, then K2 alone with K1 for the addresses. Stops, dead mailboxes, links and callback URLs go on;
// without K1 a daemon does not start.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	redis, book := startRedis(t, "everysec").URL(), addressBook(t)
	h, err := live(t, redis, book, keyOne, "")
	if err != nil {
		t.Fatal(err)
	}
	h.put("G1", "ny", "+12125550125", "g@example.com")
	h.put("G2", "ny", "+12125550126", "h@example.com")
	h.put("G3", "ny", "+12125550127", "g3@example.com")
	h.text(keyOne, "12125550125", "STOP", "1")
	hash := h.book.Load().HashAddress("h@example.com")
	if err := h.store.UpdateAddress(t.Context(), hash, func(a *care.AddressState) {
		a.Dead = care.Suppression{Channel: care.Email, Hash: hash, Reason: "5.1.1", At: time.Now()}
	}); err != nil {
		t.Fatal(err)
	}
	oldLinks := h.set.LinkKeys()
	check := func(h *household) {
		t.Helper()
		h.want("G1", care.SMS, "opted_out")
		h.want("G2", care.Email, "suppressed_address")
	}
	check(h)
	h.stop()

	if h, err = live(t, redis, book, keyTwo+","+keyOne, ""); err != nil {
		t.Fatal(err)
	}
	check(h)
	for i, key := range []string{keyOne, keyTwo} { // the gateway has the old URL still
		if code := h.text(key, "12125550126", "STOP", fmt.Sprint("2", i)); code != http.StatusOK {
			t.Errorf("a callback with key %d: %d", i+1, code)
		}
	}
	h.want("G2", care.SMS, "opted_out")
	if code := h.unsubscribe(oldLinks, "G3"); code != http.StatusOK {
		t.Errorf("a link of before: %d", code)
	}
	h.want("G3", care.Email, "opted_out")
	newLinks := h.set.LinkKeys()[:1]
	h.stop()

	for name, keys := range map[string][2]string{"K2 alone": {keyTwo, ""}, "no key": {"", ""}, "another address key": {keyTwo + "," + keyOne, keyTwo}} {
		if _, err := live(t, redis, book, keys[0], keys[1]); err == nil || !strings.Contains(err.Error(), "CARE_ADDRESS_KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h, err = live(t, redis, book, keyTwo, keyOne); err != nil {
		t.Fatal(err)
	}
	check(h)
	h.want("G2", care.SMS, "opted_out")
	h.want("G3", care.Email, "opted_out")
	if code := h.text(keyTwo, "12125550127", "STOP", "3"); code != http.StatusOK {
		t.Errorf("a callback with the new key: %d", code)
	}
	h.want("G3", care.SMS, "opted_out")
	if code := h.unsubscribe(newLinks, "G1"); code != http.StatusOK {
		t.Errorf("a link of the second key: %d", code)
	}
	if code := h.unsubscribe(oldLinks, "G1"); code == http.StatusOK {
		t.Error("a link of the key that has gone is taken")
	}
}
