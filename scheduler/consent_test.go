package scheduler

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// TestConsentTakenBack: an opt-in counts until a later stop of the same scope, or one of the same moment. The gate opted_out stops
// such a message as well; explain tells what ConsentOf says.
func TestConsentTakenBack(t *testing.T) {
	t.Parallel()
	early := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	late := early.Add(time.Second)
	for name, tt := range map[string]struct {
		granted, stopped map[string]time.Time
		class            care.Class
		want             string
	}{
		"no stop":                         {map[string]time.Time{"sms/commercial": early}, nil, care.Commercial, "overlay"},
		"an earlier stop":                 {map[string]time.Time{"sms/commercial": late}, map[string]time.Time{"sms/commercial": early}, care.Commercial, "overlay"},
		"a later stop":                    {map[string]time.Time{"sms/commercial": early}, map[string]time.Time{"sms/commercial": late}, care.Commercial, "dealer"},
		"a stop of the same moment":       {map[string]time.Time{"sms/commercial": early}, map[string]time.Time{"sms/commercial": early}, care.Commercial, "dealer"},
		"on all channels, a later stop":   {map[string]time.Time{"commercial": early}, map[string]time.Time{"commercial": late}, care.Commercial, "dealer"},
		"another scope's stop":            {map[string]time.Time{"commercial": early}, map[string]time.Time{"sms/commercial": late}, care.Commercial, "overlay"},
		"care follows service":            {map[string]time.Time{"sms/service": early}, nil, care.Care, "overlay"},
		"care follows service's stop":     {map[string]time.Time{"sms/service": early}, map[string]time.Time{"sms/service": late}, care.Care, "dealer"},
		"one taken back, the other not":   {map[string]time.Time{"commercial": early, "sms/commercial": early}, map[string]time.Time{"commercial": late}, care.Commercial, "overlay"},
		"an offer does not follow":        {map[string]time.Time{"sms/service": early}, nil, care.Commercial, "dealer"},
		"an opt-in without any class":     {map[string]time.Time{"sms": early, "*": early}, nil, care.Commercial, "dealer"},
		"an opt-in for another channel":   {map[string]time.Time{"email/commercial": early}, nil, care.Commercial, "dealer"},
		"nobody has said anything so far": {nil, nil, care.Commercial, "dealer"},
	} {
		overlay := &care.Overlay{Grants: map[string]care.Stop{}, Stops: map[string]care.Stop{}}
		for scope, at := range tt.granted {
			overlay.Grants[scope] = care.Stop{At: at, Source: "link"}
		}
		for scope, at := range tt.stopped {
			overlay.Stops[scope] = care.Stop{At: at, Source: "sms"}
		}
		got := ConsentOf(&care.Facts{Customer: &care.Customer{ID: "C"}, Overlay: overlay}, &care.Dealer{}, care.SMS, tt.class)
		if got.From != tt.want || got.Allowed != (tt.want == "overlay") {
			t.Errorf("%s: got %+v, want it from the %s", name, got, tt.want)
		}
	}
}
