package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
)

func TestDoctorReadsTheAccounts(t *testing.T) {
	t.Parallel()
	checked, _, err := carebook.Check(carebook.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	account := "{gateway: twilio, user: AC, password: canary, from: MG, "
	for list, want := range map[string]string{
		account + "name: us, dealers: [example]}":                        "",
		account + "name: us, dealers: [harbor]}":                         "SMS gateway us is for the dealer harbor, whom the book does not have",
		account + "name: vonage}":                                        "must not be named like another provider",
		account + "}, " + account + "}":                                  "entry 2: twilio is there twice",
		"{name: cn, gateway: aliyun, user: u, password: canary}":         "SMS gateway cn sends approved templates only, and ",
		"{name: us, gateway: acme, user: u, password: canary}":           "gateways/acme.yaml cannot be read",
		"{name: us, gateway: twilio, user: AC, password: canary}":        "sms: gateway us: set CARE_SMS_USER",
		account + "name: us}, {name: eu, gateway: twilio, from: canary}": "sms: gateway eu: set CARE_SMS_USER",
	} {
		env := &Env{Settings: &config.Settings{SMS: config.SMS{Accounts: config.NewSecret("[" + list + "]")}}, Now: time.Now}
		var told []string
		env.doctorChannels(t.Context(), checked, func(f Finding) {
			if !f.OK {
				told = append(told, f.What)
			}
		})
		got := strings.Join(told, "\n")
		if want == "" && got != "" || !strings.Contains(got, want) || strings.Contains(got, "canary") {
			t.Errorf("%s: doctor says %q, want %q", list, got, want)
		}
	}
}
