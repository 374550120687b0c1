package metrics

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/delivery"
)

// The dashboard, the alerts and this list say the same names; a metric that is renamed must be renamed there too.
func TestMetricsAreThoseOfTheList(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../deploy/prometheus/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(raw)) {
		if name, rest, ok := strings.Cut(line, " | "); ok && !strings.HasPrefix(line, "#") {
			kind, _, _ := strings.Cut(rest, " | ")
			want = append(want, name+" "+kind)
		}
	}
	m := New("test")
	m.messages.WithLabelValues("p", "email", "sent")
	m.brake.WithLabelValues("d", "p")
	m.Balances([]sms.Balance{{Gateway: "infobip", Value: 9.5, Low: 10}})
	m.GatewaysOf(map[care.Channel][]delivery.Gateway{care.SMS: {{Name: "kannel"}}})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "carebell_") {
			got = append(got, f.GetName()+" "+strings.ToLower(f.GetType().String()))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("metrics:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// TestAttemptsAndOutcomesAreCounted looks at every series that delivery's messages count in, those of a kind that is not known too.
func TestAttemptsAndOutcomesAreCounted(t *testing.T) {
	t.Parallel()
	m := New("test")
	m.Attempt(care.Email, "mx", "", time.Second)
	m.Attempt(care.Email, "mx", "", time.Second)
	m.Attempt(care.SMS, "kannel", care.KindDefer, time.Second)
	m.Attempt(care.SMS, "kannel", "strange", time.Second)
	sent := &care.Record{Program: "maintenance", Channel: care.Email, State: care.StateSent}
	m.Completed(sent, time.Minute)
	m.Completed(sent, time.Minute)
	m.Completed(&care.Record{Program: "maintenance", Channel: care.SMS, State: care.StateFailed}, 0)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, s := range f.GetMetric() {
			n := s.GetCounter().GetValue() + float64(s.GetHistogram().GetSampleCount())
			if n == 0 || !slices.Contains([]string{"carebell_attempts_total", "carebell_messages_total", "carebell_send_seconds", "carebell_lag_seconds"}, f.GetName()) {
				continue
			}
			line := fmt.Sprintf("%s %v", f.GetName(), n)
			for _, l := range s.GetLabel() {
				line += " " + l.GetName() + "=" + l.GetValue()
			}
			got = append(got, line)
		}
	}
	slices.Sort(got)
	want := []string{
		"carebell_attempts_total 1 channel=sms kind=defer",
		"carebell_attempts_total 1 channel=sms kind=strange",
		"carebell_attempts_total 2 channel=email kind=accepted",
		"carebell_lag_seconds 2 channel=email",
		"carebell_messages_total 1 channel=sms program=maintenance state=failed",
		"carebell_messages_total 2 channel=email program=maintenance state=sent",
		"carebell_send_seconds 2 channel=email",
		"carebell_send_seconds 2 channel=sms",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A stop that stands has its series at every moment, and one that is over has none.
func TestStopsAreShownWithoutAGap(t *testing.T) {
	t.Parallel()
	m := New("test")
	op := &care.Operator{All: true, Programs: map[string]bool{"birthday": true}, Brakes: map[string]bool{"d/p": true}}
	m.Stops(op)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			m.Stops(op)
		}
	})
	shown := prometheus.NewRegistry()
	shown.MustRegister(m.paused, m.brake)
	series := func() string {
		families, err := shown.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range families {
			for _, one := range f.GetMetric() {
				var labels []string
				for _, l := range one.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				if one.GetGauge().GetValue() == 1 {
					out = append(out, strings.Join(labels, " "))
				}
			}
		}
		return strings.Join(out, ",")
	}
	for range 2000 {
		if got := series(); !strings.Contains(got, "all") || !strings.Contains(got, "program:birthday") || !strings.Contains(got, "d p") {
			t.Fatalf("at some moment only %q stand", got)
		}
	}
	cancel()
	writer.Wait()
	m.Stops(&care.Operator{})
	if got := series(); got != "" {
		t.Errorf("nothing is stopped, and %q stand", got)
	}
}
