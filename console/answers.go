package console

import (
	"context"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/carebell/carebell/care"
)

// keepSurvey keeps the answer to a survey, from a page or from an SMS. Only the first answer to a message counts.
func (p *Public) keepSurvey(ctx context.Context, v *visit, given, text string, unhappy bool) error {
	said := given
	if text != "" {
		said = strings.TrimSpace(given + " text=" + text)
	}
	told := []care.EventEntry{v.entry(KindSurvey, said)}
	if unhappy {
		told = append(told, v.task(Complaint, said))
	}
	return p.answer(ctx, v, func(o *care.Overlay) error {
		if answerTo(o, KindSurvey, v.token.Occurrence) != nil {
			return nil
		}
		setAnswer(o, care.Answer{Kind: KindSurvey, About: v.token.Occurrence, Value: given, Text: text, At: v.now})
		if unhappy {
			complain(o, v.facts.today(v.now))
		}
		return nil
	}, told...)
}

// keepRSVP keeps the latest answer to an invitation; guests come besides the customer.
func (p *Public) keepRSVP(ctx context.Context, v *visit, yes bool, guests int) error {
	value, said := "no", "no"
	if yes {
		value, said = "yes", "yes"
		if guests > 0 {
			said += "+" + strconv.Itoa(guests)
		}
	}
	a := care.Answer{Kind: KindRSVP, About: v.facts.Event.Event, Value: value, At: v.now}
	if yes {
		a.Text = "guests=" + strconv.Itoa(guests)
	}
	return p.answer(ctx, v, func(o *care.Overlay) error {
		setAnswer(o, a)
		return nil
	}, v.entry(KindRSVP, v.facts.Event.Event+" "+said))
}

// keepReading keeps what the odometer shows. One that we would not have believed is kept too, if the customer insists; a person
// looks at it, because a forecast will not use it.
func (p *Public) keepReading(ctx context.Context, v *visit, car *care.Vehicle, km int, doubted bool) error {
	e := v.entry(KindOdometer, strconv.Itoa(km))
	e.Vehicle = car.ID
	told := []care.EventEntry{e}
	if doubted {
		task := v.task(KindOdometer, strconv.Itoa(km))
		task.Vehicle = car.ID
		told = append(told, task)
	}
	return p.answer(ctx, v, func(o *care.Overlay) error {
		addReading(o, care.VehicleFact{Vehicle: car.ID, On: v.facts.today(v.now), KM: km, At: v.now})
		return nil
	}, told...)
}

const mostKM = 2_000_000

// readKM reads a mileage as people write it: 35000, 35,000 km, 35.000, 3.5万公里, full-width digits too. It reports whether there is
// one number and nothing else.
func readKM(text string) (km int, ok bool) {
	s := strings.ToLower(strings.Join(strings.Fields(width.Fold.String(text)), ""))
	for _, unit := range []string{"公里", "千米", "kms", "km", "kilometres", "kilometers"} {
		s = strings.TrimSuffix(s, unit)
	}
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

// newest is the latest reading by date, the larger of one day, and the delivery at 0 km if there is none.
func newest(f *PageFacts, v *care.Vehicle) (last care.Reading, known bool) {
	last = care.Reading{On: v.DeliveredOn}
	known = !v.DeliveredOn.IsZero()
	for _, r := range f.readings(v) {
		if !r.On.IsZero() && (!known || last.On.Before(r.On) || last.On == r.On && last.KM < r.KM) {
			last, known = r, true
		}
	}
	return last, known
}

// plausible reports whether the planner would believe a reading of today.
func plausible(f *PageFacts, v *care.Vehicle, km int, today care.Date) bool {
	last, known := newest(f, v)
	if !known {
		return km <= mostKM/2
	}
	return km >= last.KM && km-last.KM <= most*max(today.Days()-last.On.Days(), 1)
}
