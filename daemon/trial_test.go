package daemon

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

// TestARedirectHoldsTheOtherChannels holds that trying one channel out reaches nobody by the others.
func TestARedirectHoldsTheOtherChannels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  config.Settings
		want map[care.Channel]bool
	}{
		"no trial":            {config.Settings{}, map[care.Channel]bool{care.SMS: true}},
		"a dry run":           {config.Settings{DryRun: true, RedirectEmail: "me@dealer.example"}, map[care.Channel]bool{care.SMS: true}},
		"e-mail is tried out": {config.Settings{RedirectEmail: "me@dealer.example"}, map[care.Channel]bool{care.SMS: true, care.Webhook: true, care.Task: true}},
		"texts are tried out": {config.Settings{RedirectPhone: "+12125550100"}, map[care.Channel]bool{care.Email: true, care.SMS: true, care.Webhook: true, care.Task: true}},
		"both are tried out":  {config.Settings{RedirectEmail: "me@dealer.example", RedirectPhone: "+12125550100"}, map[care.Channel]bool{care.SMS: true, care.Webhook: true, care.Task: true}},
	} {
		kept := &care.Operator{Channels: map[care.Channel]bool{care.SMS: true}} // an operator stopped one
		env := &Env{Settings: &c.set}
		got, err := env.trialStops(func(context.Context) (*care.Operator, error) { return kept, nil })(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got.Channels); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(kept.Channels) != 1 {
			t.Errorf("%s: the operator's own stops were changed", name)
		}
	}
}
