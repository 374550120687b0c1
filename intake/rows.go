package intake

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	caretext "github.com/carebell/carebell/care/text"
	"github.com/carebell/carebell/intake/cell"
)

// Why a row is not taken. The reasons are part of what an import promises: they stand in the file of rejected rows.
const (
	noID       = "no customer id"
	noCardID   = "no customer id: telephones write none, --id-from phone or email makes one"
	braces     = "braces are not allowed in an id"
	badID      = "not a valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -"
	idLost     = "an id in scientific notation: digits lost"
	noEmail    = "not an e-mail address"
	noCalendar = "no calendar that is known: write 农历 or 公历, lunar or solar"
	noYear     = "not a model year"
	noVehicle  = "no vehicle id"
	noAnswer   = "neither yes nor no"
	noGender   = "no gender that is known"
	noZone     = "no such time zone"
	noDealer   = "no such dealer in the care book"
	noVisit    = "a mileage without the date of the visit"
	twoValues  = "two columns say different things"
	unreadable = "unreadable characters"
	tooLong    = "longer than a cell can be"
	tooMany    = "more cells than columns"
)

// maxCell is more than any field needs, in bytes.
const maxCell = 4096

// What the import says about rows that are taken.
const (
	leftOut     = "a date that no person or car can have: left out"
	unknownKind = "a kind of visit that is not known counts as no maintenance: name it in visit_kinds of the dealer"
	noPerson    = "a card of a group, a firm or a thing: passed by"
	unknownWord = "a word that is not known says nothing"
)

// entry is one row, normalised: dates are YYYY-MM-DD, numbers bare digits, answers yes or no. A blank says nothing.
type entry struct {
	text [fields]string
	only bool // a rejected row's no: for a customer who is there already
}

// rows takes the rows of one file.
type rows struct {
	opt      *Options
	header   []string
	columns  []field
	units    [fields]string
	orders   [fields]string  // of day, month and year, that a header names
	lunar    map[int]string  // the calendar that the header of a birthday names
	joins    map[field][]int // the columns that are joined, in their order
	at       [fields]int     // the column of each field, for reasons; -1 = none
	ignored  []string
	zones    map[string]string
	places   map[*care.Dealer]*cell.Place
	comma    bool // decimals have a comma
	cards    bool // it says how a card gets an id
	entry    entry
	calendar string // that the header of the row's birthday names
	faults   []Rejection
	notes    []Rejection
}

func newRows(opt *Options, header []string, known map[string]column) *rows {
	r := &rows{
		opt: opt, header: header, columns: make([]field, len(header)), joins: map[field][]int{}, lunar: map[int]string{},
		zones: map[string]string{}, places: map[*care.Dealer]*cell.Place{},
	}
	for f := range r.at {
		r.at[f] = -1
	}
	parts := map[field]map[int]int{}
	for i, h := range header {
		h = strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))
		r.header[i] = h
		c, ok := lookUp(known, h)
		switch {
		case c.field == none:
			if h != "" && h != columnHeader && h != reasonHeader && !ok {
				r.ignored = append(r.ignored, h)
			}
			continue
		case c.join > 0:
			if parts[c.field] == nil {
				parts[c.field] = map[int]int{}
			}
			parts[c.field][c.join] = i
		default:
			r.columns[i] = c.field
		}
		if r.at[c.field] < 0 {
			r.at[c.field], r.units[c.field] = i, unitOf(h)
			if opt.Dates == "" {
				r.orders[c.field] = cell.OrderIn(h)
			}
		}
		if c.field == fBirthday {
			r.lunar[i] = cell.CalendarIn(h)
		}
	}
	if r.at[fVehicle] < 0 { // what is said of a car is of none
		for i, f := range r.columns {
			if f > fVehicle {
				r.columns[i], r.at[f] = none, -1
				r.ignored = append(r.ignored, header[i]+" (no column has the vehicle's id)")
			}
		}
	}
	for f, at := range parts {
		for n := 1; n <= len(header); n++ {
			if i, ok := at[n]; ok {
				r.joins[f] = append(r.joins[f], i)
			}
		}
	}
	return r
}

// fail notes a fault of the row: what stood there says nothing.
func (r *rows) fail(f field, reason string) {
	r.failAt(r.columnOf(f), reason)
	r.entry.text[f] = ""
}

func (r *rows) failAt(column, reason string) {
	r.faults = append(r.faults, Rejection{Customer: r.entry.text[fID], Column: column, Reason: reason})
}

func (r *rows) note(f field, reason string) {
	r.notes = append(r.notes, Rejection{Customer: r.entry.text[fID], Column: r.columnOf(f), Reason: reason})
}

