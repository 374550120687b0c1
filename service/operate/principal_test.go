package operate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/store/redistest"
)

var (
	nobody = care.Principal{}
	ofA    = care.Principal{Name: "Chen", Role: "operator", Dealers: []string{"a"}}
	ofBoth = care.Principal{Name: "Li", Role: "operator", Dealers: []string{"a", "b"}}
	now    = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

// twoDealers is a service on a Redis with a customer of each of two dealers and one who is nobody's, for each of whom a message waits.
func twoDealers(t *testing.T) (*Service, *redis.Client) {
	t.Helper()
	dealer := func(name string) string {
		return "  - {dealer: " + name + ", name: " + name + ", time_zone: UTC, locale: en, country: CN, phone: \"+862150000000\", from: {name: A, email: a@a.example}, " +
			"sms_signature: A, consent_default: {service: true}, quiet_hours: {default: none}}\n"
	}
	files := fstest.MapFS{
		"dealers.yaml":           {Data: []byte("dealers:\n" + dealer("a") + dealer("b"))},
		"programs/p.yaml":        {Data: []byte("program: p\ntrigger: {on: birthday}\nexpires: 3d\nchannels: [sms]\nsteps: [{step: s, template: t}]\n")},
		"templates/t/en/sms.txt": {Data: []byte("Hello {{ customer.name }}\n")},
	}
	clock := func() time.Time { return now }
	book, err := carebook.Open(carebook.Options{Files: files, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	address := redistest.Run(t).URL()
	st, err := store.Open(t.Context(), store.Options{URL: address, AllowUnsafe: true, Clock: clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	opt, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opt)
	t.Cleanup(func() { _ = client.Close() })
	for id, record := range map[string]string{
		"A1": `{"id":"A1","dealer":"a","name":"Anna","phone":"13800138001","birthday":"--11-25"}`,
		"B1": `{"id":"B1","dealer":"b","name":"Bert","phone":"13800138002","birthday":"--11-25"}`,
		"X1": `{"id":"X1","dealer":"elsewhere","name":"Xena"}`,
	} {
		if err := client.Set(t.Context(), "care:customer:"+id, record, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s := &Service{Store: st, Book: func() (*carebook.Compiled, error) { return book, nil }, Now: clock, Log: slog.New(slog.DiscardHandler)}
	plan, err := asking(s).Occurrences(t.Context(), care.CommandLine(), insight.PlanOptions{Period: insight.Period{
		From: insight.Moment{Time: now.Add(-12 * time.Hour)}, To: insight.Moment{Time: now},
	}})
	if err != nil || len(plan) != 2 {
		t.Fatalf("the plan has %d messages, want 2: %v", len(plan), err)
	}
	for _, o := range plan {
		if _, err := st.Apply(t.Context(), []care.Change{{Customer: o.Customer, Add: []*care.Occurrence{o}}}); err != nil {
			t.Fatal(err)
		}
	}
	return s, client
}

func asking(s *Service) *insight.Service {
	return &insight.Service{Store: s.Store, Book: s.Book, Now: s.Now}
}

// messagesOf returns the ids of the messages that a principal is shown, by customer.
func messagesOf(t *testing.T, s *Service, who care.Principal, opt MessagesOptions) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := s.Messages(t.Context(), who, opt, func(r care.Record) error { out[r.Customer] = r.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func keys(m map[string]string) string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestMessagesAreOfTheirDealersOnly(t *testing.T) {
	t.Parallel()
	s, _ := twoDealers(t)
	for want, who := range map[string]care.Principal{"": nobody, "A1": ofA, "A1 B1": care.CommandLine()} {
		if got := keys(messagesOf(t, s, who, MessagesOptions{})); got != want {
			t.Errorf("%q is shown %q, want %q", who.Name, got, want)
		}
	}
	if got := keys(messagesOf(t, s, ofBoth, MessagesOptions{})); got != "A1 B1" {
		t.Errorf("who is bound to both is shown %q", got)
	}
	if got := messagesOf(t, s, ofBoth, MessagesOptions{Limit: 1}); len(got) != 1 {
		t.Errorf("a limit of one gives %v", got)
	}
	if got := messagesOf(t, s, ofA, MessagesOptions{Customer: "B1"}); len(got) != 0 {
		t.Errorf("another dealer's customer has %v", got)
	}

	// A decision about another dealer's message is refused like one about a message that does not exist.
	ids := messagesOf(t, s, care.CommandLine(), MessagesOptions{})
	for _, decision := range []Decision{DecideDrop, DecideRetry, DecideResend, DecideSent, DecideFailed} {
		refused := map[string]string{}
		err := s.Decide(t.Context(), ofA, decision, []string{ids["B1"], "no-such-message"}, func(id, why string) { refused[id] = why })
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{ids["B1"]: store.ErrNoMessage.Error(), "no-such-message": store.ErrNoMessage.Error()}
		if d := cmp.Diff(want, refused); d != "" {
			t.Errorf("%s: %s", decision, d)
		}
	}
	var told []string
	tell := func(id, why string) { told = append(told, fmt.Sprintf("%s %s", id, why)) }
	if err := s.Decide(t.Context(), ofA, DecideDrop, []string{ids["B1"], ids["A1"]}, tell); err != nil {
		t.Fatal(err)
	}
	if want := []string{ids["B1"] + " " + store.ErrNoMessage.Error(), ids["A1"] + " "}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if got := keys(messagesOf(t, s, care.CommandLine(), MessagesOptions{State: care.StateDue})); got != "B1" {
		t.Errorf("%q still wait, want B1", got)
	}
}

func TestStopsAreOfTheirDealersOnly(t *testing.T) {
	t.Parallel()
	s, _ := twoDealers(t)
	ctx := t.Context()
	for name, tt := range map[string]struct {
		who   care.Principal
		scope Scope
		want  string // "" = done
	}{
		"everything":               {ofA, Scope{}, ErrOtherDealers.Error()},
		"a program":                {ofA, Scope{Program: "p"}, ErrOtherDealers.Error()},
		"a channel":                {ofA, Scope{Channel: care.SMS}, ErrOtherDealers.Error()},
		"another dealer":           {ofA, Scope{Dealer: "b"}, `the book has no dealer "b"`},
		"a dealer who is not":      {ofA, Scope{Dealer: "c"}, `the book has no dealer "c"`},
		"nobody":                   {nobody, Scope{}, ErrOtherDealers.Error()},
		"nobody a dealer":          {nobody, Scope{Dealer: "a"}, `the book has no dealer "a"`},
		"the operator, no dealer":  {care.CommandLine(), Scope{Dealer: "c"}, `the book has no dealer "c"`},
		"the operator, no program": {care.CommandLine(), Scope{Program: "q"}, `the book has no program "q"; it has [p]`},
		"the operator, two things": {care.CommandLine(), Scope{Program: "p", Channel: care.SMS}, "pause one thing at a time: a program, a dealer or a channel"},
	} {
		for what, act := range map[string]func(context.Context, care.Principal, Scope) (bool, error){
			"pause": func(ctx context.Context, who care.Principal, scope Scope) (bool, error) {
				return s.Pause(ctx, who, scope, "")
			},
			"resume": s.Resume,
		} {
			if _, err := act(ctx, tt.who, tt.scope); err == nil || err.Error() != tt.want {
				t.Errorf("%s %s: %v, want %s", what, name, err, tt.want)
			}
		}
	}
	if _, err := s.Resume(ctx, ofA, Scope{Dealer: "b", Program: "p"}); err == nil || err.Error() != `the book has no dealer "b"` {
		t.Errorf("another dealer's brake: %v", err)
	}
	if err := s.AcceptRestored(ctx, ofA); !errors.Is(err, ErrOtherDealers) {
		t.Errorf("a restored Redis was accepted by one dealer: %v", err)
	}
	if op, err := s.Store.Operator(ctx); err != nil || len(op.Dealers)+len(op.Programs)+len(op.Channels)+len(op.Brakes) > 0 || op.All {
		t.Errorf("refused acts stopped %+v (%v)", op, err)
	}
	paused := func() bool {
		op, err := s.Store.Operator(ctx)
		return err == nil && op.Dealers["a"]
	}
	if _, err := s.Pause(ctx, ofA, Scope{Dealer: "a"}, "stock-taking"); err != nil || !paused() {
		t.Errorf("their own dealer was not paused: %v", err)
	}
	if _, err := s.Resume(ctx, ofA, Scope{Dealer: "a"}); err != nil || paused() {
		t.Errorf("their own dealer does not go on: %v", err)
	}
	if _, err := s.Resume(ctx, ofA, Scope{Dealer: "a", Program: "p"}); err != nil {
		t.Errorf("their own brake: %v", err)
	}
}

func TestCustomersAreOfTheirDealersOnly(t *testing.T) {
	t.Parallel()
	s, client := twoDealers(t)
	ctx := t.Context()
	_, missing := s.Customer(ctx, ofA, "NOBODY")
	for _, id := range []string{"B1", "X1"} {
		_, shown := s.Customer(ctx, ofA, id)
		_, erased := s.Erase(ctx, ofA, id, true)
		_, read := asking(s).Customer(ctx, ofA, id)
		_, explained := asking(s).Explain(ctx, ofA, insight.ExplainOptions{Customer: id})
		for what, err := range map[string]error{"show": shown, "erase": erased, "read": read, "explain": explained} {
			if !errors.Is(err, insight.ErrNoCustomer) {
				t.Errorf("%s %s: %v", what, id, err)
			}
		}
		for _, err := range []error{shown, erased} {
			if err != nil && strings.ReplaceAll(err.Error(), id, "NOBODY") != missing.Error() {
				t.Errorf("%s: %v differs from what is said of one who does not exist: %v", id, err, missing)
			}
		}
		if n, err := client.Exists(ctx, "care:customer:"+id).Result(); err != nil || n != 1 {
			t.Errorf("%s is gone (%v)", id, err)
		}
	}
	if _, err := s.Customer(ctx, nobody, "A1"); !errors.Is(err, insight.ErrNoCustomer) {
		t.Errorf("nobody is shown A1: %v", err)
	}
	for _, who := range []care.Principal{ofA, care.CommandLine()} {
		d, err := s.Customer(ctx, who, "A1")
		if err != nil || len(d.Messages) != 1 || !strings.Contains(string(d.Record), "Anna") {
			t.Errorf("%s is shown %+v, %v", who.Name, d, err)
		}
	}
	if d, err := s.Customer(ctx, care.CommandLine(), "X1"); err != nil || d.Customer != "X1" {
		t.Errorf("the operator is not shown whom no dealer has: %v", err)
	}
	done, err := s.Erase(ctx, ofA, "A1", true)
	if err != nil || done.Waiting != 1 || done.Record != "deleted" {
		t.Errorf("their own customer: %+v, %v", done, err)
	}
}

func TestImportsChangeTheirDealersOnly(t *testing.T) {
	t.Parallel()
	s, client := twoDealers(t)
	ctx := t.Context()
	records := func() map[string]string {
		out := map[string]string{}
		for _, id := range []string{"A1", "A2", "B1", "B2", "X1"} {
			if raw, err := client.Get(ctx, "care:customer:"+id).Result(); err == nil {
				out[id] = raw
			}
		}
		return out
	}
	file := filepath.Join(t.TempDir(), "people.jsonl")
	rows := `{"id":"A1","dealer":"b"}
{"id":"A2","dealer":"a","name":"Ada"}
{"id":"B1","dealer":"a","name":"Stolen"}
{"id":"B2","dealer":"b","name":"Bea"}
{"id":"X1","dealer":"a"}
`
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	before := records()
	for name, opt := range map[string]ImportOptions{"a dry run": {Files: []string{file}, DryRun: true}, "nobody's": {Files: []string{file}}} {
		who := ofA
		if !opt.DryRun {
			who = nobody
		}
		report, err := s.Import(ctx, who, opt)
		if err != nil {
			t.Fatal(err)
		}
		want := counts{Created: 1, Refused: 4}
		if who.Name == "" {
			want = counts{Refused: 5}
		}
		if got := report.Files[0].counts; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if d := cmp.Diff(before, records()); d != "" {
			t.Errorf("%s changed records: %s", name, d)
		}
	}
	report, err := s.Import(ctx, ofA, ImportOptions{Files: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := report.Files[0].counts, (counts{Created: 1, Refused: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	var said strings.Builder
	if err := report.Print(&said); err != nil || !strings.Contains(said.String(), "4 customers are not yours to change") {
		t.Errorf("the report says %q (%v)", said.String(), err)
	}
	after := records()
	if !strings.Contains(after["A2"], "Ada") {
		t.Errorf("their own customer was not imported: %v", after)
	}
	delete(after, "A2")
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("other records changed: %s", d)
	}
	if _, err := s.Import(ctx, ofA, ImportOptions{Files: []string{file}, Dealer: "b"}); err == nil || err.Error() != `the book has no dealer "b"` {
		t.Errorf("rows for another dealer: %v", err)
	}
	if report, err = s.Import(ctx, care.CommandLine(), ImportOptions{Files: []string{file}}); err != nil || report.Files[0].Refused != 0 || report.Files[0].Created != 1 {
		t.Errorf("the operator's import: %+v, %v", report, err)
	}
}

// recorder keeps what it is given to send.
type recorder struct{ sent []care.Message }

func (r *recorder) Send(_ context.Context, m *care.Message) (care.Receipt, error) {
	r.sent = append(r.sent, *m)
	return care.Receipt{ProviderID: "p1"}, nil
}

func TestTestSendsAreOfTheirDealersOnly(t *testing.T) {
	t.Parallel()
	s, _ := twoDealers(t)
	sender, closed := &recorder{}, 0
	s.Senders = func(fs.FS) (*Senders, error) {
		return &Senders{ByChannel: map[care.Channel]delivery.Sender{care.SMS: sender}, Close: func() error { closed++; return nil }}, nil
	}
	s.Now = func() time.Time { return now.AddDate(0, 0, -10) } // the birthday is to come
	opt := TestSend{Template: "t", To: "+8613900000000"}
	for id, who := range map[string]care.Principal{"B1": ofA, "X1": ofA, "A1": nobody} {
		opt.Customer = id
		if _, err := s.SendTest(t.Context(), who, opt); !errors.Is(err, insight.ErrNoCustomer) {
			t.Errorf("%q sent %s's message: %v", who.Name, id, err)
		}
	}
	if len(sender.sent) > 0 {
		t.Fatalf("sent: %+v", sender.sent)
	}
	opt.Customer = "A1"
	got, err := s.SendTest(t.Context(), ofA, opt)
	if err != nil || got.Channel != care.SMS || got.ProviderID != "p1" || closed != 1 {
		t.Fatalf("%+v, %v, closed %d times", got, err, closed)
	}
	if m := sender.sent[0]; m.To != "+8613900000000" || !strings.Contains(string(m.Text), "Hello Anna") || m.ToName != "" {
		t.Errorf("sent %+v", m)
	}
	opt.To, opt.Customer = "me@example.com", ""
	if _, err := s.SendTest(t.Context(), ofA, opt); err == nil {
		t.Error("a channel that is not set up was sent to")
	}
}
