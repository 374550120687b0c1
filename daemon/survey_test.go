package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
	"github.com/google/go-cmp/cmp"
)

const peopleFile = "testdata/people.jsonl"

// surveyEnv is an environment without Redis whose clock stands still.
func surveyEnv() *Env {
	env := bareEnv()
	env.book = defaultBook()
	return env
}

func bareEnv() *Env {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	return &Env{Settings: &config.Settings{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
}

// defaultBook is the book that comes with carebell, read once: with the race detector that takes seconds.
var defaultBook = sync.OnceValue(func() *carebook.Compiled {
	checked, err := bareEnv().check("")
	if err != nil {
		panic(err)
	}
	return checked
})

func quarter() PlanOptions {
	from := care.NewDate(2026, 11, 22)
	return PlanOptions{From: Moment{Date: from}, To: Moment{Date: from.AddDays(90)}, File: peopleFile}
}

// Lines are cut at the borders of blocks, and each must come out once, whole and with its own number.
func TestFileFeedHandsOutEachLineOnce(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "many.jsonl")
	var b bytes.Buffer
	b.WriteString("\xef\xbb\xbf")
	filler := strings.Repeat("x", 997)
	const n = 2000 // two megabytes: eight blocks
	for i := range n {
		fmt.Fprintf(&b, `{"id":"C%04d","name":"%s"}`, i, filler[:i%len(filler)])
		b.WriteString([]string{"\n", "\r\n", "\n\n"}[i%3])
	}
	b.WriteString("broken")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := surveyEnv()
	s, done, err := env.newSurvey(t.Context(), PlanOptions{File: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	s.workers = 4
	var mu sync.Mutex
	var ids []string
	var read int64
	s.progress = func(_ string, n, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if read = max(read, n); total != int64(b.Len()) {
			t.Errorf("the progress is of %d bytes, not of %d", total, b.Len())
		}
	}
	err = s.each(t.Context(), "", func(_ int, f *care.Facts) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, f.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	var want []string
	lines := 0
	for i := range n {
		want = append(want, fmt.Sprintf("C%04d", i))
		lines += 1 + i%3/2
	}
	want = append(want, fmt.Sprintf("%s:%d", name, lines+1))
	slices.Sort(want)
	if d := cmp.Diff(want, ids); d != "" {
		t.Error(d)
	}
	if read != int64(b.Len()) {
		t.Errorf("%d of %d bytes were told of", read, b.Len())
	}
}

func TestFileFeedRefusesWhatIsNoLines(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "one.jsonl")
	if err := os.WriteFile(name, bytes.Repeat([]byte("x"), longestLine+blockSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	feed, _, err := fileFeed(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := feed(t.Context(), func(*parcel) error { return nil }); err == nil || !strings.Contains(err.Error(), "one JSON document per line") {
		t.Errorf("a file of one endless line gives %v", err)
	}
}

// What a forecast shows is what plan shows, whoever of the workers adds it up.
func TestForecastAddsUpThePlan(t *testing.T) {
	t.Parallel()
	env := surveyEnv()
	want := map[volumeKey]int{}
	held := map[heldKey]int{}
	err := env.Plan(t.Context(), quarter(), func(l PlanLine) error {
		if l.Verdict == care.Send {
			want[volumeKey{care.DateOf(l.Release), l.Dealer, l.Program, l.Channel}]++
		}
		if l.Reason != "" {
			o := &care.Occurrence{Verdict: l.Verdict, Reason: l.Reason}
			held[heldKey{l.Dealer, l.Program, l.Reason, outcomeOf(o)}]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := env.Forecast(t.Context(), ForecastOptions{PlanOptions: quarter()})
	if err != nil {
		t.Fatal(err)
	}
	got := map[volumeKey]int{}
	for _, v := range f.Volumes {
		got[volumeKey{v.Day, v.Dealer, v.Program, v.Channel}] = v.Messages
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(volumeKey{}), cmp.Comparer(func(a, b care.Date) bool { return a == b })); d != "" {
		t.Error(d)
	}
	gotHeld := map[heldKey]int{}
	for _, h := range f.Held {
		gotHeld[heldKey{h.Dealer, h.Program, h.Reason, h.Outcome}] = h.Messages
	}
	if d := cmp.Diff(held, gotHeld, cmp.AllowUnexported(heldKey{})); d != "" {
		t.Error(d)
	}
	if len(want) < 5 || len(held) < 5 {
		t.Errorf("the people of the test get too little: %d kinds of message, %d of reasons", len(want), len(held))
	}
}