// take reads one row. The entry is valid until the next call. With faults it has only what counts all the same, and may be nil.
func (r *rows) take(cells []string) (*entry, []Rejection) {
	r.entry, r.calendar, r.faults, r.notes = entry{}, "", r.faults[:0], r.notes[:0]
	if len(cells) > len(r.columns) && strings.Join(cells[len(r.columns):], "") != "" {
		return nil, []Rejection{{Reason: tooMany}}
	}
	for i, f := range r.columns {
		if f != none && i < len(cells) && cells[i] != "" {
			r.cell(f, i, cells[i])
		}
	}
	for f, at := range r.joins {
		var parts []string
		for _, i := range at {
			if i < len(cells) && strings.TrimSpace(cells[i]) != "" {
				parts = append(parts, strings.TrimSpace(cells[i]))
			}
		}
		if len(parts) > 0 {
			whole := strings.Join(parts, " ")
			if f == fName && len(parts) == 2 {
				whole = cell.Joined(parts[0], parts[1])
			}
			r.cell(f, at[0], whole)
		}
	}
	r.normalise()
	if len(r.faults) > 0 {
		return r.no(), r.faults
	}
	return &r.entry, nil
}

func isConsent(f field) bool { return f >= fSMS && f <= fNoContact }

// refuse is the answer of a consent column that means no.
func refuse(f field) string {
	if f >= fNoSMS {
		return "yes"
	}
	return "no"
}

// cell takes one cell of a field.
func (r *rows) cell(f field, i int, raw string) {
	e := &r.entry
	s, ok := cell.Clean(raw)
	switch {
	case !ok, len(s) > maxCell:
		reason := unreadable
		if ok {
			reason = tooLong
		}
		r.failAt(r.header[i], reason)
		if s = ""; isConsent(f) {
			s = refuse(f)
		}
	case isConsent(f) && s == "" && f < fNoSMS && cell.Meaning("blank", strings.TrimSpace(raw)) == "nothing":
		s = "no" // 无 is written, and is no yes
	}
	if f == fBirthday && s != "" && r.lunar[i] != "" {
		r.calendar = r.lunar[i]
	}
	switch before := e.text[f]; {
	case s == "":
	case before == "" || before == s:
		e.text[f] = s
	case f == fPhone || f == fOther:
		e.text[f] = before + ";" + s
	case isConsent(f):
		if cell.Meaning("answer", before) != cell.Meaning("answer", s) {
			r.failAt(r.header[i], twoValues)
			e.text[f] = refuse(f)
		}
	default:
		r.failAt(r.header[i], twoValues)
	}
}

// no is what counts of a rejected row all the same: a refusal, a death, a sale. Nil if it says none of them.
func (r *rows) no() *entry {
	all := r.entry.text
	if !care.ValidID(all[fID]) {
		return nil
	}
	r.entry = entry{only: true}
	t := &r.entry.text
	t[fID], t[fDeceased] = all[fID], all[fDeceased]
	some := t[fDeceased] != ""
	for f := fSMS; f <= fMailAds; f++ {
		if all[f] == "no" {
			t[f], some = "no", true
		}
	}
	if all[fSold] != "" && care.ValidID(all[fVehicle]) {
		t[fVehicle], t[fSold], some = all[fVehicle], all[fSold], true
	}
	if !some {
		return nil
	}
	return &r.entry
}

// place is what is known of the place of a dealer; nil is one that is not known.
func (r *rows) place(d *care.Dealer) *cell.Place {
	if p := r.places[d]; p != nil {
		return p
	}
	p := &cell.Place{Country: r.opt.Country, Location: r.opt.Now.Location(), Order: r.opt.Dates, From1904: r.opt.date1904, LunarDate: r.opt.LunarDate}
	if d != nil {
		if d.Country != "" {
			p.Country = d.Country
		}
		if p.Order == "" {
			p.Order = d.DateFormat
		}
		if loc, err := time.LoadLocation(d.TimeZone); err == nil && d.TimeZone != "" {
			p.Location = loc
		}
	}
	if !r.opt.Now.IsZero() {
		p.Today = care.DateOf(r.opt.Now.In(p.Location))
	}
	p.Miles = d != nil && d.Miles()
	p.MonthFirst = slices.Contains([]string{"CN", "TW", "JP", "KR", "US"}, p.Country)
	r.places[d] = p
	return p
}

// normalise checks and normalises the entry, in the order of the fields. What is at fault says nothing any more.
func (r *rows) normalise() {
	t := &r.entry.text
	id, ok := cell.Exact(strings.Map(caretext.Narrow, t[fID]))
	t[fID] = id
	switch {
	case id == "" && r.cards:
		r.fail(fID, noCardID)
	case id == "":
		r.fail(fID, noID)
	case strings.ContainsAny(id, "{}"):
		r.failAt(r.columnOf(fID), braces)
	case !ok:
		r.fail(fID, idLost)
	case !care.ValidID(id):
		r.failAt(r.columnOf(fID), badID)
	}
	for i := range r.faults {
		r.faults[i].Customer = t[fID]
	}
	dealer, known := r.dealer()
	if !known {
		r.fail(fDealer, noDealer)
	}
	p := r.place(dealer)
	r.answers()
	r.reach(dealer, p)
	r.person(p)
	r.vehicle(dealer, p)
}

func (r *rows) columnOf(f field) string {
	if r.at[f] >= 0 {
		return r.header[r.at[f]]
	}
	return fieldNames[f]
}

