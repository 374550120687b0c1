package public

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/page"
)

// carView is a car on the shown. Key names it without its number: the page may be read by somebody else.
type carView struct {
	Key     string
	Vehicle *care.Vehicle
	Last    string // the last reading in words
}

type odometerView struct {
	page.View
	Cars    []carView
	Chosen  string
	KM      string
	KMWords string
	Field   string // what is asked for
	Error   string
	Confirm bool
	Undo    bool
	Others  bool // "I sold this car" and "this is not me" are offered
}

func carKey(v *care.Vehicle) string {
	sum := sha256.Sum256([]byte("car\x00" + v.ID))
	return hex.EncodeToString(sum[:6])
}

func (p *Pages) showOdometer(w http.ResponseWriter, _ *http.Request, v *visit) {
	shown := v.odometer()
	if len(shown.Cars) == 0 {
		for _, car := range v.Facts.Cars() {
			if feedback.SaidSold(v.Facts.Said(), car.ID) {
				p.soldPage(w, v, &car)
				return
			}
		}
		shown.Title = v.t.T("odometer.no_car.title")
		shown.Lead = v.t.T("odometer.no_car.lead")
	}
	v.t.Write(w, p.Log, http.StatusOK, "odometer", shown)
}

// odometer begins the page with the cars that the customer still has.
func (v *visit) odometer() odometerView {
	shown := odometerView{Others: true, Field: v.t.T("odometer.field"), View: v.view(v.t.T("odometer.title"),
		v.t.T("odometer.lead"), "")}
	if v.Facts.Miles {
		shown.Field, shown.Title = v.t.T("odometer.field.miles"), v.t.T("odometer.title.miles")
	}
	for _, car := range v.Facts.Cars() {
		if feedback.SaidSold(v.Facts.Said(), car.ID) {
			continue
		}
		c := carView{Key: carKey(&car), Vehicle: &car}
		if last, ok := feedback.Newest(&v.Facts, &car); ok && last.KM > 0 {
			c.Last = v.t.T("odometer.last", "reading", v.distance(last.KM))
		}
		shown.Cars = append(shown.Cars, c)
	}
	return shown
}

func (v *visit) distance(km int) string { return v.t.Distance(km, v.Facts.Miles) }

// car finds the car of a form.
func (v *visit) car(key string) *care.Vehicle {
	for _, list := range [][]care.Vehicle{v.Facts.Cars(), v.Facts.Vehicles} {
		for i := range list {
			if carKey(&list[i]) == key {
				return &list[i]
			}
		}
	}
	return nil
}

func (p *Pages) takeOdometer(w http.ResponseWriter, r *http.Request, v *visit) {
	do := r.PostForm.Get("do")
	if do == feedback.KindNotMe {
		p.wrongPerson(w, r, v)
		return
	}
	car := v.car(r.PostForm.Get("car"))
	switch {
	case car != nil && do == feedback.KindSold:
		p.sell(w, r, v, car)
	case car != nil && do == "kept":
		p.keepCar(w, r, v, car)
	default:
		p.report(w, r, v, car)
	}
}

func (p *Pages) report(w http.ResponseWriter, r *http.Request, v *visit, car *care.Vehicle) {
	shown := v.odometer()
	shown.KM = feedback.Clean(r.PostForm.Get("km"), 20)
	km, ok := v.Facts.Read(car, shown.KM)
	switch {
	case car == nil:
		shown.Error = v.t.T("odometer.which.missing")
	case !ok:
		shown.Error = v.t.T("odometer.unreadable")
	}
	if car != nil {
		shown.Chosen = carKey(car)
	}
	if shown.Error != "" {
		v.t.Write(w, p.Log, http.StatusUnprocessableEntity, "odometer", shown)
		return
	}
	doubted := !feedback.Plausible(&v.Facts, car, km, v.Facts.Today(v.Now))
	said := strconv.Itoa(km)
	if v.Facts.Miles {
		said += " km"
	}
	if doubted && r.PostForm.Get("sure") != said {
		last, _ := feedback.Newest(&v.Facts, car)
		shown.KM, shown.KMWords, shown.Confirm, shown.Others = said, v.distance(km), true, false
		shown.Title = v.t.T("odometer.doubt.title", "reading", v.distance(km))
		shown.Lead = v.t.T("odometer.doubt.lead", "date", v.t.Date(last.On), "reading", v.distance(last.KM))
		if last.On.IsZero() {
			shown.Lead = v.t.T("odometer.doubt.far")
		}
		v.t.Write(w, p.Log, http.StatusOK, "odometer", shown)
		return
	}
	if err := p.Feedback.Odometer(r.Context(), v.Subject, car, km, doubted); err != nil {
		p.failed(w, v, feedback.KindOdometer, err)
		return
	}
	p.note(w, v, http.StatusOK, v.view(v.t.T("odometer.thanks.title", "reading", v.distance(km)),
		v.t.T("odometer.thanks.lead"), "ok"))
}

// sell takes "I sold this car".
func (p *Pages) sell(w http.ResponseWriter, r *http.Request, v *visit, car *care.Vehicle) {
	if err := p.Feedback.Sold(r.Context(), v.Subject, car); err != nil {
		p.failed(w, v, feedback.KindSold, err)
		return
	}
	p.soldPage(w, v, car)
}

func (p *Pages) soldPage(w http.ResponseWriter, v *visit, car *care.Vehicle) {
	shown := odometerView{Undo: true, Chosen: carKey(car), View: v.view(v.t.T("odometer.sold.title"),
		v.t.T("odometer.sold.lead"), "ok")}
	v.t.Write(w, p.Log, http.StatusOK, "odometer", shown)
}

// keepCar takes back "I sold this car".
func (p *Pages) keepCar(w http.ResponseWriter, r *http.Request, v *visit, car *care.Vehicle) {
	if err := p.Feedback.Kept(r.Context(), v.Subject, car); err != nil {
		p.failed(w, v, feedback.KindSold, err)
		return
	}
	shown := v.odometer()
	shown.Title, shown.Tone = v.t.T("odometer.kept.title"), "ok"
	v.t.Write(w, p.Log, http.StatusOK, "odometer", shown)
}
