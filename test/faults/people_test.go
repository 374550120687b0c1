//go:build e2e || faults

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
)

// reloads counts the daemon's attempts to read its book anew, by result.
func (r *replica) reloads(result string) int {
	return int(r.metric(`carebell_book_reload_total{result="` + result + `"}`))
}

func TestRow29Reloads(t *testing.T) {
	t.Parallel()
	reloads := pick(24, 200)
	options := slow(50 * time.Millisecond)
	options.Keep = true
	h := newHouse(t, houseOptions{sink: options})
	h.customers(pick(3000, 20000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)
	program, template := "programs/"+programOf(care.Email)+".yaml", "templates/"+programOf(care.Email)+"/en/email.md"
	good := map[string]string{program: h.read(program), template: h.read(template)}
	broken := []func(){
		func() { h.write(program, good[program][:len(good[program])/2]) },                                  // cut off
		func() { h.write(program, strings.Replace(good[program], `"* * * * *"`, `"99 * * * *"`, 1)) },      // bad cron
		func() { h.write(program, strings.Replace(good[program], "template: ", "template: no-such-", 1)) }, // missing template
		func() {
			h.write(template, strings.Replace(good[template], "{{ customer.name }}", "{{ customer.nmae }", 1))
		}, // bad template
	}
	failed := 0
	longest := time.Duration(0)
	for i := range reloads {
		was, taken, refused := good[template], r.reloads("ok"), r.reloads("error")
		if i%2 == 0 {
			broken[i/2%len(broken)]()
		} else {
			good[template] = fmt.Sprintf("---\nsubject: Winter check\n---\nDear {{ customer.name }}, time for winter check number %d.\n", i)
			h.write(program, good[program])
			h.write(template, good[template])
		}
		start := time.Now()
		r.Signal(syscall.SIGHUP)
		if i%2 == 0 {
			failed++
			h.eventually(5*time.Second, "a broken book is noticed", func() error { return atLeast(r.reloads("error"), refused+1) })
			h.write(template, was)
			continue
		}
		h.eventually(5*time.Second, "a good book is taken", func() error { return atLeast(r.reloads("ok"), taken+1) })
		longest = max(longest, time.Since(start))
	}
	h.customers(1, care.Email, true)
	text := fmt.Sprintf("winter check number %d", reloads-1)
	h.eventually(pick(20*time.Second, 10*time.Minute), "the last book's text arrives", func() error { return h.arrived(text) })
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("29", fmt.Sprintf("reloads %d, refused %d, taken after %.1f s at most", reloads, failed, longest.Seconds()))
	if f.Sent != f.Planned || f.Duplicates > 0 || !r.Running() {
		t.Error("want each sent once, whatever the book on the disk")
	}
}

// Kubernetes changes a mounted book by renaming the link ..data; nobody sends a signal.
func TestRow29TheBookOfAConfigMap(t *testing.T) {
	t.Parallel()
	options := sink.Options{Keep: true}
	h := newHouse(t, houseOptions{sink: options})
	mount := filepath.Join(t.TempDir(), "mount")
	swap := func(version string) {
		t.Helper()
		files := filepath.Join(mount, ".."+version)
		link := filepath.Join(mount, "..data_tmp")
		if err := errors.Join(os.CopyFS(files, os.DirFS(h.book)), os.Symlink(".."+version, link), os.Rename(link, filepath.Join(mount, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("1")
	for _, name := range []string{"dealers.yaml", "programs", "templates"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := h.serve("CARE_BOOK=" + mount)
	h.leads([]*replica{r}, 10*time.Second)
	longest := time.Duration(0)
	for i := range pick(4, 40) {
		text := fmt.Sprintf("the winter check of version %d", i)
		h.write("templates/"+programOf(care.Email)+"/en/email.md", "---\nsubject: Winter check\n---\nDear {{ customer.name }}, time for "+text+".\n")
		taken, start := r.reloads("ok"), time.Now()
		swap(fmt.Sprint(i + 2))
		h.eventually(5*time.Second, "the new book is taken", func() error { return atLeast(r.reloads("ok"), taken+1) })
		longest = max(longest, time.Since(start))
		h.customers(1, care.Email, true)
		h.eventually(10*time.Second, "its text arrives", func() error { return h.arrived(text) })
	}
	h.awaitDrained(10 * time.Second)
	if f := h.judge("29, ..data", fmt.Sprintf("swaps %d, taken after %.1f s at most", pick(4, 40), longest.Seconds())); f.Sent != f.Planned {
		t.Error("want all sent")
	}
}

func atLeast(got, want int) error {
	if got < want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// arrived reports whether a message with the text has been accepted.
func (h *house) arrived(text string) error {
	for _, e := range h.sink.Journal() {
		if bytes.Contains(e.Body, []byte(text)) {
			return nil
		}
	}
	return fmt.Errorf("%q has not arrived", text)
}

func TestRow23OldCustomersAreImported(t *testing.T) {
	t.Parallel()
	old, recent, surge := pick(20000, 1000000), 90, 300
	h := newHouse(t, houseOptions{env: []string{"CARE_SWEEP=@every 10s"}})
	h.write("programs/"+programOf(care.Email)+".yaml", `program: `+programOf(care.Email)+`
title: Welcome
class: service
trigger: {on: delivery}
schedule: "* * * * *"
expires: 3d
channels: [email]
steps:
  - {step: told, template: `+programOf(care.Email)+`}
`)
	// Delivered 3 to 5,000 days ago: over before it is first seen. Delivered in the last three days: due.
	h.delivered(old, false, func(i int) int { return 3 + i%4998 })
	h.delivered(recent, true, func(i int) int { return i % 3 })
	r := h.serve()
	start := time.Now()
	h.awaitDrained(pick(time.Minute, 20*time.Minute))
	h.eventually(pick(time.Minute, 20*time.Minute), "the sweep has ended", func() error {
		if n := r.metric("carebell_sweep_customers_total"); n < float64(old) {
			return fmt.Errorf("%v customers of %d", n, old)
		}
		return nil
	})
	h.awaitDrained(time.Minute)
	took := time.Since(start)
	if f := h.judge("23", fmt.Sprintf("%d old customers, %d with something due, swept and sent in %.1f s", old, recent, took.Seconds())); f.Sent != recent {
		t.Errorf("%d sent, want %d", f.Sent, recent)
	}
	r.term(25 * time.Second)

	h.delivered(surge, true, func(i int) int { return i % 3 })
	r = h.serve()
	h.eventually(30*time.Second, "the brake asks", func() error {
		if r.metric("carebell_brake_engaged") < 1 {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	time.Sleep(3 * time.Second)
	slipped := h.accepted() - recent
	if slipped > 100 {
		t.Errorf("%d went before the brake held them", slipped)
	}
	h.release()
	h.awaitDrained(pick(90*time.Second, 5*time.Minute))
	if f := h.judge("23, the brake", fmt.Sprintf("%d more at once, %d went before an operator said go", surge, slipped)); f.Sent != f.Planned {
		t.Errorf("%d sent, want %d", f.Sent, f.Planned)
	}
}

// delivered writes n customers whose car was delivered some days ago; planned says whether their message is due.
func (h *house) delivered(n int, planned bool, daysAgo func(i int) int) {
	h.t.Helper()
	today := care.DateOf(time.Now().In(h.location()))
	pipe := h.client.Pipeline()
	for i := range n {
		h.next++
		id := fmt.Sprintf("C%07d", h.next)
		if planned {
			h.planned = append(h.planned, Planned{id, programOf(care.Email)})
		}
		pipe.Set(h.t.Context(), "care:customer:"+id, fmt.Sprintf(
			`{"id":%q,"dealer":"d","name":"Wang %d","email":"c%d@example.com","vehicles":[{"id":"V%d","delivered_on":%q}]}`,
			id, h.next, h.next, h.next, today.AddDays(-daysAgo(i))), 0)
		if pipe.Len() >= 2000 || i == n-1 {
			if _, err := pipe.Exec(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}
