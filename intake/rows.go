package intake

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	caretext "github.com/carebell/carebell/care/text"
)

// Why a row is not taken. The reasons are part of what an import promises: they stand in the file of rejected rows.
const (
	noID       = "no customer id"
	braces     = "braces are not allowed in an id"
	badID      = "not a valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -"
	digitsLost = "phone in scientific notation: digits lost"
	noPhone    = "not a phone number"
	noEmail    = "not an e-mail address"
	noDate     = "no such date"
	noLunar    = "no such lunar date"
	inFuture   = "in the future"
	negative   = "negative odometer"
	noNumber   = "not a whole number"
	noYear     = "not a model year"
	noVehicle  = "no vehicle id"
	noAnswer   = "neither yes nor no"
	noZone     = "no such time zone"
	noDealer   = "no such dealer in the care book"
	noVisit    = "a mileage without the date of the visit"
	twoValues  = "two columns say different things"
	unreadable = "unreadable characters"
	tooMany    = "more cells than columns"
)

// entry is one row, normalised: dates are YYYY-MM-DD, numbers bare digits, answers yes or no. A blank says nothing.
type entry struct {
	text [fields]string
}

// rows takes the rows of one file.
type rows struct {
	opt     *Options
	header  []string
	columns []field
	at      [fields]int // the column of each field, for reasons; -1 = none
	ignored []string
	zones   map[string]bool
	entry   entry
}

func newRows(opt *Options, header []string, known map[string]field) *rows {
	r := &rows{opt: opt, header: header, columns: make([]field, len(header)), zones: map[string]bool{}}
	for f := range r.at {
		r.at[f] = -1
	}
	for i, h := range header {
		h = strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))
		r.header[i] = h
		f := known[folded(h)]
		r.columns[i] = f
		switch {
		case f == none && h != "" && h != columnHeader && h != reasonHeader:
			r.ignored = append(r.ignored, h)
		case f != none && r.at[f] < 0:
			r.at[f] = i
		}
	}
	return r
}

func (r *rows) fault(f field, reason string) *Rejection {
	column := fieldNames[f]
	if r.at[f] >= 0 {
		column = r.header[r.at[f]]
	}
	return &Rejection{Customer: r.entry.text[fID], Column: column, Reason: reason}
}

// take reads one row. The entry is valid until the next call.
func (r *rows) take(cells []string) (*entry, *Rejection) {
	e := &r.entry
	*e = entry{}
	if len(cells) > len(r.columns) && strings.Join(cells[len(r.columns):], "") != "" {
		return nil, &Rejection{Reason: tooMany}
	}
	for i, f := range r.columns {
		if f == none || i >= len(cells) {
			continue
		}
		s, ok := clean(cells[i])
		if !ok {
			return nil, &Rejection{Customer: e.text[fID], Column: r.header[i], Reason: unreadable}
		}
		if s != "" && e.text[f] != "" && e.text[f] != s {
			return nil, &Rejection{Customer: e.text[fID], Column: r.header[i], Reason: twoValues}
		}
		if s != "" {
			e.text[f] = s
		}
	}
	return e, r.normalise()
}

// clean trims a cell, strips the ' by which spreadsheets and our own file of rejected rows keep a cell from being calculated, and
// takes what systems write for nothing as a blank. What is invisible is dropped; it fails on control characters and on what the
// encoding could not say.
func clean(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "'") {
		s = strings.TrimSpace(s[1:])
	}
	if !caretext.Readable(s) {
		return "", false
	}
	switch s = strings.TrimSpace(caretext.Line(s)); s {
	case "-", "--", "/", "无", "NULL", "null", "N/A", "n/a", "#N/A":
		return "", true
	}
	return s, true
}

// normalise checks and normalises the entry, in the order of the fields, so that the first fault is the one to mend first.
func (r *rows) normalise() *Rejection {
	t := &r.entry.text
	switch id := t[fID]; {
	case id == "":
		return r.fault(fID, noID)
	case strings.ContainsAny(id, "{}"):
		return r.fault(fID, braces)
	case !care.ValidID(id):
		return r.fault(fID, badID)
	}
	dealer, known := r.dealer()
	if !known {
		return r.fault(fDealer, noDealer)
	}
	if fault := r.reach(dealer); fault != nil {
		return fault
	}
	if t[fSalutation] == "" && t[fGender] != "" {
		t[fSalutation] = salutation(t[fName], t[fGender])
	}
	if t[fBirthday] != "" {
		b, reason := r.opt.birthday(t[fBirthday], isLunar(t[fCalendar]))
		if reason != "" {
			return r.fault(fBirthday, reason)
		}
		t[fBirthday] = b.String()
	}
	if fault := r.answers(); fault != nil {
		return fault
	}
	return r.vehicle(dealer)
}

// dealer finds the row's dealer by id or name; nil is none that is known. It fails if the book has dealers and not this one.
func (r *rows) dealer() (*care.Dealer, bool) {
	t := &r.entry.text
	if t[fDealer] == "" {
		t[fDealer] = r.opt.Dealer
	}
	if r.opt.Book == nil {
		return nil, t[fDealer] == "" || care.ValidID(t[fDealer])
	}
	d := r.opt.Book.Dealer(t[fDealer])
	if d == nil && t[fDealer] != "" {
		for _, other := range r.opt.Book.Dealers {
			for _, name := range other.Name {
				if name == t[fDealer] {
					d = other
				}
			}
		}
	}
	if d != nil && t[fDealer] != "" {
		t[fDealer] = d.Dealer
	}
	return d, d != nil || t[fDealer] == ""
}

