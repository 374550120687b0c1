package feedback

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/carebell/carebell/care"
)

// TextKept is how many characters of what a customer wrote are kept.
const TextKept = 2000

// Score is what a customer gave for one question of a survey, from 1 to 5.
type Score struct {
	Question string
	Value    int
}

// Survey keeps the answer to a survey, from a page or from an SMS. Only the first answer to a message counts. A bad score or a word of
// complaint opens a hold and makes a task; it reports whether that was so.
func (s *Service) Survey(ctx context.Context, about *Subject, scores []Score, text string) (unhappy bool, err error) {
	unhappy = complaintWords.in(text)
	marks := make([]string, len(scores))
	for i, score := range scores {
		marks[i] = score.Question + "=" + strconv.Itoa(score.Value)
		unhappy = unhappy || score.Value <= bad
	}
	given := strings.Join(marks, " ")
	said := given
	if text != "" {
		said = strings.TrimSpace(given + " text=" + text)
	}
	told := []care.EventEntry{about.entry(KindSurvey, said)}
	if unhappy {
		told = append(told, about.task(Complaint, said))
	}
	return unhappy, s.answer(ctx, about, func(o *care.Overlay) error {
		if AnswerTo(o, KindSurvey, about.Occurrence) != nil {
			return nil
		}
		setAnswer(o, care.Answer{Kind: KindSurvey, About: about.Occurrence, Value: given, Text: text, At: about.Now})
		if unhappy {
			complain(o, about.today())
		}
		return nil
	}, told...)
}

// Invitation is how an invitation stands.
type Invitation int

// An invitation takes answers while it is open, until the event is over or the day for answers has passed.
const (
	InvitationOpen Invitation = iota
	InvitationOver
	InvitationLate
)

// Invitation tells how the invitation of the subject's event stands. There must be an event.
func (about *Subject) Invitation() Invitation {
	e := about.Facts.Event
	today := care.DateOf(about.Now.In(about.Facts.EventZone()))
	switch {
	case e.On.Before(today):
		return InvitationOver
	case !e.RSVPUntil.IsZero() && e.RSVPUntil.Before(today):
		return InvitationLate
	}
	return InvitationOpen
}

// RSVP keeps the latest answer to an invitation; guests come besides the customer. The subject knows of it afterwards.
func (s *Service) RSVP(ctx context.Context, about *Subject, yes bool, guests int) error {
	value, said := "no", "no"
	if yes {
		value, said = "yes", "yes"
		if guests > 0 {
			said += "+" + strconv.Itoa(guests)
		}
	}
	a := care.Answer{Kind: KindRSVP, About: about.Facts.Event.Event, Value: value, At: about.Now}
	if yes {
		a.Text = "guests=" + strconv.Itoa(guests)
	}
	err := s.answer(ctx, about, func(o *care.Overlay) error {
		setAnswer(o, a)
		return nil
	}, about.entry(KindRSVP, about.Facts.Event.Event+" "+said))
	if err != nil {
		return err
	}
	now := *about.Facts.Said()
	now.Answers = slices.Clone(now.Answers)
	setAnswer(&now, a)
	about.Facts.Overlay = &now
	return nil
}

// Odometer keeps what the odometer shows today, in km. One that is hard to believe is kept too, if the customer insists; a person
// looks at it, because a forecast will not use it.
func (s *Service) Odometer(ctx context.Context, about *Subject, car *care.Vehicle, km int, doubted bool) error {
	e := about.entry(KindOdometer, strconv.Itoa(km))
	e.Vehicle = car.ID
	told := []care.EventEntry{e}
	if doubted {
		task := about.task(KindOdometer, strconv.Itoa(km))
		task.Vehicle = car.ID
		told = append(told, task)
	}
	return s.answer(ctx, about, func(o *care.Overlay) error {
		addReading(o, care.VehicleFact{Vehicle: car.ID, On: about.today(), KM: km, At: about.Now})
		return nil
	}, told...)
}

