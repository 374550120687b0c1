package console

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"

	"github.com/carebell/carebell/care"
)

// carView is a car on the page. Key names it without its number: the page may be read by somebody else.
type carView struct {
	Key     string
	Vehicle *care.Vehicle
	Last    string // the last reading in words
}

type odometerView struct {
	view
	Cars    []carView
	Chosen  string
	KM      string
	KMWords string
	Error   string
	Confirm bool
	Undo    bool
	Others  bool // "I sold this car" and "this is not me" are offered
}

func carKey(v *care.Vehicle) string {
	sum := sha256.Sum256([]byte("car\x00" + v.ID))
	return hex.EncodeToString(sum[:6])
}

// saidSold reports whether the customer told us that the car is sold.
func saidSold(o *care.Overlay, vehicle string) bool {
	return slices.ContainsFunc(o.Sold, func(s care.VehicleFact) bool { return s.Vehicle == vehicle })
}

func (p *Public) showOdometer(w http.ResponseWriter, _ *http.Request, v *visit) {
	page := v.odometer()
	if len(page.Cars) == 0 {
		for _, car := range v.facts.cars() {
			if saidSold(v.facts.overlay(), car.ID) {
				p.soldPage(w, v, &car)
				return
			}
		}
		page.Title = v.t.T("odometer.no_car.title")
		page.Lead = v.t.T("odometer.no_car.lead")
	}
	write(w, p.Log, v.t, http.StatusOK, "odometer", page)
}

// odometer begins the page with the cars that the customer still has.
func (v *visit) odometer() odometerView {
	page := odometerView{Others: true, view: v.view(v.t.T("odometer.title"),
		v.t.T("odometer.lead"), "")}
	for _, car := range v.facts.cars() {
		if saidSold(v.facts.overlay(), car.ID) {
			continue
		}
		c := carView{Key: carKey(&car), Vehicle: &car}
		if last, ok := newest(&v.facts, &car); ok && last.KM > 0 {
			c.Last = v.t.T("odometer.last", "reading", v.t.km(last.KM))
		}
		page.Cars = append(page.Cars, c)
	}
	return page
}

// car finds the car of a form.
func (v *visit) car(key string) *care.Vehicle {
	for _, list := range [][]care.Vehicle{v.facts.cars(), v.facts.Vehicles} {
		for i := range list {
			if carKey(&list[i]) == key {
				return &list[i]
			}
		}
	}
	return nil
}

func (p *Public) takeOdometer(w http.ResponseWriter, r *http.Request, v *visit) {
	do := r.PostForm.Get("do")
	if do == KindNotMe {
		p.wrongPerson(w, r, v)
		return
	}
	car := v.car(r.PostForm.Get("car"))
	switch {
	case car != nil && do == KindSold:
		p.sell(w, r, v, car)
	case car != nil && do == "kept":
		p.keepCar(w, r, v, car)
	default:
		p.report(w, r, v, car)
	}
}

func (p *Public) report(w http.ResponseWriter, r *http.Request, v *visit, car *care.Vehicle) {
	page := v.odometer()
	page.KM = clean(r.PostForm.Get("km"), 20)
	km, ok := readKM(page.KM)
	switch {
	case car == nil:
		page.Error = v.t.T("odometer.which.missing")
	case !ok:
		page.Error = v.t.T("odometer.unreadable")
	}
	if car != nil {
		page.Chosen = carKey(car)
	}
	if page.Error != "" {
		write(w, p.Log, v.t, http.StatusUnprocessableEntity, "odometer", page)
		return
	}
	doubted := !plausible(&v.facts, car, km, v.facts.today(v.now))
	if doubted && r.PostForm.Get("sure") != strconv.Itoa(km) {
		last, _ := newest(&v.facts, car)
		page.KM, page.KMWords, page.Confirm, page.Others = strconv.Itoa(km), v.t.km(km), true, false
		page.Title = v.t.T("odometer.doubt.title", "reading", v.t.km(km))
		page.Lead = v.t.T("odometer.doubt.lead", "date", v.t.Date(last.On), "reading", v.t.km(last.KM))
		if last.On.IsZero() {
			page.Lead = v.t.T("odometer.doubt.far")
		}
		write(w, p.Log, v.t, http.StatusOK, "odometer", page)
		return
	}
	if err := p.keepReading(r.Context(), v, car, km, doubted); err != nil {
		p.failed(w, v, KindOdometer, err)
		return
	}
	p.note(w, v, http.StatusOK, v.view(v.t.T("odometer.thanks.title", "reading", v.t.km(km)),
		v.t.T("odometer.thanks.lead"), "ok"))
}

// sell takes "I sold this car": nothing about it goes any more.
func (p *Public) sell(w http.ResponseWriter, r *http.Request, v *visit, car *care.Vehicle) {
	today := v.facts.today(v.now)
	e := v.entry(KindSold, today.String())
	e.Vehicle = car.ID
	err := p.decide(r.Context(), v, func(o *care.Overlay) error {
		if !saidSold(o, car.ID) {
			o.Sold = append(o.Sold, care.VehicleFact{Vehicle: car.ID, On: today, At: v.now})
		}
		return nil
	}, e)
	if err != nil {
		p.failed(w, v, KindSold, err)
		return
	}
	p.soldPage(w, v, car)
}

func (p *Public) soldPage(w http.ResponseWriter, v *visit, car *care.Vehicle) {
	page := odometerView{Undo: true, Chosen: carKey(car), view: v.view(v.t.T("odometer.sold.title"),
		v.t.T("odometer.sold.lead"), "ok")}
	write(w, p.Log, v.t, http.StatusOK, "odometer", page)
}

// keepCar takes back "I sold this car". Only what the customer said is taken back, never what the record says.
func (p *Public) keepCar(w http.ResponseWriter, r *http.Request, v *visit, car *care.Vehicle) {
	e := v.entry(KindSold, "taken_back")
	e.Vehicle = car.ID
	var now care.Overlay
	err := p.decide(r.Context(), v, func(o *care.Overlay) error {
		o.Sold = slices.DeleteFunc(o.Sold, func(s care.VehicleFact) bool { return s.Vehicle == car.ID })
		now = *o
		return nil
	}, e)
	if err != nil {
		p.failed(w, v, KindSold, err)
		return
	}
	v.facts.Overlay = &now
	page := v.odometer()
	page.Title, page.Tone = v.t.T("odometer.kept.title"), "ok"
	write(w, p.Log, v.t, http.StatusOK, "odometer", page)
}
