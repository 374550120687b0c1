package intake

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	caretext "github.com/carebell/carebell/care/text"
)

// Why a row is not taken. The reasons are part of what an import promises: they stand in the file of rejected rows.
const (
	noID         = "no customer id"
	braces       = "braces are not allowed in an id"
	badID        = "not a valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -"
	idLost       = "an id in scientific notation: digits lost"
	digitsLost   = "phone in scientific notation: digits lost"
	noPhone      = "not a phone number"
	noEmail      = "not an e-mail address"
	noDate       = "no such date"
	twoWays      = "a date that can be read two ways: set date_format of the dealer in dealers.yaml, or --dates DMY, MDY or YMD"
	twoYears     = "a year of two digits that can be read two ways: write four"
	notMidnight  = "a moment that is not midnight at the dealer's: which day is meant?"
	noLunar      = "no such lunar date"
	noCalendar   = "no calendar that is known: write 农历 or 公历, lunar or solar"
	twoCalendars = "the calendar and the words of the date say different things"
	inFuture     = "in the future"
	negative     = "negative odometer"
	noNumber     = "not a whole number"
	twoNumbers   = "a number that can be read two ways: write it without a mark for thousands"
	tooFar       = "more than any car has driven"
	noYear       = "not a model year"
	noVehicle    = "no vehicle id"
	noAnswer     = "neither yes nor no"
	noGender     = "no gender that is known"
	noZone       = "no such time zone"
	noDealer     = "no such dealer in the care book"
	noVisit      = "a mileage without the date of the visit"
	twoValues    = "two columns say different things"
	unreadable   = "unreadable characters"
	tooLong      = "longer than a cell can be"
	tooMany      = "more cells than columns"
)

// maxCell is more than any field needs, in bytes.
const maxCell = 4096

// What the import says about rows that are taken.
const (
	leftOut     = "a date that no person or car can have: left out"
	unknownKind = "a kind of visit that is not known counts as no maintenance: name it in visit_kinds of the dealer"
	unknownWord = "a word that is not known says nothing"
)

// entry is one row, normalised: dates are YYYY-MM-DD, numbers bare digits, answers yes or no. A blank says nothing.
type entry struct {
	text [fields]string
	only bool // a rejected row's no: for a customer who is there already
}

// rows takes the rows of one file.
type rows struct {
	opt     *Options
	header  []string
	columns []field
	units   [fields]string
	joins   map[field][]int // the columns that are joined, in their order
	at      [fields]int     // the column of each field, for reasons; -1 = none
	ignored []string
	zones   map[string]string
	places  map[*care.Dealer]*place
	comma   bool // decimals have a comma
	entry   entry
	faults  []Rejection
	notes   []Rejection
}

