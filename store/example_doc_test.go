package store

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// changing are the numbers of the example that are others each time: tokens and ends of leases, and ids of stream entries.
var changing = regexp.MustCompile(`\b(\d{16}|\d{13}-\d+)\b`)

// The worked example of docs/redis.md is what redis-cli shows. Before each block but the first the daemon does one thing.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "## A worked example")
	example, _, _ = strings.Cut(example, "\n## ")
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, server.URL(), false)
	_, port, _ := strings.Cut(server.Addr, ":")
	ctx := t.Context()
	o := occurrence("C100001", 0, epoch)
	o.Cycle = "2026-05-02"
	o.ID = care.OccurrenceID(o.Customer, o.Vehicle, o.Program, o.Step, o.Cycle)
	var claim *care.Claim
	steps := []func(){
		func() {},
		func() { b.apply(t, Applied{Added: 1}, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}}) },
		func() { claim = claimOne(t, b.Store, time.Minute) },
		func() { begin(t, b.Store, claim) },
		func() {
			res := result(claim, care.StateSent, epoch.Add(time.Second))
			res.Record.FirstTry = epoch
			res.Record.Attempts = []care.Attempt{{N: 1, At: epoch, Channel: care.SMS, Gateway: "kannel", Took: 80 * time.Millisecond, Provider: "lfls"}}
			complete(t, b.Store, res)
		},
	}
	blocks := strings.Split(example, "```")
	if len(blocks) != 2*len(steps)+1 {
		t.Fatalf("the example has %d blocks, want %d", len(blocks)/2, len(steps))
	}
	for i, step := range steps {
		step()
		block := strings.TrimPrefix(strings.TrimPrefix(blocks[2*i+1], "sh"), "\n")
		got := ""
		for line := range strings.Lines(block) {
			command, ok := strings.CutPrefix(line, "$ redis-cli ")
			if !ok {
				continue
			}
			out, err := exec.CommandContext(ctx, "sh", "-c", "redis-cli --raw -p "+port+" "+command).CombinedOutput()
			if err != nil {
				t.Fatalf("%s%s", command, out)
			}
			got += line + string(out)
		}
		normal := func(s string) string { return changing.ReplaceAllString(s, "N") }
		if diff := cmp.Diff(normal(block), normal(got)); diff != "" {
			t.Errorf("block %d (-document +redis-cli):\n%s\n%s", i+1, diff, got)
		}
	}
}

// A database from before the first release keeps everything, and what customers decided comes over as the document says.
func TestOptOutsComeOver(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "## State from before the first release")
	_, script, _ := strings.Cut(section, "```sh\n")
	script, _, _ = strings.Cut(script, "```")
	old, fresh := ownRedis(t, "--appendonly", "yes"), ownRedis(t, "--appendonly", "yes")
	c := redis.NewClient(&redis.Options{Addr: old.Addr})
	defer c.Close()
	want := map[string]string{"C1": `{"stops":{"sms":{"at":"2026-11-22T09:00:00Z","source":"sms"}}}`, "C2": `{"erased":true}`}
	for id, overlay := range want {
		c.HSet(t.Context(), ledgerKey(id), codec.OverlayField, overlay, "some", "entry")
	}
	c.HSet(t.Context(), ledgerKey("C3"), "some", "entry")
	c.Set(t.Context(), unreleasedKey(), 6, 0)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Env = append(os.Environ(), "OLD=redis://"+old.Addr, "NEW=redis://"+fresh.Addr)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := bundleAt(t, fresh.URL(), false)
	for id, overlay := range want {
		if got := b.redis.HGetAll(t.Context(), ledgerKey(id)).Val(); !cmp.Equal(got, map[string]string{codec.OverlayField: overlay}) {
			t.Errorf("%s came over as %v", id, got)
		}
	}
	if n := b.redis.Exists(t.Context(), ledgerKey("C3")).Val(); n != 0 {
		t.Error("an entry came over")
	}
}
