package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

func (b *bundle) erase(t testing.TB, customer string, record bool, hashes ...string) {
	t.Helper()
	if err := b.Erase(t.Context(), customer, hashes, record); err != nil {
		t.Fatal(err)
	}
}

// traces lists every key below care: that names one of the words in its name or value.
func (b *bundle) traces(t testing.TB, words ...string) (out []string) {
	t.Helper()
	ctx := t.Context()
	keys, err := b.redis.Keys(ctx, "care:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range sorted(keys) {
		said := key
		switch b.redis.Type(ctx, key).Val() {
		case "hash":
			said += fmt.Sprint(b.redis.HGetAll(ctx, key).Val())
		case "zset":
			said += fmt.Sprint(b.redis.ZRange(ctx, key, 0, -1).Val())
		case "list":
			said += fmt.Sprint(b.redis.LRange(ctx, key, 0, -1).Val())
		case "stream":
			said += fmt.Sprint(b.redis.XRange(ctx, key, "-", "+").Val())
		default:
			said += b.redis.Get(ctx, key).Val()
		}
		for _, w := range words {
			if strings.Contains(said, w) {
				out = append(out, key)
				break
			}
		}
	}
	return out
}

// TestErasedCompletely gives a customer a message in every state and a trace in every key that can hold one, erases them, and looks
// through the whole database.
func TestErasedCompletely(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		const hash, other = "0011223344556677889900aabbccddee", "1111223344556677889900aabbccddee"
		b.write(t, "GONE", `{"id":"GONE","name":"secret"}`)
		b.write(t, "STAYS", `{"id":"STAYS"}`)
		for i, state := range []care.State{
			care.StateSent, care.StateUncertain, care.StateFailed, care.StateRetry, care.StateSkipped, care.StateSending, care.StateDue,
		} {
			for _, id := range []string{"GONE", "STAYS"} {
				o := occurrence(id, i, b.clock.now().AddDate(0, 0, -i))
				b.apply(t, Applied{Added: 1}, care.Change{Customer: id, Add: []*care.Occurrence{o}})
				if state == care.StateDue {
					continue
				}
				c := claimOne(t, b.Store, time.Minute)
				if begin(t, b.Store, c); state == care.StateSending {
					b.receipts(t, receipt(c.Record.ID, care.StateDelivered)) // parked
					continue
				}
				res := result(c, state, b.clock.now())
				res.Event = &care.EventEntry{At: epoch, ID: o.ID, Customer: id, State: state}
				res.Next = b.clock.now().Add(time.Hour)
				if !complete(t, b.Store, res) {
					t.Fatal("not completed")
				}
				if err := b.Publish(ctx, []*care.EventEntry{res.Event}); err != nil {
					t.Fatal(err)
				}
			}
		}
		mine := sorted(ids(b.ledger(t, "GONE")))
		for _, id := range []string{"GONE", "STAYS"} {
			if err := b.UpdateOverlay(ctx, id, func(o *care.Overlay) error {
				o.Stops = map[string]care.Stop{"sms": {At: epoch, Source: "sms"}}
				o.Suppressed = []care.Suppression{{Channel: care.Email, Hash: other, Reason: "hard_bounce", At: epoch}}
				o.Answers = []care.Answer{{Kind: "survey", Text: "secret of " + id}}
				o.Readings = []care.VehicleFact{{Vehicle: "secret of " + id, KM: 5}}
				o.Grants = map[string]care.Stop{"secret of " + id: {At: epoch}}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			b.note(t, care.EventEntry{At: epoch, Customer: id, Kind: "reply", Value: "of " + id}, taskOf(id, "d", "reply", b.clock.now()))
		}
		links := []AddressLink{{Hash: hash, Customer: "STAYS"}, {Hash: hash, Customer: "GONE"}, {Hash: other, Customer: "GONE"}}
		if err := b.Link(ctx, links); err != nil {
			t.Fatal(err)
		}
		before, err := b.Messages(ctx, Filter{Customer: "STAYS"})
		if err != nil || len(before) != 7 {
			t.Fatal(len(before), err)
		}

		for range 2 { // twice does no harm
			b.erase(t, "GONE", false, hash)
			want := []string{"care:customer:GONE", "care:events", ledgerKey("GONE")}
			if diff := cmp.Diff(sorted(want), b.traces(t, append(mine, "GONE")...)); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
		}
		told, err := b.Events(ctx, "", 99)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := b.EventsTrimmed(ctx); err != nil || n != 0 && !b.embed { // the embedded store does not count
			t.Errorf("care:events has lost %d entries to its bound, %v", n, err)
		}
		values := ""
		for _, e := range told {
			values += e.Value
		}
		if len(told) != 12 || values != "of STAYSsecret words" {
			t.Errorf("care:events has %d entries, with %q", len(told), values)
		}
		f, err := b.Facts(ctx, []string{"GONE"})
		tombstone := &care.Overlay{
			Stops:      map[string]care.Stop{"sms": {At: epoch, Source: "sms"}},
			Suppressed: []care.Suppression{{Channel: care.Email, Hash: other, Reason: "hard_bounce", At: epoch}}, Erased: true,
		}
		if diff := cmp.Diff(tombstone, f[0].Overlay); err != nil || diff != "" {
			t.Errorf("tombstone (-want +got): %v\n%s", err, diff)
		}

		b.erase(t, "GONE", true)
		if n := b.redis.Exists(ctx, "care:customer:GONE").Val(); n != 0 {
			t.Error("the record is still there")
		}
		if got, _, err := b.Changes(ctx, "0-0", 0); err != nil || !cmp.Equal(got, []string{"GONE"}) {
			t.Errorf("care:changes names %v, %v", got, err)
		}

		after, err := b.Messages(ctx, Filter{Customer: "STAYS"})
		if diff := cmp.Diff(before, after, cmpopts.EquateComparable(care.Date{})); err != nil || diff != "" {
			t.Errorf("another customer's messages (-before +after): %v\n%s", err, diff)
		}
		if got, err := b.ByAddress(ctx, hash); err != nil || !cmp.Equal(got, []string{"STAYS"}) {
			t.Errorf("the shared address leads to %v, %v", got, err)
		}
		if got, err := b.ByAddress(ctx, other); err != nil || len(got) != 0 {
			t.Errorf("the dead address leads to %v, %v", got, err)
		}
		b.wantTasks(t, "other customers' tasks", "", "STAYS reply")
		if tl, err := b.Timeline(ctx, "STAYS"); err != nil || len(tl) != 9 {
			t.Errorf("another customer's timeline has %d entries, %v", len(tl), err)
		}
	})
}