// Sold takes "I sold this car": nothing about it goes any more.
func (s *Service) Sold(ctx context.Context, about *Subject, car *care.Vehicle) error {
	today := about.today()
	e := about.entry(KindSold, today.String())
	e.Vehicle = car.ID
	return s.decide(ctx, about, func(o *care.Overlay) error {
		if !SaidSold(o, car.ID) {
			o.Sold = append(o.Sold, care.VehicleFact{Vehicle: car.ID, On: today, At: about.Now})
		}
		return nil
	}, e)
}

// Kept takes back "I sold this car". Only what the customer said is taken back, never what the record says.
func (s *Service) Kept(ctx context.Context, about *Subject, car *care.Vehicle) error {
	e := about.entry(KindSold, "taken_back")
	e.Vehicle = car.ID
	return s.decide(ctx, about, func(o *care.Overlay) error {
		o.Sold = slices.DeleteFunc(o.Sold, func(f care.VehicleFact) bool { return f.Vehicle == car.ID })
		return nil
	}, e)
}

const mostKM = 2_000_000

// ReadKM reads a mileage as people write it: 35000, 35,000 km, 35.000, 3.5万公里, 20,000 miles, full-width digits too. miles says what a
// number without a unit is. It reports whether there is one number and nothing else.
func ReadKM(text string, miles bool) (km int, ok bool) {
	s := strings.ToLower(strings.Join(strings.Fields(width.Fold.String(text)), ""))
	for _, unit := range []string{"公里", "千米", "kms", "km", "kilometres", "kilometers", "英里", "哩", "miles", "mile", "mi"} {
		if rest, found := strings.CutSuffix(s, unit); found {
			s, miles = rest, strings.HasPrefix(unit, "mi") || unit == "英里" || unit == "哩"
			break
		}
	}
	n, ok := readNumber(s)
	if miles {
		n = int(math.Round(float64(n) * care.KMPerMile))
	}
	return n, ok && n <= mostKM
}

func readNumber(s string) (n int, ok bool) {
	s, tenThousands := strings.CutSuffix(s, "万")
	if s == "" || len(s) > 12 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsDigit(r) && r != '.' && r != ',' && r != '\'' }) {
		return 0, false
	}
	if tenThousands {
		f, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", "."), 64)
		if err != nil || f < 0 || f*10_000 > mostKM {
			return 0, false
		}
		return int(f*10_000 + 0.5), true
	}
	// A separator before exactly three digits groups thousands, wherever the customer comes from; another dot or comma begins tenths.
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == ',' || r == '\'' })
	if len(parts) == 0 {
		return 0, false
	}
	whole := parts[0]
	for i, part := range parts[1:] {
		switch {
		case len(part) == 3:
			whole += part
		case i == len(parts)-2 && len(part) < 3: // tenths
		default:
			return 0, false
		}
	}
	n, err := strconv.Atoi(whole)
	if err != nil || n > mostKM {
		return 0, false
	}
	return n, true
}

// most is how far a car can have gone in a day: the planner drops a reading that says more.
const most = 1500

// Newest is the latest reading by date, the larger of one day, and the delivery at 0 km if there is none.
func Newest(f *CustomerFacts, v *care.Vehicle) (last care.Reading, known bool) {
	last = care.Reading{On: v.DeliveredOn}
	known = !v.DeliveredOn.IsZero()
	for _, r := range f.readings(v) {
		if !r.On.IsZero() && (!known || last.On.Before(r.On) || last.On == r.On && last.KM < r.KM) {
			last, known = r, true
		}
	}
	return last, known
}

// Read reads what a customer says that a car shows, in the dealer's units or with its own. Miles that the newest reading comes to are
// that reading: they are a little less than its km, or more.
func (f *CustomerFacts) Read(v *care.Vehicle, text string) (km int, ok bool) {
	km, ok = ReadKM(text, f.Miles)
	if v == nil || !f.Miles || !ok {
		return km, ok
	}
	if last, known := Newest(f, v); known && last.KM > km && last.KM-km < 2 {
		return last.KM, true
	}
	return km, true
}

// Plausible reports whether the planner would believe a reading of today.
func Plausible(f *CustomerFacts, v *care.Vehicle, km int, today care.Date) bool {
	last, known := Newest(f, v)
	if !known {
		return km <= mostKM/2
	}
	return km >= last.KM && km-last.KM <= most*max(today.Days()-last.On.Days(), 1)
}
