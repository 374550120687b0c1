package carebook

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/scheduler"
)

// Lint checks a book and returns everything that is wrong with it, by file and line.
func Lint(opt Options) ([]problem.Problem, error) {
	_, problems, err := Check(opt)
	if err != nil && !errors.Is(err, ErrBook) {
		return nil, err
	}
	return problems, nil
}

// smsParts counts a text's parts as the gateways of a country do.
func smsParts(text, signature, country string) int {
	n, _ := sms.Parts(text, signature, sms.StyleFor(country))
	return n
}

// neverLeaves warns of programs whose messages must leave on their day and are due in quiet hours that last to the next one.
func neverLeaves(book *care.Book) []problem.Problem {
	var out []problem.Problem
	for _, p := range book.Programs {
		if !p.Enabled || !p.Expires.SameDay || p.Class == care.Safety || len(p.Channels) == 1 && p.Channels[0] == string(care.Webhook) {
			continue
		}
		schedule, err := cron.ParseStandard(cmp.Or(p.Schedule, "0 9 * * *"))
		if err != nil {
			continue // the plan says so
		}
		at := schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second))
		minute := int16(at.Hour()*60 + at.Minute())
		for _, d := range book.Dealers {
			quiet := scheduler.QuietHours(d, p.Class)
			if !quiet.Contains(int(minute)) || minute < quiet.From || quiet.From < quiet.To {
				continue
			}
			found := problem.Problem{
				Severity: problem.Warning, Rule: "never-leaves", File: p.File,
				Message: fmt.Sprintf("the messages are due at %s, in the quiet hours of dealer %s (from %02d:%02d), which end the next day, when they have expired (same_day): none would ever leave",
					at.Format("15:04"), d.Dealer, quiet.From/60, quiet.From%60),
				Remedy: "write an earlier hour in schedule, or expires: 1d",
			}
			if book.Locate != nil {
				found.Line, found.Column, found.Excerpt = book.Locate(p.File, "$.schedule")
			}
			out = append(out, found)
			break
		}
	}
	return out
}