// reach normalises how the customer is reached, and by whom.
func (r *rows) reach(d *care.Dealer) *Rejection {
	t := &r.entry.text
	if raw := t[fPhone]; raw != "" {
		country := r.opt.Country
		if d != nil && d.Country != "" {
			country = d.Country
		}
		phone, ok := contact.Phone(raw, country)
		switch {
		case ok:
			t[fPhone] = phone
		case contact.Scientific(raw):
			return r.fault(fPhone, digitsLost)
		default:
			return r.fault(fPhone, noPhone)
		}
	}
	if t[fEmail] != "" {
		addr, ok := contact.Email(t[fEmail])
		if !ok {
			return r.fault(fEmail, noEmail)
		}
		t[fEmail] = addr
	}
	if z := t[fZone]; z != "" && !r.zone(z) {
		return r.fault(fZone, noZone)
	}
	if d != nil && t[fAdvisor] != "" {
		if i := slices.IndexFunc(d.Advisors, func(a care.Advisor) bool { return a.Name == t[fAdvisor] }); i >= 0 {
			t[fAdvisor] = d.Advisors[i].Advisor
		}
	}
	return nil
}

func (r *rows) zone(z string) bool {
	ok, known := r.zones[z]
	if !known {
		_, err := time.LoadLocation(z)
		ok = err == nil && z != "Local"
		r.zones[z] = ok
	}
	return ok
}

func isLunar(s string) bool {
	return slices.Contains([]string{"农历", "阴历", "农曆", "旧历", "lunar"}, strings.ToLower(s))
}

// answers normalises the columns of consent.
func (r *rows) answers() *Rejection {
	t := &r.entry.text
	for f := fSMS; f <= fMailAds; f++ {
		switch strings.ToLower(t[f]) {
		case "":
		case "是", "同意", "接受", "有", "y", "yes", "true", "1":
			t[f] = "yes"
		case "否", "不同意", "拒绝", "不接受", "n", "no", "false", "0":
			t[f] = "no"
		default:
			return r.fault(f, noAnswer)
		}
	}
	for _, c := range [][2]field{{fSMS, fSMSAds}, {fMail, fMailAds}} {
		if t[c[0]] == "no" && t[c[1]] == "yes" {
			return r.fault(c[1], twoValues)
		}
	}
	return nil
}

// vehicle normalises the columns of the vehicle.
func (r *rows) vehicle(d *care.Dealer) *Rejection {
	t := &r.entry.text
	id := t[fVehicle]
	switch {
	case id == "":
		if strings.Join(t[fVehicle+1:], "") != "" {
			return r.fault(fVehicle, noVehicle)
		}
		return nil
	case strings.ContainsAny(id, "{}"):
		return r.fault(fVehicle, braces)
	case !care.ValidID(id):
		return r.fault(fVehicle, badID)
	}
	if len(id) == 17 {
		t[fVehicle] = strings.ToUpper(id) // ISO 3779: a VIN has no small letters
	}
	if d != nil {
		if to, ok := d.MakeAliases[t[fMake]]; ok {
			t[fMake] = to
		}
	}
	if t[fYear] != "" {
		y, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(t[fYear], "款"), "年"))
		if err != nil || y < 1900 || y > 2200 {
			return r.fault(fYear, noYear)
		}
		t[fYear] = strconv.Itoa(y)
	}
	for _, f := range []field{fDelivered, fVisitOn, fKMOn, fInsurance, fInspection, fWarranty, fSold} {
		if t[f] == "" {
			continue
		}
		date, ok := r.opt.date(t[f])
		if !ok {
			return r.fault(f, noDate)
		}
		if (f == fVisitOn || f == fKMOn) && !r.opt.Today.IsZero() && date.After(r.opt.Today) {
			return r.fault(f, inFuture)
		}
		t[f] = date.String()
	}
	for _, f := range []field{fVisitKM, fKM, fWarrantyKM} {
		if t[f] == "" {
			continue
		}
		km, reason := kilometres(t[f])
		if reason != "" {
			return r.fault(f, reason)
		}
		t[f] = km
	}
	if t[fVisitOn] == "" && t[fVisitKM] != "" && t[fVisitKM] != "0" {
		return r.fault(fVisitKM, noVisit)
	}
	if t[fKM] != "" && t[fKMOn] == "" {
		t[fKMOn] = r.opt.Today.String()
	}
	return nil
}

// kilometres reads 32158, 32,158, 32158.0 and 32158公里.
func kilometres(s string) (string, string) {
	s = strings.ToLower(s)
	for _, unit := range []string{"km", "公里", "千米"} {
		s = strings.TrimSpace(strings.TrimSuffix(s, unit))
	}
	minus := strings.HasPrefix(s, "-")
	whole, part, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := whole
	for _, mark := range []string{",", "\uff0c", " "} {
		if strings.Contains(digits, mark) {
			digits = strings.ReplaceAll(digits, mark, "")
		}
	}
	if digits == "" || len(digits) > 7 || strings.Trim(digits, "0123456789") != "" || strings.Trim(part, "0123456789") != "" {
		return "", noNumber
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return "", noNumber
	}
	if minus && n > 0 {
		return "", negative
	}
	return strconv.Itoa(n), ""
}