func ids(l care.Ledger) (out []string) {
	for id := range l {
		out = append(out, id)
	}
	return out
}

// TestNothingComesBack erases a customer in the middle of everything that may be under way, and lets it go on.
func TestNothingComesBack(t *testing.T) {
	t.Parallel()
	for _, began := range []bool{false, true} {
		t.Run(fmt.Sprintf("began=%v", began), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				ctx := t.Context()
				const hash = "0011223344556677889900aabbccddee"
				o := b.queue(t, 1)[0]
				c := claimOne(t, b.Store, time.Minute)
				if began && !begin(t, b.Store, c) {
					t.Fatal("Begin refused")
				}
				b.erase(t, o.Customer, true, hash)

				if begin(t, b.Store, c) {
					t.Error("a message was begun for an erased customer")
				}
				if ok, err := b.Renew(ctx, []*care.Claim{c}, time.Minute); err != nil || ok[0] {
					t.Errorf("Renew: %v, %v", ok, err)
				}
				for _, state := range []care.State{care.StateRetry, care.StateUncertain, care.StateFailed, care.StateSent} {
					res := result(c, state, epoch)
					res.Event = &care.EventEntry{At: epoch, ID: o.ID, Customer: o.Customer, Value: "personal"}
					res.Record.Also = []string{care.OccurrenceID(o.Customer, "", "p", "s", "c")}
					res.Record.Attempts = []care.Attempt{{Provider: "theirs"}}
					if complete(t, b.Store, res) {
						t.Errorf("%s was recorded", state)
					}
				}
				b.receipts(t, receipt(o.ID, care.StateDelivered))
				// Whoever plans may have read the customer before.
				b.apply(t, Applied{Refused: 3}, care.Change{
					Customer: o.Customer, Add: []*care.Occurrence{o}, Move: []*care.Occurrence{o},
					Drop: []care.Drop{{ID: o.ID, State: care.StateSkipped, Reason: "erased"}},
				})
				if err := b.Link(ctx, []AddressLink{{Hash: hash, Customer: o.Customer}, {Hash: hash, Customer: "STAYS"}}); err != nil {
					t.Fatal(err)
				}
				if err := b.Note(ctx, []care.EventEntry{{At: epoch, Customer: o.Customer, Kind: "opt_out", Value: "sms"}}); err != nil {
					t.Fatal(err)
				}
				b.note(t, taskOf(o.Customer, "d", "reply", b.clock.now()), taskOf("STAYS", "d", "reply", b.clock.now()))
				b.wantTasks(t, "tasks", "", "STAYS reply")
				if err := b.UpdateOverlay(ctx, o.Customer, func(o *care.Overlay) error {
					*o = care.Overlay{Answers: []care.Answer{{Text: "personal"}}, Stops: map[string]care.Stop{"sms": {Source: "link"}}}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if n, err := b.Repair(ctx); err != nil || n != 0 {
					t.Errorf("Repair put %d back, %v", n, err)
				}
				for _, s := range []*Store{b.Store, b.another(t)} {
					if claims, err := s.Claim(ctx, care.Lanes, 9, time.Minute); err != nil || len(claims) != 0 {
						t.Errorf("claimed %v, %v", claims, err)
					}
				}
				want := []string{"care:changes", "care:events", ledgerKey(o.Customer)}
				if diff := cmp.Diff(sorted(want), b.traces(t, o.Customer, o.ID, "personal")); diff != "" {
					t.Errorf("what is left (-want +got):\n%s", diff)
				}
				f, err := b.Facts(ctx, []string{o.Customer})
				if diff := cmp.Diff(&care.Overlay{Stops: map[string]care.Stop{"sms": {Source: "link"}}, Erased: true}, f[0].Overlay); err != nil || diff != "" {
					t.Errorf("tombstone (-want +got): %v\n%s", err, diff)
				}
				if got, err := b.ByAddress(ctx, hash); err != nil || !cmp.Equal(got, []string{"STAYS"}) {
					t.Errorf("the address leads to %v, %v", got, err)
				}
			})
		})
	}
}

