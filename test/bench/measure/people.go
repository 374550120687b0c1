package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/scheduler"
)

// hookProgram sends webhooks, which the default book's programs do only as a last resort.
const hookProgram = `program: desk
title: Desk
class: service
trigger: {on: visit}
schedule: "0 8 * * *"
expires: 7d
channels: [webhook]
steps:
  - {step: told, offset: 1d, template: service-followup}
`

// writeBook writes the default book with its example dealer made a real one, who may be one that disturbs at any hour.
func writeBook(dir string, anyHour bool) error {
	if err := config.WriteDefault(dir); err != nil {
		return err
	}
	for _, folder := range []string{"events", "bulletins"} { // examples of the example dealer
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			return err
		}
	}
	dealers := filepath.Join(dir, "dealers.yaml")
	raw, err := os.ReadFile(dealers)
	if err != nil {
		return err
	}
	text := strings.Replace(string(raw), "- dealer: example ", "- dealer: bench ", 1)
	text = strings.ReplaceAll(strings.ReplaceAll(text, "https://example.com/book", "https://bench.example/book"), "care@example.com", "care@bench.example")
	if anyHour {
		text = strings.Replace(text, `{default: "21:00-08:00", commercial: "20:00-09:00"}`, "{default: none, commercial: none}", 1)
	}
	if err := os.WriteFile(dealers, []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "programs", "desk.yaml"), []byte(hookProgram), 0o600)
}

func customerID(i int) string { return fmt.Sprintf("C%09d", i) }

// person is the record of a customer as a dealership's system writes it. With a channel something is due for them on the bench's day:
// the regular service on that channel, or the visit of yesterday for the desk's webhook. Without one their dates lie all over the
// year, as in a real file. Addresses are of reserved domains (RFC 2606).
func person(day care.Date, i int, ch care.Channel) []byte {
	visited := day.AddDays(-365)
	switch ch {
	case care.Webhook:
		visited = day.AddDays(-1)
	case "":
		visited = day.AddDays(-1 - i*7%700)
	}
	prefers := ch
	if ch == care.Webhook || ch == "" {
		prefers = care.SMS
	}
	return fmt.Appendf(nil, `{"id":%q,"dealer":"bench","name":"王小明","salutation":"王先生","email":"wang%d@customer.example","phone":"+86138%08d",`+
		`"locale":"zh-CN","birthday":"1985-%02d-%02d","grade":"A","advisor":"gu","preferences":{"channels":[%q]},`+
		`"consent":{"sms":{"service":true,"commercial":false},"email":{"service":true}},"vehicles":[{"id":"LSGHX%012d","plate":"沪A%05d",`+
		`"make":"Buick","model":"Regal","model_year":2023,"delivered_on":%q,"service_interval":{"km":100000,"months":12},`+
		`"odometer":[{"on":%q,"km":31000}],"visits":[{"order":"RO-%09d","closed_on":%q,"km":31000,"technician":"Li"}],`+
		`"insurance_until":%q,"inspection_due":%q}]}`,
		customerID(i), i, i%100_000_000, 1+i%12, 1+i%28, prefers, i, i%100_000, visited.AddDays(-700-i%365), visited, i, visited,
		day.AddDays(60+i*11%300), day.AddDays(60+i*13%600))
}

const chunk = 2000

// load writes the records of n customers.
func (w *world) load(ctx context.Context, n int, ch care.Channel) error {
	for at := 0; at < n; at += chunk {
		ids := make([]string, min(chunk, n-at))
		for i := range ids {
			ids[i] = customerID(at + i)
		}
		results, err := w.store.Merge(ctx, ids, func(i int, _ []byte) ([]byte, error) { return person(w.day, at+i, ch), nil })
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Err != nil {
				return r.Err
			}
		}
		if n > 100_000 {
			w.opt.Progress("customers", int64(at+len(ids)), int64(n))
		}
	}
	return nil
}

// due returns what the plan has for a customer up to now, for one program ("" = any): the first that may be sent.
func (w *world) due(i int, raw []byte, program string) *care.Occurrence {
	c, defects, err := record.Decode(raw)
	if err != nil {
		return nil
	}
	now := w.now()
	f := &care.Facts{ID: customerID(i), Customer: c, Defects: defects}
	for _, o := range w.checked.Planner.Plan(f, scheduler.Request{From: now.Add(-w.checked.Planner.LongestExpiry()), To: now, Now: now}) {
		if o.Verdict == care.Send && !o.Release.After(now) && (program == "" || o.Program == program) {
			return o
		}
	}
	return nil
}

// backlog writes n customers and queues a message for each, due on the channel.
func (w *world) backlog(ctx context.Context, n int, ch care.Channel) error {
	if err := w.empty(ctx); err != nil {
		return err
	}
	if err := w.load(ctx, n, ch); err != nil {
		return err
	}
	program := "maintenance"
	if ch == care.Webhook {
		program = "desk"
	}
	for at := 0; at < n; at += chunk {
		var changes []care.Change
		for i := at; i < min(at+chunk, n); i++ {
			o := w.due(i, person(w.day, i, ch), program)
			if o == nil || o.Channel != ch {
				return fmt.Errorf("the plan has nothing on %s for customer %d of the bench", ch, i)
			}
			changes = append(changes, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
		}
		if _, err := w.store.Apply(ctx, changes); err != nil {
			return err
		}
	}
	return nil
}

// within bounds a run: a bench that waits for ever says nothing.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("not done within %v", d))
}
