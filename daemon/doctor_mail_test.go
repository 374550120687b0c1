package daemon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carebell/carebell/config"
)

func TestDoctorHidesTheMailboxsPassword(t *testing.T) {
	t.Parallel()
	bounce := config.Bounce{IMAP: config.BounceIMAP{URL: config.NewSecret("imaps://canary:canary@h?starttls=never")}}
	env := &Env{Settings: &config.Settings{Bounce: bounce}}
	var told []string
	env.doctorPostbox(t.Context(), func(f Finding) { told = append(told, fmt.Sprint(f)) })
	if len(told) != 1 || !strings.Contains(told[0], "CARE_BOUNCE_IMAP_URL") || strings.Contains(told[0], "canary") {
		t.Errorf("doctor says %q", told)
	}
}

func TestCallbacksAreShownOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	env := &Env{Settings: &config.Settings{
		PublicURL: "https://care.example", SecretKey: config.Secrets{config.NewSecret("a secret key")}, SMS: config.SMS{Gateway: "kannel", URL: "http://127.0.0.1:1"},
	}}
	var told []string
	env.doctorLinks(func(f Finding) { told = append(told, f.What+f.Remedy) })
	text := strings.Join(told, "\n")
	if !strings.Contains(text, "https://care.example/hooks/sms/kannel with its secret") || strings.Contains(text, "token") || strings.Contains(text, env.bounceSecret()) {
		t.Errorf("doctor says:\n%s", text)
	}
}
