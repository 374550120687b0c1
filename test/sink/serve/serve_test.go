package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJournalGoesOnAfterATornLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "j")
	j, err := openJournal(file)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	first := Entry{Kind: KindSMTP, Event: EventAccept, ID: "a", Attempt: 1, At: at, To: []string{"x@example.com"}}
	if err := j.add(&Entry{Kind: KindSMTP, Event: EventAccept, ID: "a", At: at, To: first.To}); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, `{"kind":"smtp","id":"torn`...), 0o644); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(file); err != nil {
		t.Fatal(err)
	}
	if err := j.add(&Entry{Kind: KindSMTP, Event: EventFault, ID: "a", At: at}); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	got, err := ParseJournal(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Entry{first, {Kind: KindSMTP, Event: EventFault, ID: "a", Attempt: 2, At: at}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := ParseJournal([]byte("{}\nnot json\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("damage in the middle: %v", err)
	}
}

func TestRulesCount(t *testing.T) {
	t.Parallel()
	r := newRules(Faults{
		SMTP: []SMTPFault{{At: AtMail, Do: DoReset, When: When{After: 2, Times: 3}}, {At: AtMail, Do: DoSlow}},
		HTTP: []HTTPFault{{Path: "/sms", Do: DoStatus, When: When{Percent: 20}}},
	})
	var got []string
	for range 7 {
		got = append(got, r.forSMTP(AtMail).Do)
	}
	if diff := cmp.Diff([]string{DoSlow, DoSlow, DoReset, DoReset, DoReset, DoSlow, DoSlow}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if f := r.forSMTP(AtQuit); f.Do != "" {
		t.Errorf("quit: %+v", f)
	}
	hits := 0
	for range 10000 {
		if r.forHTTP("/sms/x", "").Do != "" {
			hits++
		}
	}
	// 2000 are expected with a standard deviation of 40: ten of them will not happen by chance.
	if hits < 1600 || hits > 2400 {
		t.Errorf("20 %% hit %d of 10000", hits)
	}
	if f := r.forHTTP("/webhook", ""); f.Do != "" {
		t.Errorf("another path: %+v", f)
	}
}

func TestARuleSparesIDs(t *testing.T) {
	t.Parallel()
	r := newRules(Faults{HTTP: []HTTPFault{{Do: DoStatus, Spare: ".task.", When: When{Times: 1}}}})
	if f := r.forHTTP("/webhook", "m1.task.1"); f.Do != "" {
		t.Errorf("a spared id: %+v", f)
	}
	if f := r.forHTTP("/webhook", "m2"); f.Do != DoStatus {
		t.Errorf("the first that is not spared: %+v", f)
	}
}

func TestMixedTransactionsMeetEveryFaultEverywhere(t *testing.T) {
	t.Parallel()
	r := newRules(Faults{SMTP: []SMTPFault{{At: AtRandom, Do: DoMixed, When: When{Percent: 50}}}})
	seen := map[string]int{}
	for range 4000 {
		f := r.forTransaction()
		seen[f.At+":"+f.Do+":"+f.Text]++
		if g := r.forSMTP(AtMail); g.Do != "" {
			t.Fatalf("a random rule applied to a verb: %+v", g)
		}
	}
	if n := seen["::"]; n < 1600 || n > 2400 {
		t.Errorf("50 %% spared %d of 4000", n)
	}
	for _, at := range transactionPlaces {
		for _, what := range []string{"reply:4.3.0 mixed fault", "reply:5.0.0 mixed fault", "hang:", "reset:"} {
			never := at == AtMail && what == "reply:5.0.0 mixed fault" // it would be about the sender, and so about every message
			if n := seen[at+":"+what]; (n == 0) != never {
				t.Errorf("%s:%s %d times", at, what, n)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]Faults{
		"place":    {SMTP: []SMTPFault{{At: "starttls", Do: DoReset}}},
		"deed":     {SMTP: []SMTPFault{{At: AtMail, Do: DoEndless}}},
		"lost yes": {SMTP: []SMTPFault{{At: AtMail, Do: DoLostYes}}},
		"http":     {HTTP: []HTTPFault{{Do: "explode"}}},

		"kill at a verb":         {SMTP: []SMTPFault{{At: AtMail, Do: DoKill, PIDFile: "p"}}},
		"kill nobody":            {SMTP: []SMTPFault{{At: AtBody, Do: DoKill}}},
		"slow at the first byte": {SMTP: []SMTPFault{{At: AtFirstByte, Do: DoSlow}}},
		"kill nobody by http":    {HTTP: []HTTPFault{{Do: DoKill}}},
		"reset at a place":       {HTTP: []HTTPFault{{At: AtFirstByte, Do: DoReset}}},
	} {
		if f.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
