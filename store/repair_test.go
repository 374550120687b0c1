package store

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// TestRepairIsBounded hides a message that stands in no queue among more records than one look takes, in each shard that there is.
func TestRepairIsBounded(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, server.URL(), false)
	ctx := t.Context()
	const perDay = 4000
	today := codec.DayOf(epoch)
	lost := make(map[string]bool)
	for i := 0; len(lost) < care.Shards; i++ {
		o := occurrence(customer(i), 0, epoch.Add(-24*time.Hour))
		shard := care.Shard(o.Customer)
		if lost[keyspace.Shared.Prefix(shard)] {
			continue
		}
		lost[keyspace.Shared.Prefix(shard)] = true
		b.apply(t, Applied{Added: 1}, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
		b.deleteQueue(t, shard)
		b.redis.Del(ctx, shardKey(shard, "days"))
		for day := today - 2; day <= today; day++ {
			var fields []any
			for j := range perDay {
				fields = append(fields, fmt.Sprintf("%c%025d", 'a'+shard, j), `{"s":"s","c":"X","k":"V","h":"s"}`)
			}
			b.redis.HSet(ctx, messagesKey(shard, day), fields...)
		}
	}
	scans := func() int {
		_, rest, _ := strings.Cut(b.redis.Info(ctx, "commandstats").Val(), "cmdstat_hscan:calls=")
		n, _, _ := strings.Cut(rest, ",")
		calls, _ := strconv.Atoi(n)
		return calls
	}
	// 12,000 records of a shard are 24 pages, or a few less: HSCAN may give more than it was asked for.
	back, looks := 0, 0
	for ; back < care.Shards && looks < 4; looks++ {
		before := scans()
		n, err := b.Repair(ctx)
		if err != nil {
			t.Fatal(err)
		}
		back += n
		if pages := scans() - before; pages > care.Shards*repairPages {
			t.Fatalf("one look took %d pages, %d are allowed", pages, care.Shards*repairPages)
		}
	}
	if back != care.Shards || looks < 2 {
		t.Errorf("%d of %d messages were put back in %d looks", back, care.Shards, looks)
	}
	for range 4 {
		if n, err := b.Repair(ctx); err != nil || n != 0 {
			t.Errorf("Repair again put %d back, %v", n, err)
		}
	}
}

// What the ledger knows as over is not put back, whatever a record says that somebody restored by hand.
func TestRepairLeavesWhatIsOver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		o := b.queue(t, 1)[0]
		key := messagesKey(care.Shard(o.Customer), codec.DayOf(o.Release))
		before := b.redis.HGet(ctx, key, o.ID).Val()
		complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), care.StateSent, epoch))
		b.redis.HSet(ctx, key, o.ID, before)
		if n, err := b.Repair(ctx); err != nil || n != 0 {
			t.Errorf("Repair put %d back, %v", n, err)
		}
		// Without the ledger nothing is known but the record.
		b.redis.Set(ctx, ledgerKey(o.Customer), "no table", 0)
		if n, err := b.Repair(ctx); err != nil || n != 1 {
			t.Errorf("without its ledger Repair put %d back, %v", n, err)
		}
	})
}

func TestRepairWalksInACircle(t *testing.T) {
	t.Parallel()
	days := []string{"20001", "20002", "20000"}
	for _, tt := range []struct {
		w    walk
		days []string
		want string
	}{
		{walk{}, nil, "[]  0"},
		{walk{}, days, "[20001 20002 20000] 20001 0"},
		{walk{"20002", 77}, days, "[20002 20000 20001] 20002 77"},
		{walk{"19990", 77}, days, "[20001 20002 20000] 20001 0"},
	} {
		was := tt.w
		if got := fmt.Sprint(tt.w.round(tt.days), " ", tt.w.day, " ", tt.w.cursor); got != tt.want {
			t.Errorf("from %v: %s, want %s", was, got, tt.want)
		}
	}
}
