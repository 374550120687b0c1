//go:build e2e || faults

package faults

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
)

// The keys of row 44.
const (
	oldKey = "zZ0-first-key-of-a-test-8Qw3Er5Ty7U"
	newKey = "yY1-other-key-of-a-test-9Aa2Ss4Dd6F"
)

// A key is changed as the manual says: in front of the old one, then without it. Who said stop stays left alone, under every id, and no
// callback is refused; a process without the addresses' key does not start.
func TestRow44KeyRotation(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{channels: []care.Channel{care.SMS}})
	env, n := h.env, pick(40, 2000)
	stopped, refused := 0, 0
	for phase, keys := range [][]string{
		{"CARE_SECRET_KEY=" + oldKey}, {"CARE_SECRET_KEY=" + newKey + "," + oldKey}, {"CARE_SECRET_KEY=" + newKey, "CARE_ADDRESS_KEY=" + oldKey},
	} {
		h.env = append(append([]string(nil), env...), keys...)
		from := h.next
		h.customers(n, care.SMS, false)
		h.twins(stopped) // of everybody who has said stop: not planned, so a text to one is a broken promise
		h.release()
		r := h.serve()
		h.awaitDrained(time.Minute)
		token := newKey
		if phase == 0 || phase == 1 {
			token = oldKey // the gateway has the old URL still
		}
		for i := from + 1; i <= from+n/2; i++ {
			number := fmt.Sprintf("138%d%07d", i%10, i)
			if err := r.reply(token, []string{number, "86" + number, "0086" + number, "+86" + number}[i%4], []string{"STOP", "退订 谢谢", "别发了", "Stop. Thank you"}[i/4%4], i); err != nil {
				t.Error(err)
			}
		}
		stopped = h.next
		r.term(20 * time.Second)
	}
	// Once more for those of the last phase.
	h.twins(stopped)
	r := h.serve()
	time.Sleep(5 * time.Second)
	r.term(20 * time.Second)
	for _, keys := range [][]string{{"CARE_SECRET_KEY=" + newKey}, {"CARE_SECRET_KEY=" + newKey, "CARE_ADDRESS_KEY=" + newKey}} {
		h.env = append(append([]string(nil), env...), keys...)
		without := h.replica()
		if err := without.Wait(20 * time.Second); err == nil || !strings.Contains(without.Logs(), "CARE_ADDRESS_KEY") {
			t.Errorf("it started, or did not say why not: %v\n%s", err, last(without.Logs()))
			continue
		}
		refused++
	}
	h.env = append(append([]string(nil), env...), "CARE_SECRET_KEY="+newKey, "CARE_ADDRESS_KEY="+oldKey)
	if f := h.judge("44", fmt.Sprintf("3 phases, stops %d, to a stopped number 0, starts without the key refused %d of 2", 3*(n/2), refused)); f.Sent != f.Planned {
		t.Error("want all sent")
	}
}

// twins writes a second record, with another id, of everybody among the first n who has said stop: half of each phase.
func (h *house) twins(n int) {
	h.t.Helper()
	each := pick(40, 2000)
	for i := 1; i <= n; i++ {
		if (i-1)%each >= each/2 {
			continue
		}
		id := fmt.Sprintf("T%07d", i)
		doc := fmt.Sprintf(`{"id":%q,"dealer":"d","name":"Wang %d","phone":"138%d%07d","tags":["sms"]}`, id, i, i%10, i)
		if err := h.client.Set(h.t.Context(), "care:customer:"+id, doc, 0).Err(); err != nil {
			h.t.Fatal(err)
		}
	}
}

// reply is a text that the gateway posts.
func (r *replica) reply(key, from, text string, id int) error {
	secret := config.NewSecret(key)
	q := url.Values{"token": {sms.CallbackToken(secret.Derive("callbacks"), "kannel")}, "from": {from}, "to": {"1069"}, "text": {text}, "id": {fmt.Sprint(id)}}
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/hooks/sms/kannel?%s", r.public, q.Encode()))
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway's reply was answered %s", res.Status)
	}
	return nil
}
