package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web"
	"github.com/carebell/carebell/web/hooks"
)

var shanghai = time.FixedZone("CST", 8*3600)

// now is 10:00 in Shanghai on the day of the tests.
var now = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// memory is everything that a page reads and writes, in memory.
type memory struct {
	mu       sync.Mutex
	overlay  map[string]*care.Overlay
	events   []care.EventEntry
	receipts []care.Receipt
	writes   int
	facts    feedback.CustomerFacts
	gone     bool
	stale    bool  // look-ups do not see what was written
	broken   error // of the overlay
	mute     error // of the events
	blind    error // of the look-up
	asked    []feedback.Asked
	failures int

	// What the callbacks find.
	posted   []care.Receipt
	replies  []feedback.Reply
	hookErr  error
	messages []care.Record
	file     *operate.CustomerFile
	filter   operate.MessageFilter
	tasks    []operate.Task
	done     []string       // keys that were ticked off
	who      care.Principal // who asked last
}

func (d *memory) UpdateOverlay(_ context.Context, customer string, change func(*care.Overlay) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	o := d.of(customer)
	if err := change(o); err != nil {
		return err
	}
	// As in the store, what was changed is what was written.
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	kept := new(care.Overlay)
	if err := json.Unmarshal(raw, kept); err != nil {
		return err
	}
	d.overlay[customer] = kept
	d.writes++
	return nil
}

func (d *memory) of(customer string) *care.Overlay {
	if d.overlay == nil {
		d.overlay = map[string]*care.Overlay{}
	}
	if d.overlay[customer] == nil {
		d.overlay[customer] = new(care.Overlay)
	}
	return d.overlay[customer]
}

func (d *memory) Add(_ context.Context, e care.EventEntry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mute != nil {
		return d.mute
	}
	d.events = append(d.events, e)
	d.writes++
	return nil
}

func (d *memory) Lookup(_ context.Context, customer, _ string) (feedback.CustomerFacts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.blind != nil:
		return feedback.CustomerFacts{}, d.blind
	case d.gone:
		return feedback.CustomerFacts{}, care.ErrGone
	}
	f := d.facts
	raw, err := json.Marshal(d.of(customer))
	if err != nil {
		return f, err
	}
	if d.stale {
		return f, nil
	}
	f.Overlay = new(care.Overlay)
	return f, json.Unmarshal(raw, f.Overlay)
}

func (d *memory) Read(_ context.Context, gateway string, r *http.Request) ([]care.Receipt, []feedback.Reply, hooks.Answer, error) {
	if d.hookErr != nil {
		return nil, nil, hooks.Answer{}, d.hookErr
	}
	if gateway != "kannel" {
		return nil, nil, hooks.Answer{}, hooks.ErrUnknownGateway
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		return nil, nil, hooks.Answer{}, feedback.ErrUnreadable
	}
	return d.posted, d.replies, hooks.Answer{Body: []byte(`{"code":0}`), ContentType: "application/json"}, nil
}

func (d *memory) report(raw []byte) ([]care.Receipt, error) {
	if strings.HasPrefix(string(raw), "rubbish") {
		return nil, feedback.ErrUnreadable
	}
	return d.posted, nil
}

func (d *memory) Receipts(_ context.Context, receipts []care.Receipt) error {
	if d.broken != nil {
		return d.broken
	}
	d.receipts = append(d.receipts, receipts...)
	d.writes++
	return nil
}

func (d *memory) Numbers(number string, countries []string) []string {
	return contact.Readings(number, append(countries, "CN")...)
}

func (d *memory) ByNumber(_ context.Context, number string) ([]feedback.Asked, error) {
	if number != "+8613800138000" {
		return nil, nil
	}
	return d.asked, nil
}

func (d *memory) ByMessage(_ context.Context, occurrence string, _ care.Channel) (string, int, error) {
	if occurrence != "occ-1" {
		return "", 0, care.ErrGone
	}
	return "C1", d.failures, nil
}

func (d *memory) Status(_ context.Context, who care.Principal) (*operate.Status, error) {
	d.who = who
	if d.blind != nil {
		return nil, d.blind
	}
	s := &operate.Status{
		Version: "1.0.0", At: now, Book: "3f2a9c01d4e5", BookLoaded: now.Add(-time.Hour), Dealers: []string{"sh-pudong"},
		Programs: []string{"birthday", "maintenance", "recall"}, Uncertain: 2, Failed: 0, Tasks: len(d.tasks), Paused: []string{"channel:sms"},
		Brakes: nil, Leader: "host-a:17", Leading: true,
	}
	for i, l := range care.Lanes {
		s.Lanes = append(s.Lanes, operate.LaneStatus{Lane: l.String(), Due: 1200 * i, Later: 34 * i, Claimed: i})
	}
	return s, nil
}

func (d *memory) Messages(_ context.Context, who care.Principal, f operate.MessageFilter) ([]care.Record, error) {
	d.filter, d.who = f, who
	return d.messages, d.blind
}

func (d *memory) Customer(_ context.Context, who care.Principal, _ string) (*operate.CustomerFile, error) {
	if d.who = who; d.file == nil {
		return nil, care.ErrGone
	}
	return d.file, nil
}

