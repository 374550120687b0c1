package feedback

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
)

// What people answer to an invitation and to "reply MORE", whole texts only.
var (
	yesWords  = []string{"y", "yes", "ok", "1", "来", "去", "参加", "我来", "好", "好的"}
	noWords   = []string{"no", "2", "不来", "不去", "不参加", "来不了", "去不了", "没空"}
	moreWords = []string{"m", "more", "info", "help", "help me", "更多", "详情", "了解", "帮助", "幫助", "更多詳情", "詳情", "了解更多"}
)

// Reply is a text that a customer sent.
type Reply struct {
	Gateway string
	ID      string // the gateway's id of the reply; the same on a repeat; "" if it has none
	From    string // the customer's number as the gateway writes it
	To      string // the number it was sent to
	Text    string
	OptOut  bool // it says stop: by its words, or because the gateway already took it so
	OptIn   bool
	More    bool // and something else, for a person
	At      time.Time

	Countries []string // that the gateway's account is for; none = every country
}

// Asked is a customer with the last message that went to them by SMS.
type Asked struct {
	Customer   string
	Occurrence string
	At         time.Time
	Asks       string // KindSurvey, KindOdometer or KindRSVP if the message asks for it, else ""
}

// People finds customers by what a provider knows of them.
type People interface {
	// Numbers returns what a number of a callback may be, in E.164: that of a record, however the gateway writes it.
	Numbers(number string, countries []string) []string
	// ByNumber returns the customers who have this number.
	ByNumber(ctx context.Context, number string) ([]Asked, error)
	// ByMessage returns whose message it is, with how many messages in the last 30 days did not reach them on that channel since the
	// last one that did (this one included). care.ErrGone: nobody's.
	ByMessage(ctx context.Context, occurrence string, ch care.Channel) (customer string, failures int, err error)
}

// TakeReply acts on a text that a customer sent; an error means: hand it in again. A repeat of it changes nothing: what was taken is
// remembered with the customer, and with the number.
func (s *Service) TakeReply(ctx context.Context, r Reply) error {
	if s.People == nil {
		return nil
	}
	numbers, word := s.People.Numbers(r.From, r.Countries), r.OptOut || r.OptIn
	if word {
		heard, err := s.heardFrom(ctx, numbers, r)
		if err != nil || heard {
			return err
		}
	}
	var asked []Asked
	for _, number := range numbers {
		found, err := s.People.ByNumber(ctx, number)
		if err != nil {
			return err
		}
		asked = append(asked, found...)
		if len(found) > 0 && !word {
			break
		}
	}
	// A number that a family shares: a stop is for all of them, an answer from whoever was written to last.
	slices.SortStableFunc(asked, func(a, b Asked) int { return b.At.Compare(a.At) })
	if !word && len(asked) > 1 {
		asked = asked[:1]
	}
	for _, a := range asked {
		if err := s.replied(ctx, a, r); err != nil {
			return err
		}
		r.More = false // one person reads it
	}
	if word {
		return s.wordFrom(ctx, numbers, r, len(asked) > 0)
	}
	if len(asked) == 0 {
		s.Log.Info("a reply came from a number that no customer has", slog.String("gateway", r.Gateway))
	}
	return nil
}

// heardFrom reports whether a text that says stop or start was taken before. Without an id a second STOP cannot be told from a repeat of the
// first, and a START may lie between: it counts. A START without an id counts once an hour.
func (s *Service) heardFrom(ctx context.Context, numbers []string, r Reply) (bool, error) {
	if s.Addresses == nil || len(numbers) == 0 || r.OptOut && r.ID == "" {
		return false, nil
	}
	for _, number := range numbers {
		known, err := s.Addresses.Address(ctx, s.hashOf(care.SMS, number))
		if err != nil || !known.Heard(replyKey(r)) {
			return false, err
		}
	}
	return true, nil
}

// wordFrom keeps with the number what it said: it holds for every record that has it, now or later, also when nobody has. If the number may
// be read in several ways, it holds for each.
func (s *Service) wordFrom(ctx context.Context, numbers []string, r Reply, known bool) error {
	now, key := s.Now(), replyKey(r)
	for _, number := range numbers {
		err := s.change(ctx, s.hashOf(care.SMS, number), func(a *care.AddressState) {
			a.Hear(key)
			if r.OptOut {
				a.Refuse(care.Stop{At: now, Source: "sms"})
			} else if a.Stopped() {
				a.Agree(care.Stop{At: now, Source: "sms"})
			}
		})
		if err != nil {
			return err
		}
	}
	if !known {
		s.Log.Info("a stop or start came from a number that was never written to: it is kept for whoever has the number", slog.String("gateway", r.Gateway), slog.Int("readings", len(numbers)))
	}
	return nil
}