// person normalises name and birthday.
func (r *rows) person(p *cell.Place) {
	t := &r.entry.text
	if t[fName] == "" && t[fFirst]+t[fLast] != "" {
		t[fName] = cell.Joined(t[fFirst], t[fLast])
	}
	gender := cell.Meaning("gender", t[fGender])
	if t[fGender] != "" && gender == "" {
		r.fail(fGender, noGender)
	}
	if title := cell.Meaning("gender", t[fSalutation]); title != "" {
		t[fSalutation] = "" // 先生 alone greets nobody
		gender = cmp.Or(gender, title)
	}
	if gender != "" && t[fSalutation] == "" {
		t[fSalutation] = cell.Salutation(t[fName], t[fLast], gender)
	}
	calendar := r.calendar
	if t[fCalendar] != "" {
		if calendar = cell.Meaning("calendar", t[fCalendar]); calendar == "" || r.calendar != "" && calendar != r.calendar {
			r.fail(fCalendar, noCalendar)
			t[fBirthday] = ""
		}
	}
	if t[fBirthday] == "" {
		return
	}
	b, blank, reason := p.Ordered(r.orders[fBirthday]).Birthday(t[fBirthday], calendar)
	switch {
	case reason != "":
		r.fail(fBirthday, reason)
	case blank:
		r.note(fBirthday, leftOut)
		t[fBirthday] = ""
	case b.Lunar || len(t[fBirthday]) != 10 || t[fBirthday][4] != '-':
		t[fBirthday] = b.String()
	}
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
func (r *rows) reach(d *care.Dealer, p *cell.Place) {
	t := &r.entry.text
	r.phones(p.Country)
	if t[fEmail] != "" {
		if addr, ok := contact.Email(t[fEmail]); ok {
			t[fEmail] = addr
		} else {
			r.fail(fEmail, noEmail)
		}
	}
	if t[fZone] != "" {
		if t[fZone] = r.zone(t[fZone]); t[fZone] == "" {
			r.fail(fZone, noZone)
		}
	}
	if d != nil && t[fAdvisor] != "" {
		if i := slices.IndexFunc(d.Advisors, func(a care.Advisor) bool { return a.Called(t[fAdvisor]) }); i >= 0 {
			t[fAdvisor] = d.Advisors[i].Advisor
		}
	}
}

// phones finds the number for texts among those of the row: the first that takes them, else the first. The next other one is kept for calls.
func (r *rows) phones(country string) {
	t := &r.entry.text
	if t[fOther] == "" {
		if phone, ok := contact.Phone(t[fPhone], country); ok || t[fPhone] == "" {
			t[fPhone] = phone
			return // as nearly always
		}
	}
	var all []string
	for _, f := range []field{fPhone, fOther} {
		raw := t[f]
		t[f] = ""
		numbers, reason := cell.Numbers(raw, country)
		if reason != "" {
			r.fail(f, reason)
		}
		for _, n := range numbers {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	best := max(0, slices.IndexFunc(all, contact.Textable))
	t[fPhone] = all[best]
	if all = slices.Delete(all, best, best+1); len(all) > 0 {
		t[fOther] = all[0]
	}
}

// zone is cell.Zone, asked once for each word.
func (r *rows) zone(word string) string {
	name, known := r.zones[word]
	if !known {
		name = cell.Zone(word)
		r.zones[word] = name
	}
	return name
}

// answers normalises the columns of consent, status and death. What cannot be read is a no, and a fault of the row.
func (r *rows) answers() {
	t := &r.entry.text
	for f := fSMS; f <= fNoContact; f++ {
		if t[f] == "" {
			continue
		}
		answer := cell.Meaning("answer", t[f])
		if answer == "" {
			r.fail(f, noAnswer)
			answer = refuse(f)
		}
		t[f] = answer
	}
	if s := t[fStatus]; s != "" {
		switch cell.Meaning("status", s) {
		case "dead":
			t[fDeceased] = "是"
		case "refuses":
			t[fNoContact] = "yes"
		case "":
			r.note(fStatus, unknownWord)
		}
	}
	if s := t[fDeceased]; s != "" {
		t[fDeceased] = ""
		switch answer := cell.Meaning("answer", s); {
		case answer == "yes", cell.Meaning("status", s) == "dead":
			t[fDeceased] = "yes"
		case answer == "":
			if zero, reason := r.place(nil).Zero(s); reason == cell.NoDate {
				r.fail(fDeceased, noAnswer)
			} else if !zero {
				t[fDeceased] = "yes" // the day of death, however it is read
			}
		}
	}
	if t[fNoContact] == "yes" {
		t[fNoSMS], t[fNoMail] = "yes", "yes"
	}
	for _, c := range [][3]field{{fSMS, fSMSAds, fNoSMS}, {fMail, fMailAds, fNoMail}} {
		switch {
		case t[c[2]] == "yes":
			t[c[0]], t[c[1]] = "no", "no"
		case t[c[0]] == "no" && t[c[1]] == "yes":
			r.fail(c[1], twoValues)
			t[c[1]] = "no"
		}
	}
}
