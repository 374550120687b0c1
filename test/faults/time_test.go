//go:build e2e || faults

package faults

import (
	"bytes"
	bigendian "encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// later is a program whose messages are due two to three hours from now: no clock that is wrong by an hour may set them free.
const later = "later"

// addLater writes the program and n customers for it.
func (h *house) addLater(n int) {
	h.t.Helper()
	today := care.DateOf(time.Now().In(h.location())).String()
	h.write("programs/"+later+".yaml", `program: `+later+`
title: Later
class: service
trigger: {on: calendar, dates: ["`+today+`"]}
schedule: "0 13 * * *"
audience: '"`+later+`" in customer.tags'
channels: [email]
steps:
  - {step: told, template: `+programOf(care.Email)+`}
`)
	h.tagged(n, later, "")
}

// clock is the file in which stands how wrong a replica's clock is.
type clock string

func (h *house) clock() clock {
	c := clock(filepath.Join(h.t.TempDir(), "clock"))
	c.jump(h, 0)
	return c
}

func (c clock) jump(h *house, by time.Duration) {
	h.t.Helper()
	if err := errors.Join(os.WriteFile(string(c)+".new", []byte(by.String()), 0o644), os.Rename(string(c)+".new", string(c))); err != nil {
		h.t.Fatal(err)
	}
}

// Go's programs ask the kernel for the time without the C library, so that faketime is nothing to them: the binary with fail points has
// a clock that can be set wrong.
func TestRow21ClocksJump(t *testing.T) {
	t.Parallel()
	wrong := []time.Duration{time.Second, -time.Second, 5 * time.Minute, -5 * time.Minute, time.Hour, -time.Hour}
	due, notYet, stay := pick(4500, 12000), 200, pick(time.Second, 3*time.Second)
	h := newHouse(t, houseOptions{sink: slow(300 * time.Millisecond), env: []string{"CARE_SWEEP=@every 10s"}})
	h.program = failing
	h.customers(due, care.Email, false)
	h.addLater(notYet)
	h.release()
	h.carebell("resume", "--dealer", "d", "--program", later)
	var clocks []clock
	var all []*replica
	for range 3 {
		c := h.clock()
		clocks = append(clocks, c)
		all = append(all, h.replica("CAREBELL_CLOCK="+string(c)))
	}
	for _, r := range all {
		r.awaitReady(20 * time.Second)
	}
	h.awaitPlanned(time.Minute)
	jumps := 0
	for _, by := range wrong {
		// One alone, the two others, and all of them back at once.
		for _, set := range [][]time.Duration{{by, 0, 0}, {by, by, by}, {0, 0, 0}} {
			for i, c := range clocks {
				c.jump(h, set[i])
			}
			jumps++
			time.Sleep(stay)
		}
	}
	left, err := h.queued()
	if err != nil || left <= notYet {
		t.Errorf("%d were left when the clocks had jumped (%v): there was no load", left, err)
	}
	h.eventually(pick(time.Minute, 5*time.Minute), "all but those of later are sent", func() error {
		n, err := h.queued()
		if err == nil && n > notYet {
			err = fmt.Errorf("%d are left", n)
		}
		return err
	})
	fast, slow := 0, 0
	for _, rec := range h.records() {
		for _, a := range rec.Attempts {
			if off := time.Until(a.At); off > 50*time.Minute {
				fast++
			} else if off < -50*time.Minute {
				slow++
			}
		}
	}
	// A replica that is an hour off claims nothing; what it had prepared by the right clock goes, and stands on record by the wrong one.
	if fast < 20 || slow < 20 {
		t.Errorf("%d attempts on a clock that was an hour fast, %d on one that was an hour slow: the clocks have not jumped", fast, slow)
	}
	f := h.judge("21, clocks", fmt.Sprintf("%d jumps of the clocks of 1 and of 3 replicas by up to an hour; of %d due in 2 to 3 hours went early %d", jumps, notYet, h.early()))
	if f.Sent != due || f.Pending != notYet || f.Duplicates+f.Repeats+f.Uncertain > 0 {
		t.Errorf("want %d sent once and %d waiting", due, notYet)
	}
}

// early counts the accepts of messages of the program later.
func (h *house) early() int {
	accepts, n := h.accepts(), 0
	for _, rec := range h.records() {
		if rec.Program == later {
			n += accepts[rec.ID+"-"+string(rec.Channel)]
		}
	}
	return n
}

// Between one start and the next the machine gets other zone data: the dealership's clocks are an hour ahead, then an hour behind.
func TestRow21ZoneDataIsUpdated(t *testing.T) {
	t.Parallel()
	due, notYet := pick(900, 9000), 200
	h := newHouse(t, houseOptions{sink: slow(50 * time.Millisecond)})
	h.customers(due, care.Email, false)
	h.addLater(notYet)
	h.release()
	h.carebell("resume", "--dealer", "d", "--program", later)
	_, right := time.Now().In(h.location()).Zone()
	today := care.DateOf(time.Now().In(h.location()))
	for i, ahead := range []int{0, 1, -1} {
		offset := right + 3600*ahead
		r := h.serve("ZONEINFO=" + h.zoneData(offset))
		release := today.At(13, 0, time.FixedZone("", offset))
		h.eventually(time.Minute, "what is not due yet is planned by the new zone data", func() error {
			n := 0
			for _, rec := range h.records() {
				if rec.Program == later && rec.Release.Equal(release) {
					n++
				}
			}
			if n < notYet {
				return fmt.Errorf("%d of %d are due at %v", n, notYet, release)
			}
			return nil
		})
		if i < 2 {
			h.awaitAccepts((i+1)*due/4, time.Minute)
			r.term(25 * time.Second)
			if left, err := h.queued(); err != nil || left <= notYet {
				t.Errorf("%d were left at the restart (%v): there was no load", left, err)
			}
		}
	}
	h.eventually(pick(time.Minute, 5*time.Minute), "all but those of later are sent", func() error {
		n, err := h.queued()
		if err == nil && n > notYet {
			err = fmt.Errorf("%d are left", n)
		}
		return err
	})
	f := h.judge("21, zone data", fmt.Sprintf("the zone's offset changed twice by 1 and 2 hours at restarts; of %d due in 1 to 4 hours went early %d", notYet, h.early()))
	if f.Sent != due || f.Pending != notYet || f.Duplicates+f.Repeats+f.Uncertain > 0 {
		t.Errorf("want %d sent once and %d waiting", due, notYet)
	}
}

// zoneData is a folder of zone data in which the dealership's zone has an offset (RFC 9636, version 1: one type and no transition).
func (h *house) zoneData(offset int) string {
	h.t.Helper()
	var b bytes.Buffer
	b.WriteString("TZif")
	b.Write(make([]byte, 16))
	for _, v := range []any{
		// Counts of UT/local and standard/wall indicators, leap seconds, transitions, types and characters.
		[]uint32{0, 0, 0, 0, 1, 4},
		int32(offset),
		[2]byte{0, 0},
		[4]byte{'N', 'E', 'W', 0},
	} {
		if err := bigendian.Write(&b, bigendian.BigEndian, v); err != nil {
			h.t.Fatal(err)
		}
	}
	dir := h.t.TempDir()
	file := filepath.Join(dir, filepath.FromSlash(h.zone))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, b.Bytes(), 0o644)); err != nil {
		h.t.Fatal(err)
	}
	return dir
}
