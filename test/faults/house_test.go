//go:build e2e || faults

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink"
	"github.com/redis/go-redis/v9"
)

var (
	binary  string // as it is delivered
	failing string // with fail points and a clock that can be wrong: the build tag failpoints
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "carebell-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, failing = filepath.Join(dir, "carebell"), filepath.Join(dir, "carebell-failing")
	for file, tags := range map[string]string{binary: "", failing: "failpoints"} {
		build := exec.Command("go", "build", "-tags", tags, "-o", file, "./cmd/carebell")
		build.Dir = "../.." // the product is built with its own versions, not with those of the tests' module
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build carebell: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// pick is the figure of the short or of the long form.
func pick[T any](short, full T) T {
	if long {
		return full
	}
	return short
}

// lease is the shortest that the settings take: what a crash left is taken over after it.
const lease = 5 * time.Second

// house is a dealership with one program per channel, its Redis and the sinks of its providers.
type house struct {
	t        *testing.T
	book     string
	sink     *sink.Sink
	client   redis.UniversalClient
	redisURL string
	zone     string
	program  string // the daemon's
	env      []string
	planned  []Planned
	next     int
}

// houseOptions are for newHouse; the zero value is e-mail on a single Redis.
type houseOptions struct {
	channels []care.Channel
	sink     sink.Options
	redisURL string                // "" = a redis-server of its own
	client   redis.UniversalClient // for redisURL
	env      []string
	program  string // more lines of each program
}

// programOf names the program of a channel.
func programOf(ch care.Channel) string { return "by-" + string(ch) }

// newHouse writes the book and starts the sink, and a redis-server unless one is given.
func newHouse(t *testing.T, o houseOptions) *house {
	t.Helper()
	if len(o.channels) == 0 {
		o.channels = []care.Channel{care.Email}
	}
	h := &house{
		t: t, book: filepath.Join(t.TempDir(), "book"), sink: sink.Start(t, o.sink), redisURL: o.redisURL, client: o.client,
		zone: noonish(time.Now()), program: binary,
	}
	t.Cleanup(func() { measured.end(t) })
	if h.redisURL == "" {
		h.useRedis(peers.Redis(t))
	}
	h.env = append([]string{
		"CARE_REDIS_URL=" + h.redisURL, "CARE_BOOK=" + h.book, "CARE_LEASE=" + lease.String(), "CARE_SECRET_KEY=the key of a fault test that is long enough",
	}, o.env...)
	h.write("dealers.yaml", `dealers:
  - dealer: d
    name: Pudong Buick
    time_zone: `+h.zone+`
    locale: en
    country: CN
    phone: "+862150000000"
    address: 1 Example Road, Shanghai
    sms_signature: Pudong Buick
    from: {name: Pudong Buick, email: care@pudong.example}
    quiet_hours: {default: none}
    caps: {default: none}
    advisors: []
`)
	for _, ch := range o.channels {
		h.addChannel(ch, o.program)
	}
	return h
}

func (h *house) useRedis(s *peers.RedisServer) {
	h.redisURL = s.URL()
	h.client = redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: 2, DisableIdentity: true})
	h.t.Cleanup(func() { h.client.Close() })
}