func newRows(opt *Options, header []string, known map[string]column) *rows {
	r := &rows{
		opt: opt, header: header, columns: make([]field, len(header)), joins: map[field][]int{},
		zones: map[string]string{}, places: map[*care.Dealer]*place{},
	}
	for f := range r.at {
		r.at[f] = -1
	}
	parts := map[field]map[int]int{}
	for i, h := range header {
		h = strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))
		r.header[i] = h
		c := known[folded(h)]
		switch {
		case c.field == none:
			if h != "" && h != columnHeader && h != reasonHeader {
				if _, left := known[folded(h)]; !left {
					r.ignored = append(r.ignored, h)
				}
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
	column := fieldNames[f]
	if r.at[f] >= 0 {
		column = r.header[r.at[f]]
	}
	r.failAt(column, reason)
	r.entry.text[f] = ""
}

func (r *rows) failAt(column, reason string) {
	r.faults = append(r.faults, Rejection{Customer: r.entry.text[fID], Column: column, Reason: reason})
}

func (r *rows) note(f field, reason string) {
	column := fieldNames[f]
	if r.at[f] >= 0 {
		column = r.header[r.at[f]]
	}
	r.notes = append(r.notes, Rejection{Customer: r.entry.text[fID], Column: column, Reason: reason})
}

// take reads one row. The entry is valid until the next call. With faults it has only what counts all the same, and may be nil.
func (r *rows) take(cells []string) (*entry, []Rejection) {
	r.entry, r.faults, r.notes = entry{}, r.faults[:0], r.notes[:0]
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
				whole = joined(parts[0], parts[1])
			}
			r.cell(f, at[0], whole)
		}
	}
	for i := range r.faults {
		r.faults[i].Customer = r.entry.text[fID]
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
	s, ok := clean(raw)
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
	case isConsent(f) && s == "" && f < fNoSMS && meaning("blank", strings.TrimSpace(raw)) == "nothing":
		s = "no" // 无 is written, and is no yes
	}
	switch before := e.text[f]; {
	case s == "":
	case before == "" || before == s:
		e.text[f] = s
	case f == fPhone || f == fOther:
		e.text[f] = before + ";" + s
	case isConsent(f):
		if meaning("answer", before) != meaning("answer", s) {
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

// clean trims a cell, strips the ' and the ="" by which spreadsheets and our own file of rejected rows keep a cell as a text, and
// takes what systems write for nothing as a blank. What is invisible is dropped; it fails on control characters and on what the
// encoding could not say.
func clean(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", true
	}
	if s[0] == '\'' {
		s = strings.TrimSpace(s[1:])
	} else if len(s) > 2 && s[0] == '=' && s[1] == '"' && strings.IndexByte(s[2:], '"') == len(s)-3 {
		s = strings.TrimSpace(s[2 : len(s)-1])
	}
	if !caretext.Readable(s) {
		return "", false
	}
	s = strings.TrimSpace(caretext.Line(s))
	if s != "" && len(s) <= 16 && blankFirst[s[0]] && meaning("blank", s) != "" {
		return "", true
	}
	return s, true
}

// place is what is known of the place of a dealer; nil is one that is not known.
func (r *rows) place(d *care.Dealer) *place {
	if p := r.places[d]; p != nil {
		return p
	}
	p := &place{country: r.opt.Country, loc: r.opt.Now.Location(), order: r.opt.Dates, serial1904: r.opt.date1904}
	if d != nil {
		if d.Country != "" {
			p.country = d.Country
		}
		if p.order == "" {
			p.order = d.DateFormat
		}
		if loc, err := time.LoadLocation(d.TimeZone); err == nil && d.TimeZone != "" {
			p.loc = loc
		}
	}
	if !r.opt.Now.IsZero() {
		p.today = care.DateOf(r.opt.Now.In(p.loc))
	}
	p.miles = d != nil && (p.country == "US" || p.country == "GB")
	p.monthFirst = slices.Contains([]string{"CN", "TW", "JP", "KR", "US"}, p.country)
	r.places[d] = p
	return p
}

// normalise checks and normalises the entry, in the order of the fields. What is at fault says nothing any more.
func (r *rows) normalise() {
	t := &r.entry.text
	id, ok := exact(strings.Map(narrow, t[fID]))
	t[fID] = id
	switch {
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
func (r *rows) person(p *place) {
	t := &r.entry.text
	if t[fName] == "" && t[fFirst]+t[fLast] != "" {
		t[fName] = joined(t[fFirst], t[fLast])
	}
	if t[fGender] != "" {
		gender := meaning("gender", t[fGender])
		if gender == "" {
			r.fail(fGender, noGender)
		}
		if t[fSalutation] == "" {
			t[fSalutation] = salutation(t[fName], t[fLast], gender)
		}
	}
	calendar := ""
	if t[fCalendar] != "" {
		if calendar = meaning("calendar", t[fCalendar]); calendar == "" && !strings.EqualFold(t[fCalendar], "gregorian") {
			r.fail(fCalendar, noCalendar)
			t[fBirthday] = ""
		}
	}
	if t[fBirthday] == "" {
		return
	}
	b, blank, reason := r.birthday(t[fBirthday], calendar, p)
	switch {
	case reason != "":
		r.fail(fBirthday, reason)
	case blank:
		r.note(fBirthday, leftOut)
		t[fBirthday] = ""
	default:
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
func (r *rows) reach(d *care.Dealer, p *place) {
	t := &r.entry.text
	r.phones(p.country)
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
		if i := slices.IndexFunc(d.Advisors, func(a care.Advisor) bool { return a.Name == t[fAdvisor] }); i >= 0 {
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
		numbers, reason := numbersOf(raw, country)
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

// numbersOf reads a cell with one number or more, each with a note in brackets.
func numbersOf(raw, country string) (all []string, reason string) {
	if raw == "" {
		return nil, ""
	}
	if phone, ok := contact.Phone(raw, country); ok {
		return []string{phone}, ""
	}
	if strings.Count(raw, ",") > 1 {
		if phone, ok := contact.Phone(strings.ReplaceAll(raw, ",", ""), country); ok {
			return []string{phone}, "" // 13,800,138,008
		}
	}
	for _, part := range strings.FieldsFunc(raw, func(r rune) bool { return strings.ContainsRune("/;,|、；，／", r) }) {
		if part = withoutWords(part); part == "" {
			continue
		}
		phone, ok := contact.Phone(part, country)
		switch {
		case ok:
			all = append(all, phone)
		case contact.Scientific(part):
			return nil, digitsLost
		default:
			return nil, noPhone
		}
	}
	if len(all) == 0 {
		return nil, noPhone
	}
	return all, ""
}

// withoutWords takes notes in brackets, such as (妻), out of a number. Brackets around digits are the number's own.
func withoutWords(s string) string {
	s = strings.Map(narrow, s)
	for {
		from := strings.IndexByte(s, '(')
		to := strings.IndexByte(s, ')')
		if from < 0 || to < from || strings.IndexFunc(s[from:to], unicode.IsLetter) < 0 {
			return strings.TrimSpace(s)
		}
		s = s[:from] + s[to+1:]
	}
}

// zone returns the IANA name of a time zone, "" if there is none.
func (r *rows) zone(z string) string {
	name, known := r.zones[z]
	if known {
		return name
	}
	if name = meaning("zone", z); name == "" {
		name = z
		if strings.ToLower(z) == z && strings.Contains(z, "/") {
			up := true
			name = strings.Map(func(c rune) rune {
				if up {
					c = unicode.ToUpper(c)
				}
				up = c == '/' || c == '_' || c == '-'
				return c
			}, z)
		}
	}
	if _, err := time.LoadLocation(name); err != nil || slices.Contains([]string{"local", "localtime", "factory", "posixrules"}, strings.ToLower(name)) {
		name = ""
	}
	r.zones[z] = name
	return name
}

// answers normalises the columns of consent, status and death. What cannot be read is a no, and a fault of the row.
func (r *rows) answers() {
	t := &r.entry.text
	for f := fSMS; f <= fNoContact; f++ {
		if t[f] == "" {
			continue
		}
		answer := meaning("answer", t[f])
		if answer == "" {
			r.fail(f, noAnswer)
			answer = refuse(f)
		}
		t[f] = answer
	}
	if s := t[fStatus]; s != "" {
		switch meaning("status", s) {
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
		switch answer := meaning("answer", s); {
		case answer == "yes", meaning("status", s) == "dead":
			t[fDeceased] = "yes"
		case answer == "":
			if c, reason := r.place(nil).parse(s, false); reason == noDate {
				r.fail(fDeceased, noAnswer)
			} else if !c.zero {
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