func (d *memory) Tasks(_ context.Context, who care.Principal, f operate.TaskFilter) (*operate.TaskList, error) {
	d.who = who
	list := &operate.TaskList{At: now, Dealers: []string{"bj-chaoyang", "sh-pudong"}}
	for _, t := range d.tasks {
		if f.Dealer == "" || t.Dealer == f.Dealer {
			if list.Open++; list.Open <= f.Limit {
				list.Tasks = append(list.Tasks, t)
			}
		}
	}
	return list, d.blind
}

func (d *memory) TaskDone(_ context.Context, who care.Principal, key string) (bool, error) {
	d.who = who
	if d.blind != nil {
		return false, d.blind
	}
	before := len(d.tasks)
	d.tasks = slices.DeleteFunc(d.tasks, func(t operate.Task) bool { return t.Key == key })
	if len(d.tasks) < before {
		d.done = append(d.done, key)
		d.writes++
	}
	return len(d.tasks) < before, nil
}

var (
	_ feedback.Overlays = (*memory)(nil)
	_ feedback.Events   = (*memory)(nil)
	_ feedback.Facts    = (*memory)(nil)
	_ hooks.Gateways    = (*memory)(nil)
	_ feedback.Receipts = (*memory)(nil)
	_ feedback.People   = (*memory)(nil)
	_ web.Service       = (*memory)(nil)
)

var signer = token.NewSigner([]byte("a key of the tests, 32 bytes long"))

func link(p token.Purpose, ch care.Channel) string {
	text := signer.Sign(token.Token{Purpose: p, Customer: "C1", Occurrence: "occ-1", Channel: ch})
	if p == token.Calendar {
		return "/calendar/" + text + ".ics"
	}
	return "/" + string(rune(p)) + "/" + text
}

// facts are those of a customer with one car and an invitation.
func facts(locale string) feedback.CustomerFacts {
	car := care.Vehicle{
		ID: "LSGHXRT911E8RM77M", Plate: "沪A12345", Make: "Buick", Model: "Regal", DeliveredOn: care.NewDate(2024, 3, 1),
		Odometer: []care.Reading{{On: care.NewDate(2026, 5, 2), KM: 31000}},
		Visits:   []care.Visit{{Order: "RO-1", ClosedOn: care.NewDate(2026, 8, 2), KM: new(34000)}},
	}
	f := feedback.CustomerFacts{
		Locale: locale, DealerID: "sh-pudong", Dealer: "Pudong Buick", DealerPhone: "+862150000000", Advisor: "Chen Zhiqiang",
		Location: shanghai, DealerZone: shanghai, Program: "service-followup", Step: "thanks", Vehicle: &car, Vehicles: []care.Vehicle{car},
		Event: &care.Event{
			Event: "owners-day", Enabled: true, Title: care.Text{"zh-CN": "春季车主交流会", "en": "Spring owners' day"}, On: care.NewDate(2027, 5, 16),
			StartsAt: "10:00", EndsAt: "15:00", Place: care.Text{"zh-CN": "客户中心二楼", "en": "Upper floor"},
			Address: care.Text{"zh-CN": "上海市浦东新区示例路1号", "en": "1 Example Road, Pudong, Shanghai"}, RSVPUntil: care.NewDate(2027, 5, 12),
		},
		EventRevision:  7,
		Topics:         []feedback.TopicChoice{{Topic: "maintenance", Title: "Maintenance"}, {Topic: "seasonal", Title: "Season's checks"}},
		Reachable:      []care.Channel{care.Email, care.SMS},
		Consent:        map[care.Channel]care.Consent{care.Email: {Service: new(true), Commercial: new(true)}, care.SMS: {Service: new(true), Commercial: new(false)}},
		ConsentDefault: care.Consent{Service: new(true), Commercial: new(false)},
		AddressHash:    map[care.Channel]string{care.Email: "hash-of-mail", care.SMS: "hash-of-phone"},
	}
	if strings.HasPrefix(locale, "zh") {
		f.Dealer, f.Advisor = "浦东别克", "陈志强"
		f.Topics = []feedback.TopicChoice{{Topic: "maintenance", Title: "定期保养"}, {Topic: "seasonal", Title: "季节检查"}}
	}
	return f
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (d *memory) public() *web.Public {
	clock := func() time.Time { return now }
	return &web.Public{
		Signer: signer, Gateways: d, BounceSecrets: []string{"bounce-secret", "the old bounce-secret"}, Now: clock, Log: quiet(),
		Feedback: &feedback.Service{Overlays: d, Facts: d, Events: d, Receipts: d, People: d, Reports: d.report, Now: clock, Log: quiet()},
	}
}

// handler is one public listener over what is in memory.
func handler(d *memory) http.Handler { return d.public().Handler() }

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	return serve(t, h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

func post(t *testing.T, h http.Handler, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return serve(t, h, r)
}

func serve(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// told lists the events as kind=value.
func (d *memory) told() []string {
	var out []string
	for _, e := range d.events {
		s := e.Kind
		if e.Reason != "" {
			s += "(" + e.Reason + ")"
		}
		out = append(out, s+"="+e.Value)
	}
	return out
}

var errDown = errors.New("redis does not answer")
