package store

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

func receipt(id string, state care.State) care.Receipt {
	return care.Receipt{ID: id, Channel: care.SMS, Gateway: "kannel", State: state, Code: "code", At: epoch.Add(time.Hour)}
}

// early is a receipt as it waits for its message's result.
func (b *bundle) early(t testing.TB, id string, state care.State) string {
	t.Helper()
	rc := receipt(id, state)
	raw, err := codec.EncodeEarly(&rc, b.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (b *bundle) receipts(t testing.TB, receipts ...care.Receipt) {
	t.Helper()
	if err := b.Receipts(t.Context(), receipts); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) expect(t testing.TB, o *care.Occurrence, want care.State) {
	t.Helper()
	r, err := b.Message(t.Context(), o.ID)
	if err != nil || r.State != want {
		t.Errorf("the message is %q, want %q (%v)", r.State, want, err)
	}
	if e := b.ledger(t, o.Customer)[o.ID]; e.State != want {
		t.Errorf("the ledger says %q, want %q", e.State, want)
	}
}

func TestStatesOnlyMoveUp(t *testing.T) {
	t.Parallel()
	const sent, delivered, undelivered, uncertain, failed = care.StateSent, care.StateDelivered, care.StateUndelivered, care.StateUncertain, care.StateFailed
	for _, tt := range []struct {
		name     string
		ended    care.State
		receipts []care.State
		want     care.State
	}{
		{"delivered", sent, []care.State{delivered}, delivered},
		{"ten-fold", sent, []care.State{sent, delivered, delivered, sent, delivered}, delivered},
		{"undelivered", sent, []care.State{undelivered}, undelivered},
		{"failed later", sent, []care.State{failed}, undelivered},
		{"a delivery stands", sent, []care.State{delivered, undelivered, failed}, delivered},
		{"a delivery corrects", sent, []care.State{undelivered, delivered}, delivered},
		{"uncertain taken", uncertain, []care.State{sent}, sent},
		{"uncertain arrived", uncertain, []care.State{delivered}, delivered},
		{"uncertain refused", uncertain, []care.State{failed}, failed},
		{"failed arrived", failed, []care.State{delivered}, delivered},
		{"failed stays", failed, []care.State{sent, undelivered}, failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				o := b.queue(t, 1)[0]
				complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), tt.ended, epoch))
				for _, state := range tt.receipts {
					b.receipts(t, receipt(o.ID, state))
				}
				b.expect(t, o, tt.want)
				if n, _ := b.Uncertain(t.Context()); n != 0 && tt.want != uncertain {
					t.Errorf("%d still held", n)
				}
				if n, _ := b.Failed(t.Context()); (n != 0) != (tt.want == failed) {
					t.Errorf("%d still failed", n)
				}
			})
		})
		t.Run(tt.name+" at once", func(t *testing.T) {
			t.Parallel()
			b := onRedis(t)
			o := b.queue(t, 1)[0]
			complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), tt.ended, epoch))
			var all []care.Receipt
			for _, state := range tt.receipts {
				all = append(all, receipt(o.ID, state))
			}
			b.receipts(t, all...)
			b.expect(t, o, tt.want)
		})
	}
}

func TestReceiptBeforeTheResult(t *testing.T) {
	t.Parallel()
	for _, state := range []care.State{care.StateSent, care.StateUncertain} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				o := b.queue(t, 1)[0]
				c := claimOne(t, b.Store, time.Minute)
				begin(t, b.Store, c)
				b.receipts(t, receipt(o.ID, care.StateDelivered))
				b.expect(t, o, care.StateSending)
				if !complete(t, b.Store, result(c, state, epoch)) {
					t.Error("refused")
				}
				b.expect(t, o, care.StateDelivered)
				if n := b.redis.HLen(t.Context(), shardKey(care.ShardOf(o.ID), "early")).Val(); n != 0 {
					t.Errorf("%d receipts are left over", n)
				}
			})
		})
	}
}

// Receipts that come while the message is being sent wait for its result, in whatever order: the one that says most must stay.
func TestEarlyReceiptsInAnyOrder(t *testing.T) {
	t.Parallel()
	const sent, delivered, undelivered = care.StateSent, care.StateDelivered, care.StateUndelivered
	for name, tt := range map[string]struct {
		receipts []care.State
		want     care.State
	}{
		"accepted last":       {[]care.State{delivered, sent}, delivered},
		"delivered last":      {[]care.State{sent, delivered}, delivered},
		"refused, then taken": {[]care.State{undelivered, sent}, undelivered},
		"a delivery stands":   {[]care.State{delivered, undelivered, sent, sent}, delivered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				o := b.queue(t, 1)[0]
				c := claimOne(t, b.Store, time.Minute)
				for _, state := range tt.receipts {
					b.receipts(t, receipt(o.ID, state))
				}
				complete(t, b.Store, result(c, sent, epoch))
				b.expect(t, o, tt.want)
			})
		})
	}
}

