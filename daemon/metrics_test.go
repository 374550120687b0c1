package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
)

// TestAttemptsAndOutcomesAreCounted looks at every series that delivery's messages count in, those of a kind that is not known too.
func TestAttemptsAndOutcomesAreCounted(t *testing.T) {
	t.Parallel()
	m := newMetrics("test")
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