// TestErasedAmongWriters erases a customer while others plan, link, note and answer for them.
func TestErasedAmongWriters(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	ctx := t.Context()
	const hash = "0011223344556677889900aabbccddee"
	stop := make(chan struct{})
	var wg sync.WaitGroup
	again := func(do func(i int) error) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	again(func(i int) error {
		_, err := b.Apply(ctx, []care.Change{{Customer: "GONE", Add: []*care.Occurrence{occurrence("GONE", i, epoch)}}})
		return err
	})
	again(func(i int) error {
		return b.Link(ctx, []AddressLink{{Hash: hash, Customer: "GONE"}, {Hash: hash, Customer: customer(i)}})
	})
	again(func(int) error { return b.Note(ctx, []care.EventEntry{{At: epoch, Customer: "GONE", Kind: "seen"}}) })
	again(func(i int) error {
		return b.Note(ctx, []care.EventEntry{taskOf("GONE", "d", "reply", epoch.Add(time.Duration(i)*time.Millisecond))})
	})
	again(func(i int) error {
		return b.UpdateOverlay(ctx, "GONE", func(o *care.Overlay) error {
			o.Readings = []care.VehicleFact{{Vehicle: "secret", KM: i}}
			return nil
		})
	})
	for range 20 {
		b.erase(t, "GONE", false, hash)
	}
	close(stop)
	wg.Wait()
	want := []string{"care:events", ledgerKey("GONE")}
	if diff := cmp.Diff(sorted(want), b.traces(t, "GONE", "secret")); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestErasedDespiteDamage(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for name, damage := range map[string]func(id string){
			"overlay":        func(id string) { b.redis.HSet(ctx, ledgerKey(id), codec.OverlayField, "{") },
			"ledger no hash": func(id string) { b.redis.Set(ctx, ledgerKey(id), "GONE", 0) },
			"record": func(id string) {
				for entry, e := range b.ledger(t, id) {
					b.redis.HDel(ctx, messagesKey(care.Shard(id), e.Day.Days()), entry)
				}
			},
			"entry": func(id string) {
				for entry := range b.ledger(t, id) {
					b.redis.HSet(ctx, ledgerKey(id), entry, "?")
				}
			},
		} {
			id := "GONE-" + strings.ReplaceAll(name, " ", "-") + "." // none is the beginning of another
			b.apply(t, Applied{Added: 1}, care.Change{Customer: id, Add: []*care.Occurrence{occurrence(id, 0, epoch)}})
			damage(id)
			b.erase(t, id, false)
			// Without the ledger the way to the message is lost: it ends at its next claim, and the record when its day expires.
			if diff := cmp.Diff([]string{ledgerKey(id)}, b.traces(t, id)); diff != "" && name != "ledger no hash" {
				t.Errorf("%s: what is left (-want +got):\n%s", name, diff)
			}
			if got := b.redis.HGet(ctx, ledgerKey(id), codec.OverlayField).Val(); got != `{"erased":true}` {
				t.Errorf("%s: the tombstone is %s", name, got)
			}
		}
	})
}

// TestErasedLongLedger has more messages than a script can pass on at once.
func TestErasedLongLedger(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		change := care.Change{Customer: "GONE"}
		for i := range 9000 {
			change.Add = append(change.Add, occurrence("GONE", i, epoch))
		}
		for len(change.Add) > 0 {
			some := change
			some.Add, change.Add = change.Add[:500], change.Add[500:]
			b.apply(t, Applied{Added: 500}, some)
		}
		b.erase(t, "GONE", false)
		if diff := cmp.Diff([]string{ledgerKey("GONE")}, b.traces(t, "GONE")); diff != "" {
			t.Errorf("what is left (-want +got):\n%s", diff)
		}
	})
}