// addChannel sets a channel up, with the program and the template that use it.
func (h *house) addChannel(ch care.Channel, more string) {
	h.t.Helper()
	today := care.DateOf(time.Now().In(h.location())).String()
	h.write("programs/"+programOf(ch)+".yaml", `program: `+programOf(ch)+`
title: By `+string(ch)+`
class: service
trigger: {on: calendar, dates: ["`+today+`"]}
schedule: "* * * * *"
audience: '"`+string(ch)+`" in customer.tags'
channels: [`+string(ch)+`]
`+more+`steps:
  - {step: told, template: `+programOf(ch)+`}
`)
	switch ch {
	case care.Email:
		h.env = append(h.env, "CARE_SMTP_URL="+h.sink.SMTPURL()+"?starttls=never")
		h.write("templates/"+programOf(ch)+"/en/email.md", "---\nsubject: Winter check\n---\nDear {{ customer.name }}, time for the winter check.\n")
	case care.SMS:
		h.env = append(h.env, "CARE_SMS_GATEWAY=kannel", "CARE_SMS_URL="+h.sink.KannelURL(), "CARE_SMS_USER=u", "CARE_SMS_PASSWORD=p", "CARE_SMS_FROM=10690000")
		h.write("templates/"+programOf(ch)+"/en/sms.txt", "Dear {{ customer.name }}, time for the winter check.\n")
	case care.Webhook:
		h.env = append(h.env, "CARE_WEBHOOK_URL="+h.sink.WebhookURL(), "CARE_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		h.write("templates/"+programOf(ch)+"/en/webhook.json", `{"type": "check", "customer": "{{ customer.id }}"}`+"\n")
	}
}

func (h *house) location() *time.Location {
	loc, err := time.LoadLocation(h.zone)
	if err != nil {
		h.t.Fatal(err)
	}
	return loc
}

// noonish names a fixed-offset zone in which it is between ten and eleven in the morning now: what is due today is due, and midnight
// is far away. Offsets end at -12 and +14; POSIX' signs are reversed.
func noonish(now time.Time) string {
	offset := (10 - now.UTC().Hour() + 24) % 24
	if offset > 12 {
		offset -= 24
	}
	if offset == 0 {
		return "Etc/GMT"
	}
	return fmt.Sprintf("Etc/GMT%+d", -offset)
}

func (h *house) write(file, text string) {
	h.t.Helper()
	name := filepath.Join(h.book, file)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) read(file string) string {
	h.t.Helper()
	raw, err := os.ReadFile(filepath.Join(h.book, file))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(raw)
}

// customers writes n customers who get one message each by ch, and returns their ids. With announce the daemon is told at once; else
// the next sweep finds them.
func (h *house) customers(n int, ch care.Channel, announce bool) []string {
	h.t.Helper()
	ids := make([]string, n)
	pipe := h.client.Pipeline()
	for i := range n {
		h.next++
		id := fmt.Sprintf("C%07d", h.next)
		ids[i] = id
		h.planned = append(h.planned, Planned{id, programOf(ch)})
		pipe.Set(h.t.Context(), "care:customer:"+id, fmt.Sprintf(
			`{"id":%q,"dealer":"d","name":"Wang %d","email":"c%d@example.com","phone":"+86138%d%07d","tags":[%q]}`, id, h.next, h.next, h.next%10, h.next, ch), 0)
		if announce {
			pipe.XAdd(h.t.Context(), &redis.XAddArgs{Stream: "care:changes", Values: []any{"id", id}})
		}
		if pipe.Len() >= 2000 || i == n-1 {
			if _, err := pipe.Exec(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return ids
}

// release lets the brake of every program go, as an operator does before a day that is larger than usual.
func (h *house) release() {
	h.t.Helper()
	for _, ch := range care.Channels {
		if h.has(ch) {
			h.carebell("resume", "--dealer", "d", "--program", programOf(ch))
		}
	}
}

func (h *house) has(ch care.Channel) bool {
	_, err := os.Stat(filepath.Join(h.book, "programs", programOf(ch)+".yaml"))
	return err == nil
}

// carebell runs a command to its end; a command that fails fails the test.
func (h *house) carebell(args ...string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, h.env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("carebell %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// records lists what the daemon has on record, as an operator sees it.
func (h *house) records(args ...string) []care.Record {
	h.t.Helper()
	out := h.carebell(append([]string{"messages", "--format", "jsonl", "--limit", "10000000"}, args...)...)
	var all []care.Record
	d := json.NewDecoder(strings.NewReader(out))
	for {
		var r care.Record
		if err := d.Decode(&r); err == io.EOF {
			return all
		} else if err != nil {
			h.t.Fatalf("messages: %v", err)
		}
		all = append(all, r)
	}
}

// queued counts what waits and what is in flight, and recorded what has a record: cheap, for polling. The oracle asks the daemon.
func (h *house) queued() (int, error) {
	all := 0
	for _, pattern := range []string{"care:{*}:due:*", "care:{*}:suspects:*", "care:{*}:leased"} {
		n, err := h.counted(pattern, (*redis.Client).ZCard)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

func (h *house) recorded() (int, error) { return h.counted("care:{*}:msg:*", (*redis.Client).HLen) }

// counted adds up what the keys have, each by the command that counts its type.
func (h *house) counted(pattern string, length func(*redis.Client, context.Context, string) *redis.IntCmd) (int, error) {
	n := 0
	err := h.eachKey(pattern, func(ctx context.Context, c *redis.Client, key string) error {
		v, err := length(c, ctx, key).Result()
		n += int(v)
		return err
	})
	return n, err
}

func (h *house) eachKey(pattern string, fn func(ctx context.Context, c *redis.Client, key string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	each := func(ctx context.Context, c *redis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, pattern, 100000).Result()
			if err != nil {
				return err
			}
			for _, key := range keys {
				if err := fn(ctx, c, key); err != nil {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	switch c := h.client.(type) {
	case *redis.ClusterClient:
		// One master at a time: fn adds to one variable.
		return c.ForEachMaster(ctx, serially(each))
	case *redis.Client:
		return each(ctx, c)
	default:
		return fmt.Errorf("faults: no keys from a %T", c)
	}
}

func serially(fn func(context.Context, *redis.Client) error) func(context.Context, *redis.Client) error {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context, c *redis.Client) error {
		turn <- struct{}{}
		defer func() { <-turn }()
		return fn(ctx, c)
	}
}

// awaitPlanned waits until all customers' messages are on record.
func (h *house) awaitPlanned(within time.Duration) {
	h.t.Helper()
	peers.Eventually(h.t, within, "everything is planned", func() error {
		n, err := h.recorded()
		if err == nil && n < len(h.planned) {
			err = fmt.Errorf("%d of %d are", n, len(h.planned))
		}
		return err
	})
}

// awaitDrained waits until everything is planned and nothing is left to do.
func (h *house) awaitDrained(within time.Duration) {
	h.t.Helper()
	start := time.Now()
	h.awaitPlanned(within)
	peers.Eventually(h.t, within-time.Since(start), "the queue is empty", func() error {
		n, err := h.queued()
		if err == nil && n > 0 {
			err = fmt.Errorf("%d of %d are left", n, len(h.planned))
		}
		return err
	})
}

// awaitAccepts waits until the sink has accepted n messages at least.
func (h *house) awaitAccepts(n int, within time.Duration) {
	h.t.Helper()
	peers.Eventually(h.t, within, "messages arrive", func() error {
		if got := h.accepted(); got < n {
			return fmt.Errorf("%d of %d have", got, n)
		}
		return nil
	})
}

// taskID is in the ids of call tasks, which come to the webhooks' endpoint, too: <message>.task.….
const taskID = ".task."

// accepts are the accepts of messages so far, by their id on the wire; call tasks are none.
func (h *house) accepts() map[string]int {
	h.t.Helper()
	all := h.sink.Accepts()
	maps.DeleteFunc(all, func(id string, _ int) bool { return strings.Contains(id, taskID) })
	return all
}

// accepted counts the accepts so far.
func (h *house) accepted() int {
	n := 0
	for _, times := range h.accepts() {
		n += times
	}
	return n
}

// judge holds the books against each other, prints the figures of a row, and fails the test for every broken promise.
func (h *house) judge(row string, more ...string) Figures {
	h.t.Helper()
	f, broken := Judge(h.planned, h.records(), h.accepts())
	h.say(row, append([]string{f.String()}, more...)...)
	for i, b := range broken {
		if i == 20 {
			h.t.Errorf("and %d more", len(broken)-i)
			break
		}
		h.t.Error(b)
	}
	return f
}

// say prints a row's figures, and keeps them for the table. What comes after the row's number says which part of it they are of.
func (h *house) say(row string, figures ...string) {
	h.t.Helper()
	text := strings.Join(figures, "; ")
	h.t.Logf("row %s: %s", row, text)
	if _, part, ok := strings.Cut(row, ", "); ok {
		text = part + ": " + text
	}
	measured.say(rowOf(h.t), text)
}

// replica is one carebell serve.
type replica struct {
	*peers.Process
	h      *house
	port   int // private
	public int
}

// replica starts a daemon without waiting for it.
func (h *house) replica(env ...string) *replica {
	h.t.Helper()
	ports := peers.FreePorts(h.t, 2)
	r := &replica{h: h, port: ports[0], public: ports[1]}
	all := append(append([]string(nil), h.env...), fmt.Sprintf("CARE_LISTEN=127.0.0.1:%d", r.port),
		fmt.Sprintf("CARE_PUBLIC_LISTEN=127.0.0.1:%d", r.public), "CARE_PUBLIC_URL=https://care.example")
	r.Process = peers.Daemon(h.t, h.program, append(all, env...), "serve")
	return r
}

// serve starts a daemon and returns when it is ready.
func (h *house) serve(env ...string) *replica {
	h.t.Helper()
	r := h.replica(env...)
	r.awaitReady(20 * time.Second)
	return r
}

func (r *replica) awaitReady(within time.Duration) {
	r.h.t.Helper()
	peers.Eventually(r.h.t, within, "carebell is ready", func() error {
		if !r.Running() {
			r.h.t.Fatalf("carebell has ended:\n%s", r.Logs())
		}
		code, body, err := r.get("/readyz")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d: %s", code, body)
		}
		return err
	})
}

// get asks the private listener.
func (r *replica) get(path string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path), nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// metric reads a metric's value, with its labels or summed over them; 0 if it is not there.
func (r *replica) metric(name string) float64 {
	r.h.t.Helper()
	_, body, err := r.get("/metrics")
	if err != nil {
		r.h.t.Fatal(err)
	}
	sum := 0.0
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(rest)
		var v float64
		if _, err := fmt.Sscan(fields[len(fields)-1], &v); err == nil {
			sum += v
		}
	}
	return sum
}

// term ends a replica as an orchestrator does and returns how long that took. Any status but 0 fails the test.
func (r *replica) term(within time.Duration) time.Duration {
	r.h.t.Helper()
	start := time.Now()
	r.Term()
	if err := r.Wait(within); err != nil {
		r.h.t.Errorf("after SIGTERM: %v\n%s", err, last(r.Logs()))
	}
	return time.Since(start)
}

// last is the end of a log.
func last(log string) string { return log[max(0, len(log)-4000):] }