func (s *Service) replied(ctx context.Context, a Asked, r Reply) error {
	about, err := s.Subject(ctx, a.Customer, a.Occurrence, care.SMS)
	if err != nil {
		return err
	}
	key, text := replyKey(r), Clean(r.Text, TextKept)
	// Without an id a second STOP cannot be told from a repeat of the first, and a START may lie between: it counts.
	nameless := r.ID == "" && (r.OptOut || r.OptIn)
	// An opt-out is kept for a customer whose record is gone, too: it may come back.
	if about.Gone && !r.OptOut || !nameless && heard(about.Facts.Said(), key, r.ID, text, about.Now) {
		return nil
	}
	what, err := s.understand(ctx, about, a.Asks, r, text)
	if err == nil && r.More && !about.Gone {
		_, err = s.passOn(ctx, about, text)
	}
	if err != nil {
		return err
	}
	// Remembered last: if anything before failed, the gateway's repeat is taken as the first.
	return s.Overlays.UpdateOverlay(ctx, a.Customer, func(o *care.Overlay) error {
		setAnswer(o, care.Answer{Kind: KindReply, About: key, Value: what, Text: text, At: about.Now})
		trimReplies(o)
		return nil
	})
}

// understand acts on a reply and says what it was taken for.
func (s *Service) understand(ctx context.Context, about *Subject, asks string, r Reply, text string) (string, error) {
	how := care.Stop{At: about.Now, Source: "sms"}
	switch {
	case r.OptOut:
		return KindOptOut, s.decide(ctx, about, func(o *care.Overlay) error {
			stop(o, string(care.SMS), how)
			return nil
		}, about.entry(KindOptOut, string(care.SMS)))
	case r.OptIn:
		return KindOptIn, s.decide(ctx, about, func(o *care.Overlay) error {
			grant(o, string(care.SMS), how)
			if Stopped(o, Everything) {
				grant(o, Everything, how)
			}
			return nil
		}, about.entry(KindOptIn, string(care.SMS)))
	}
	switch asks {
	case KindSurvey:
		if n := readScore(text); n > 0 && AnswerTo(about.Facts.Overlay, KindSurvey, about.Occurrence) == nil {
			_, err := s.Survey(ctx, about, []Score{{"overall", n}}, "")
			return KindSurvey, err
		}
	case KindOdometer:
		if km, ok := ReadKM(text, about.Facts.Miles); ok {
			return KindOdometer, s.texted(ctx, about, km)
		}
	case KindRSVP:
		yes, no := slices.Contains(yesWords, word(text)), slices.Contains(noWords, word(text))
		if e := about.Facts.Event; e != nil && e.Enabled && about.Invitation() == InvitationOpen && (yes || no) {
			return KindRSVP, s.RSVP(ctx, about, yes, 0)
		}
	}
	return s.passOn(ctx, about, text)
}

// texted takes a mileage by SMS. It cannot be asked about again, so one that is hard to believe goes to a person instead.
func (s *Service) texted(ctx context.Context, about *Subject, km int) error {
	cars := about.Facts.Cars()
	if len(cars) != 1 || !Plausible(&about.Facts, &cars[0], km, about.today()) {
		return s.tell(ctx, about.task(KindOdometer, strconv.Itoa(km)))
	}
	return s.Odometer(ctx, about, &cars[0], km, false)
}

// passOn gives a text to whoever looks after the customer. A complaint opens a hold.
func (s *Service) passOn(ctx context.Context, about *Subject, text string) (string, error) {
	reason := KindReply
	change := func(*care.Overlay) error { return nil }
	switch {
	case complaintWords.in(text):
		reason = Complaint
		change = func(o *care.Overlay) error {
			complain(o, about.today())
			return nil
		}
	case slices.Contains(moreWords, word(text)):
		reason = "more"
	}
	return reason, s.answer(ctx, about, change, about.entry(KindReply, text), about.task(reason, text))
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
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 5 {
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