func TestReceiptSparesARepeatAfterACrash(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		const lease = 500 * time.Millisecond // a busy machine must get to Begin within it
		c := claimOne(t, b.Store, lease)
		if !begin(t, b.Store, c) {
			t.Fatal("Begin refused")
		}
		b.receipts(t, receipt(o.ID, care.StateDelivered))
		time.Sleep(lease + 10*time.Millisecond) // the lease ends
		for range 3 {
			if got, err := b.Claim(t.Context(), care.Lanes, 9, time.Minute); err != nil || len(got) != 0 {
				t.Fatalf("claimed although it was delivered: %v, %v", got, err)
			}
		}
		b.expect(t, o, care.StateDelivered)
	})
}

func TestDeliveryEndsARetry(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		res := result(claimOne(t, b.Store, time.Minute), care.StateRetry, epoch)
		complete(t, b.Store, res)
		b.receipts(t, receipt(o.ID, care.StateFailed))
		b.expect(t, o, care.StateRetry)
		b.receipts(t, receipt(o.ID, care.StateDelivered))
		b.expect(t, o, care.StateDelivered)
		if got, err := b.Claim(t.Context(), care.Lanes, 9, time.Minute); err != nil || len(got) != 0 {
			t.Errorf("claimed although it was delivered: %v, %v", got, err)
		}
	})
}

func TestReceiptByTheProvidersID(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		onBoth(t, func(t *testing.T, b *bundle) {
			o := b.queue(t, 1)[0]
			res := result(claimOne(t, b.Store, time.Minute), care.StateSent, epoch)
			res.Record.Attempts = []care.Attempt{{N: 1, Channel: care.SMS, Provider: "P-1"}}
			rc := receipt("", care.StateDelivered)
			rc.ProviderID = "P-1"
			if early {
				b.receipts(t, rc)
				complete(t, b.Store, res)
			} else {
				complete(t, b.Store, res)
				b.receipts(t, rc)
			}
			b.expect(t, o, care.StateDelivered)
			b.receipts(t, rc, care.Receipt{}, care.Receipt{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", State: care.StateSent}) // nobody's
			b.expect(t, o, care.StateDelivered)
		})
	}
}

// A receipt came before the result, and has not been applied yet when another one comes that says less.
func TestAReceiptThatSaysLessTakesNoneAway(t *testing.T) {
	t.Parallel()
	for _, less := range []care.State{care.StateSent, care.StateUndelivered, care.StateFailed} {
		onBoth(t, func(t *testing.T, b *bundle) {
			o := b.queue(t, 1)[0]
			complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), care.StateSent, epoch))
			early := shardKey(care.ShardOf(o.ID), "early")
			b.redis.HSet(t.Context(), early, o.ID, b.early(t, o.ID, care.StateDelivered))
			b.receipts(t, receipt(o.ID, less))
			if _, err := b.Repair(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.expect(t, o, care.StateDelivered)
			if b.redis.HExists(t.Context(), early, o.ID).Val() {
				t.Error("the receipt still waits")
			}
		})
	}
}

func TestReceiptLeftBehindByACrash(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), care.StateSent, epoch))
		b.redis.HSet(t.Context(), shardKey(care.ShardOf(o.ID), "early"), o.ID, b.early(t, o.ID, care.StateDelivered))
		if n, err := b.Repair(t.Context()); err != nil || n != 0 {
			t.Fatalf("Repair: %d, %v", n, err)
		}
		b.expect(t, o, care.StateDelivered)
	})
}

func TestOneGatewaysReceiptsAreNotAnothers(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	o := b.queue(t, 1)[0]
	res := result(claimOne(t, b.Store, time.Minute), care.StateSent, epoch)
	res.Record.Attempts = []care.Attempt{{N: 1, Channel: care.SMS, Gateway: "kannel"}}
	complete(t, b.Store, res)
	other := receipt(o.ID, care.StateUndelivered)
	other.Gateway = "vonage"
	b.receipts(t, other)
	b.expect(t, o, care.StateSent)
	b.receipts(t, receipt(o.ID, care.StateDelivered))
	b.expect(t, o, care.StateDelivered)
}
