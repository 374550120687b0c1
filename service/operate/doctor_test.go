package operate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
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
		env := &daemon.Env{Settings: &config.Settings{SMS: config.SMS{Accounts: config.NewSecret("[" + list + "]")}}, Now: time.Now}
		var told []string
		doctor := operate.Doctor{Settings: env.Settings, Now: env.Now, Gateways: env.Gateways, Senders: env.OpenSenders}
		doctor.Channels(t.Context(), checked, func(f store.Finding) {
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

// A mailbox that cannot be asked is named by its setting, without the password.
func TestDoctorNamesTheMailboxByItsSetting(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{"imaps://canary:canary@h?starttls=never": "CARE_BOUNCE_IMAP_URL", "imaps://me:canary@127.0.0.1:1/INBOX": "CARE_BOUNCE_IMAP_URL"} {
		set := &config.Settings{}
		set.Bounce.IMAP.URL = config.NewSecret(raw)
		doctor := operate.Doctor{Settings: set, Now: time.Now}
		var told []string
		doctor.Mailbox(t.Context(), func(f store.Finding) { told = append(told, fmt.Sprint(f)) })
		if len(told) != 1 || !strings.Contains(told[0], want) || strings.Contains(told[0], "canary") {
			t.Errorf("%s: doctor says %q", raw, told)
		}
	}
}
