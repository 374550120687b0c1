package console_test

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
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/console"
)

var shanghai = time.FixedZone("CST", 8*3600)

// now is 10:00 in Shanghai on the day of the tests.
var now = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// desk is everything that a page reads and writes, in memory.
type desk struct {
	mu       sync.Mutex
	overlay  map[string]*care.Overlay
	events   []care.EventEntry
	receipts []care.Receipt
	writes   int
	facts    console.PageFacts
	gone     bool
	stale    bool  // look-ups do not see what was written
	broken   error // of the overlay
	mute     error // of the events
	blind    error // of the look-up
	asked    []console.Asked
	failures int

	// What the callbacks find.
	posted   []care.Receipt
	replies  []console.Reply
	hookErr  error
	messages []care.Record
	file     *console.CustomerFile
	filter   console.MessageFilter
	tasks    []console.Task
	done     []string // keys that were ticked off
}

func (d *desk) UpdateOverlay(_ context.Context, customer string, change func(*care.Overlay) error) error {
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

func (d *desk) of(customer string) *care.Overlay {
	if d.overlay == nil {
		d.overlay = map[string]*care.Overlay{}
	}
	if d.overlay[customer] == nil {
		d.overlay[customer] = new(care.Overlay)
	}
	return d.overlay[customer]
}

func (d *desk) Add(_ context.Context, e care.EventEntry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mute != nil {
		return d.mute
	}
	d.events = append(d.events, e)
	d.writes++
	return nil
}

func (d *desk) Lookup(_ context.Context, customer, _ string) (console.PageFacts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.blind != nil:
		return console.PageFacts{}, d.blind
	case d.gone:
		return console.PageFacts{}, care.ErrGone
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

func (d *desk) SMS(_ context.Context, gateway string, r *http.Request) ([]care.Receipt, []console.Reply, console.Answer, error) {
	if d.hookErr != nil {
		return nil, nil, console.Answer{}, d.hookErr
	}
	if gateway != "kannel" {
		return nil, nil, console.Answer{}, console.ErrUnknownGateway
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		return nil, nil, console.Answer{}, console.ErrUnreadable
	}
	return d.posted, d.replies, console.Answer{Body: []byte(`{"code":0}`), ContentType: "application/json"}, nil
}

func (d *desk) Mail(_ context.Context, raw []byte) ([]care.Receipt, error) {
	if strings.HasPrefix(string(raw), "rubbish") {
		return nil, console.ErrUnreadable
	}
	return d.posted, nil
}

func (d *desk) Receipts(_ context.Context, receipts []care.Receipt) error {
	if d.broken != nil {
		return d.broken
	}
	d.receipts = append(d.receipts, receipts...)
	d.writes++
	return nil
}

func (d *desk) ByNumber(_ context.Context, number string) ([]console.Asked, error) {
	if number != "+8613800138000" {
		return nil, nil
	}
	return d.asked, nil
}

func (d *desk) ByMessage(_ context.Context, occurrence string, _ care.Channel) (string, int, error) {
	if occurrence != "occ-1" {
		return "", 0, care.ErrGone
	}
	return "C1", d.failures, nil
}

func (d *desk) Status(context.Context) (*console.Status, error) {
	if d.blind != nil {
		return nil, d.blind
	}
	s := &console.Status{
		Version: "1.0.0", At: now, Book: "3f2a9c01d4e5", BookLoaded: now.Add(-time.Hour), Dealers: []string{"sh-pudong"},
		Programs: []string{"birthday", "maintenance", "recall"}, Uncertain: 2, Failed: 0, Tasks: len(d.tasks), Paused: []string{"channel:sms"},
		Brakes: nil, Leader: "host-a:17", Leading: true,
	}
	for i, l := range care.Lanes {
		s.Lanes = append(s.Lanes, console.LaneStatus{Lane: l.String(), Due: 1200 * i, Later: 34 * i, Claimed: i})
	}
	return s, nil
}

func (d *desk) Messages(_ context.Context, f console.MessageFilter) ([]care.Record, error) {
	d.filter = f
	return d.messages, d.blind
}

func (d *desk) Customer(_ context.Context, _ string) (*console.CustomerFile, error) {
	if d.file == nil {
		return nil, care.ErrGone
	}
	return d.file, nil
}

func (d *desk) Tasks(_ context.Context, f console.TaskFilter) (*console.TaskList, error) {
	list := &console.TaskList{At: now, Dealers: []string{"bj-chaoyang", "sh-pudong"}}
	for _, t := range d.tasks {
		if f.Dealer == "" || t.Dealer == f.Dealer {
			if list.Open++; list.Open <= f.Limit {
				list.Tasks = append(list.Tasks, t)
			}
		}
	}
	return list, d.blind
}

func (d *desk) TaskDone(_ context.Context, key string) (bool, error) {
	if d.blind != nil {
		return false, d.blind
	}
	before := len(d.tasks)
	d.tasks = slices.DeleteFunc(d.tasks, func(t console.Task) bool { return t.Key == key })
	if len(d.tasks) < before {
		d.done = append(d.done, key)
		d.writes++
	}
	return len(d.tasks) < before, nil
}

var (
	_ console.Overlays  = (*desk)(nil)
	_ console.Events    = (*desk)(nil)
	_ console.Facts     = (*desk)(nil)
	_ console.Callbacks = (*desk)(nil)
	_ console.Receipts  = (*desk)(nil)
	_ console.People    = (*desk)(nil)
	_ console.Desk      = (*desk)(nil)
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
func facts(locale string) console.PageFacts {
	car := care.Vehicle{
		ID: "LSGHXRT911E8RM77M", Plate: "沪A12345", Make: "Buick", Model: "Regal", DeliveredOn: care.NewDate(2024, 3, 1),
		Odometer: []care.Reading{{On: care.NewDate(2026, 5, 2), KM: 31000}},
		Visits:   []care.Visit{{Order: "RO-1", ClosedOn: care.NewDate(2026, 8, 2), KM: new(34000)}},
	}
	f := console.PageFacts{
		Locale: locale, DealerID: "sh-pudong", Dealer: "Pudong Buick", DealerPhone: "+862150000000", Advisor: "Chen Zhiqiang",
		Location: shanghai, DealerZone: shanghai, Program: "service-followup", Step: "thanks", Vehicle: &car, Vehicles: []care.Vehicle{car},
		Event: &care.Event{
			Event: "owners-day", Enabled: true, Title: care.Text{"zh-CN": "春季车主交流会", "en": "Spring owners' day"}, On: care.NewDate(2027, 5, 16),
			StartsAt: "10:00", EndsAt: "15:00", Place: care.Text{"zh-CN": "客户中心二楼", "en": "Upper floor"},
			Address: care.Text{"zh-CN": "上海市浦东新区示例路1号", "en": "1 Example Road, Pudong, Shanghai"}, RSVPUntil: care.NewDate(2027, 5, 12),
		},
		EventRevision:  7,
		Topics:         []console.TopicChoice{{Topic: "maintenance", Title: "Maintenance"}, {Topic: "seasonal", Title: "Season's checks"}},
		Reachable:      []care.Channel{care.Email, care.SMS},
		Consent:        map[care.Channel]care.Consent{care.Email: {Service: new(true), Commercial: new(true)}, care.SMS: {Service: new(true), Commercial: new(false)}},
		ConsentDefault: care.Consent{Service: new(true), Commercial: new(false)},
		AddressHash:    map[care.Channel]string{care.Email: "hash-of-mail", care.SMS: "hash-of-phone"},
	}
	if strings.HasPrefix(locale, "zh") {
		f.Dealer, f.Advisor = "浦东别克", "陈志强"
		f.Topics = []console.TopicChoice{{Topic: "maintenance", Title: "定期保养"}, {Topic: "seasonal", Title: "季节检查"}}
	}
	return f
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (d *desk) public() *console.Public {
	return &console.Public{
		Signer: signer, Overlays: d, Facts: d, Events: d, Callbacks: d, Receipts: d, People: d, BounceSecret: "bounce-secret",
		Now: func() time.Time { return now }, Log: quiet(),
	}
}

// handler is one public listener over a desk.
func handler(d *desk) http.Handler { return d.public().Handler() }

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
func (d *desk) told() []string {
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
