//go:build e2e || faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// Channels, a program, the dealer and everything are stopped and let go at every moment of a day's messages. The mails could go by SMS as
// well, if there were a text for it: what is held back for now must not be taken for what can never go.
func TestRow41PausedAndResumedAtEveryMoment(t *testing.T) {
	t.Parallel()
	n, rounds := pick(150, 3000), pick(12, 200)
	h := newHouse(t, houseOptions{channels: []care.Channel{care.Email, care.SMS}, env: []string{"CARE_SWEEP=@every 1s", "CARE_SMTP_RATE=30", "CARE_SMS_RATE=30"}})
	for _, ch := range []care.Channel{care.Email, care.SMS} {
		file := "programs/" + programOf(ch) + ".yaml"
		h.write(file, strings.Replace(h.read(file), "channels: ["+string(ch)+"]", "channels: [preferred, sms, email]", 1))
	}
	h.customers(n, care.Email, false)
	h.customers(n, care.SMS, false)
	h.release()
	h.serve()
	scopes := [][]string{{"--channel", "email"}, {"--channel", "sms"}, {"--program", programOf(care.Email)}, {"--dealer", "d"}}
	paused := 0
	for i := 0; i < rounds || h.accepted() == 0; i++ {
		some := scopes[:1+rand.IntN(len(scopes))]
		for _, scope := range some {
			h.carebell(append([]string{"pause"}, scope...)...)
			paused++
		}
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond) // any moment will do: a sweep may come or not
		for _, scope := range some {
			h.carebell(append([]string{"resume"}, scope...)...)
		}
		rand.Shuffle(len(scopes), func(i, j int) { scopes[i], scopes[j] = scopes[j], scopes[i] })
	}
	h.awaitDrained(2 * time.Minute)
	f := h.judge("41", fmt.Sprintf("stopped and let go %d times", paused))
	if f.Sent != 2*n || f.Duplicates > 0 {
		t.Errorf("%d of %d were sent, %d twice", f.Sent, 2*n, f.Duplicates)
	}
}
