package sink

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink/serve"
)

// A process is killed when the first byte of the second message has come, or when all of it has: what was accepted until then is in the
// journal, and there is no answer.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, at := range []string{serve.AtFirstByte, serve.AtBody} {
		for _, kind := range []string{serve.KindSMTP, serve.KindWebhook} {
			t.Run(at+" "+kind, func(t *testing.T) {
				t.Parallel()
				pid := filepath.Join(t.TempDir(), "pid")
				kill := When{After: 1, Times: 1}
				place := at
				if at == serve.AtBody {
					place = "" // of an HTTP request
				}
				s := Start(t, Options{Faults: Faults{
					SMTP: []SMTPFault{{At: at, Do: serve.DoKill, PIDFile: pid, When: kill}},
					HTTP: []HTTPFault{{At: place, Do: serve.DoKill, PIDFile: pid, When: kill}},
				}})
				victim := peers.Daemon(t, "/bin/sleep", nil, "60")
				hand := map[string]func(id string) string{serve.KindSMTP: func(id string) string { return mailTo(t, s, id) }, serve.KindWebhook: func(id string) string { return post(t, s, id) }}[kind]
				first := hand("m1")
				if !victim.Running() {
					t.Error("it was killed at the first message")
				}
				if err := os.WriteFile(pid, fmt.Appendln(nil, victim.Pid()), 0o644); err != nil {
					t.Fatal(err)
				}
				second := hand("m2")
				if err := victim.Wait(5 * time.Second); err == nil || victim.Running() {
					t.Errorf("the process ended with %v, want to be killed", err)
				}
				if diff := cmp.Diff([]string{"yes", "none"}, []string{first, second}); diff != "" {
					t.Errorf("answers (-want +got)\n%s", diff)
				}
				want := map[string]int{"m1": 1}
				if at == serve.AtBody {
					want["m2"] = 1
				}
				if diff := cmp.Diff(want, s.Accepts()); diff != "" {
					t.Errorf("accepts (-want +got)\n%s", diff)
				}
			})
		}
	}
}

// mailTo sends a message over a connection of its own and says whether the answer was yes.
func mailTo(t *testing.T, s *Sink, id string) string {
	t.Helper()
	c := dial(t, s)
	for _, v := range verbs(id) {
		c.say(v[1])
		answer := c.read(5 * time.Second)
		if v[0] == serve.AtBody {
			if answer == "250" {
				return "yes"
			}
			break
		}
	}
	return "none"
}

func post(t *testing.T, s *Sink, id string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	res, err := plain.Do(request(t, ctx, http.MethodPost, s.WebhookURL(), "{}", "webhook-id", id))
	if err != nil {
		return "none"
	}
	res.Body.Close()
	return "yes"
}
