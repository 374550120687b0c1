package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/width"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
)

// What people answer to an invitation and to "reply MORE", whole texts only.
var (
	yesWords  = []string{"y", "yes", "ok", "1", "来", "去", "参加", "我来", "好", "好的"}
	noWords   = []string{"no", "2", "不来", "不去", "不参加", "来不了", "去不了", "没空"}
	moreWords = []string{"m", "more", "info", "更多", "详情", "了解"}
)

// takeReply acts on a text that a customer sent. A repeat of it changes nothing: what was taken is remembered with the customer.
func (p *Public) takeReply(ctx context.Context, r Reply) error {
	if p.People == nil {
		return nil
	}
	asked, err := p.People.ByNumber(ctx, r.From)
	if err != nil {
		return err
	}
	if len(asked) == 0 {
		p.Log.Info("a reply came from a number that no customer has", slog.String("gateway", r.Gateway))
		return nil
	}
	// A number that a family shares: a stop is for all of them, an answer from whoever was written to last.
	slices.SortStableFunc(asked, func(a, b Asked) int { return b.At.Compare(a.At) })
	if !r.OptOut && !r.OptIn {
		asked = asked[:1]
	}
	for _, a := range asked {
		if err := p.replied(ctx, a, r); err != nil {
			return err
		}
	}
	return nil
}

func (p *Public) replied(ctx context.Context, a Asked, r Reply) error {
	v := &visit{token: token.Token{Customer: a.Customer, Occurrence: a.Occurrence, Channel: care.SMS}, now: p.Now(), t: localeFor("")}
	if err := p.lookup(ctx, v); err != nil {
		return err
	}
	key, text := replyKey(r), clean(r.Text, textKept)
	// Without an id a second STOP cannot be told from a repeat of the first, and a START may lie between: it counts.
	nameless := r.ID == "" && (r.OptOut || r.OptIn)
	// An opt-out is kept for a customer whose record is gone, too: it may come back.
	if v.gone && !r.OptOut || !nameless && heard(v.facts.overlay(), key, r.ID, text, v.now) {
		return nil
	}
	what, err := p.understand(ctx, v, a.Asks, r, text)
	if err != nil {
		return err
	}
	// Remembered last: if anything before failed, the gateway's repeat is taken as the first.
	return p.Overlays.UpdateOverlay(ctx, a.Customer, func(o *care.Overlay) error {
		setAnswer(o, care.Answer{Kind: KindReply, About: key, Value: what, Text: text, At: v.now})
		trimReplies(o)
		return nil
	})
}

// understand acts on a reply and says what it was taken for.
func (p *Public) understand(ctx context.Context, v *visit, asks string, r Reply, text string) (string, error) {
	how := care.Stop{At: v.now, Source: "sms"}
	switch {
	case r.OptOut:
		return KindOptOut, p.decide(ctx, v, func(o *care.Overlay) error {
			stop(o, string(care.SMS), how)
			return nil
		}, v.entry(KindOptOut, string(care.SMS)))
	case r.OptIn:
		return KindOptIn, p.decide(ctx, v, func(o *care.Overlay) error {
			grant(o, string(care.SMS), how)
			if stopped(o, everything) {
				grant(o, everything, how)
			}
			return nil
		}, v.entry(KindOptIn, string(care.SMS)))
	}
	switch asks {
	case KindSurvey:
		if n := readScore(text); n > 0 && answerTo(v.facts.Overlay, KindSurvey, v.token.Occurrence) == nil {
			return KindSurvey, p.keepSurvey(ctx, v, "overall="+strconv.Itoa(n), "", n <= bad)
		}
	case KindOdometer:
		if km, ok := readKM(text); ok {
			return KindOdometer, p.texted(ctx, v, km)
		}
	case KindRSVP:
		yes, no := slices.Contains(yesWords, word(text)), slices.Contains(noWords, word(text))
		if e := v.facts.Event; e != nil && e.Enabled && v.closed() == "" && (yes || no) {
			return KindRSVP, p.keepRSVP(ctx, v, yes, 0)
		}
	}
	return p.passOn(ctx, v, text)
}

// texted takes a mileage by SMS. It cannot be asked about again, so one that is hard to believe goes to a person instead.
func (p *Public) texted(ctx context.Context, v *visit, km int) error {
	cars := v.facts.cars()
	if len(cars) != 1 || !plausible(&v.facts, &cars[0], km, v.facts.today(v.now)) {
		return p.tell(ctx, v.task(KindOdometer, strconv.Itoa(km)))
	}
	return p.keepReading(ctx, v, &cars[0], km, false)
}

// passOn gives a text to whoever looks after the customer. A complaint opens a hold.
func (p *Public) passOn(ctx context.Context, v *visit, text string) (string, error) {
	reason := KindReply
	change := func(*care.Overlay) error { return nil }
	switch {
	case complaintWords.in(text):
		reason = Complaint
		change = func(o *care.Overlay) error {
			complain(o, v.facts.today(v.now))
			return nil
		}
	case slices.Contains(moreWords, word(text)):
		reason = "more"
	}
	return reason, p.answer(ctx, v, change, v.entry(KindReply, text), v.task(reason, text))
}

// readScore reads a score from 1 to 5 as people write it: 5, 5分, ５星, 5 stars, 五分. It is 0 for anything else: that is for a person.
func readScore(text string) int {
	s := word(text)
	for _, unit := range []string{"分", "星", "颗星", "stars", "star", "points", "point"} {
		s = strings.TrimSuffix(s, unit)
	}
	s = strings.TrimSpace(s)
	for n, digit := range []string{"一", "二", "三", "四", "五"} {
		if s == digit {
			return n + 1
		}
	}
	if n, err := strconv.Atoi(s); err == nil && slices.Contains(scores, n) {
		return n
	}
	return 0
}

// word is a text as one word: half-width, lower-case, without what stands around it.
func word(text string) string {
	return strings.ToLower(strings.Trim(width.Fold.String(text), " \t\n.,!?;:。~、"))
}

// replyKey names a reply: by the gateway's id or, without one, by its words and the hour.
func replyKey(r Reply) string {
	id := r.ID
	if id == "" {
		sum := sha256.Sum256([]byte(r.From + "\x00" + r.Text))
		id = hex.EncodeToString(sum[:8]) + "@" + r.At.UTC().Format("2006010215")
	}
	return r.Gateway + ":" + id
}

// heard reports whether the reply was taken before. Without an id the same words within an hour are a repeat.
func heard(o *care.Overlay, key, id, text string, now time.Time) bool {
	for _, a := range o.Answers {
		if a.Kind == KindReply && (a.About == key || id == "" && a.Text == text && now.Sub(a.At).Abs() < time.Hour) {
			return true
		}
	}
	return false
}

func trimReplies(o *care.Overlay) {
	n := -repliesKept
	for _, a := range o.Answers {
		if a.Kind == KindReply {
			n++
		}
	}
	o.Answers = slices.DeleteFunc(o.Answers, func(a care.Answer) bool {
		if a.Kind != KindReply || n <= 0 {
			return false
		}
		n-- // the oldest come first
		return true
	})
}
