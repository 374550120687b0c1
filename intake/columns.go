package intake

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/carebell/carebell/intake/cell"
)

//go:embed columns.txt
var columnsText string

// field is what a column is about.
type field uint8

const (
	none field = iota
	fID
	fDealer
	fName
	fFirst
	fLast
	fGender
	fSalutation
	fPhone
	fOther // another number, for calls
	fEmail
	fLocale
	fZone
	fBirthday
	fCalendar // solar or lunar
	fGrade
	fAdvisor
	fHousehold
	fTags
	fStatus
	fDeceased
	fSMS // the answers
	fMail
	fSMSAds
	fMailAds
	fNoSMS // answers the other way round
	fNoMail
	fNoContact
	fVehicle // first of the vehicle's
	fPlate
	fMake
	fModel
	fYear
	fDelivered
	fVisitOn
	fVisitKM
	fVisitOrder
	fVisitKind
	fKM
	fKMOn
	fInsurance
	fInspection
	fWarranty
	fWarrantyKM
	fSold
	fields
)

// fieldNames are the names that a map of columns may use.
var fieldNames = [fields]string{
	fID: "id", fDealer: "dealer", fName: "name", fFirst: "first_name", fLast: "last_name", fGender: "gender", fSalutation: "salutation",
	fPhone: "phone", fOther: "phone_other", fEmail: "email", fLocale: "locale", fZone: "time_zone", fBirthday: "birthday",
	fCalendar: "birthday_type", fGrade: "grade", fAdvisor: "advisor", fHousehold: "household", fTags: "tags", fStatus: "status",
	fDeceased: "deceased", fSMS: "consent_sms", fMail: "consent_email", fSMSAds: "consent_sms_commercial",
	fMailAds: "consent_email_commercial", fNoSMS: "no_sms", fNoMail: "no_email", fNoContact: "no_contact", fVehicle: "vehicle_id",
	fPlate: "plate", fMake: "make", fModel: "model", fYear: "model_year", fDelivered: "delivered_on", fVisitOn: "last_visit_on",
	fVisitKM: "last_visit_km", fVisitOrder: "last_visit_order", fVisitKind: "last_visit_kind", fKM: "odometer", fKMOn: "odometer_on",
	fInsurance: "insurance_until", fInspection: "inspection_due", fWarranty: "warranty_until", fWarrantyKM: "warranty_km", fSold: "sold_on",
}

// columnLines are the lines of columns.txt: the headers of each field.
func columnLines(each func(f field, headers []string)) {
	for line := range strings.Lines(columnsText) {
		name, words, found := strings.Cut(strings.TrimSpace(line), ": ")
		if f := slices.Index(fieldNames[:], name); found && f > 0 {
			each(field(f), strings.Split(words, " | "))
		}
	}
}

// PrintColumns writes every field with the headers that are known for it.
func PrintColumns(w io.Writer) error {
	var err error
	columnLines(func(f field, headers []string) {
		if _, e := fmt.Fprintf(w, "%-24s  %s\n", fieldNames[f], strings.Join(headers, ", ")); err == nil {
			err = e
		}
	})
	return err
}

// folded is a header as it is compared: without case, blanks, punctuation, full-width forms, and what is in brackets, in simplified
// characters.
func folded(header string) string {
	depth := 0
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("([【", r):
			depth++
		case strings.ContainsRune(")]】", r):
			depth--
		case depth <= 0 && !strings.ContainsRune("_-.:*#/'\u00a0\ufeff", r):
			return r
		}
		return -1
	}, cell.Fold(header))
}

// unitOf is the unit that a header names: mi, km or "".
func unitOf(header string) string {
	s := strings.ToLower(header)
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch {
		case strings.HasSuffix(word, "miles"), word == "mi" || word == "mile" || word == "miles" || strings.Contains(word, "英里"), strings.Contains(word, "哩"):
			return "mi"
		case strings.HasSuffix(word, "km"), word == "kms" || strings.HasPrefix(word, "kilom") || strings.Contains(word, "公里"), strings.Contains(word, "千米"):
			return "km"
		}
	}
	return ""
}

// column is what a header means; join counts the columns that are joined into one, from 1.
type column struct {
	field field
	join  int
}

// knownColumns is the meaning of each header, with those of the caller's map, which win.
func knownColumns(more map[string]string) (map[string]column, error) {
	known := map[string]column{}
	columnLines(func(f field, headers []string) {
		known[folded(fieldNames[f])] = column{field: f}
		for _, h := range headers {
			known[folded(h)] = column{field: f}
		}
	})
	for header, name := range more {
		f := field(max(0, slices.Index(fieldNames[:], name)))
		if f == none && name != "-" {
			return nil, fmt.Errorf("the map of columns says %q is %q: write one of %s, or - to leave the column out",
				header, name, strings.Join(fieldNames[fID:], ", "))
		}
		parts := strings.Split(header, " + ")
		if len(parts) == 2 && known[folded(parts[0])].field == fLast && known[folded(parts[1])].field == fFirst {
			slices.Reverse(parts) // a name has its own order, by its language
		}
		for i, part := range parts {
			c := column{field: f}
			if len(parts) > 1 {
				c.join = i + 1
			}
			known[folded(part)] = c
		}
	}
	return known, nil
}

// whose are the words before a header that say whose column it is.
var whose = []struct {
	word string
	car  bool
}{{"customer", false}, {"client", false}, {"owner", false}, {"primary", false}, {"客户", false}, {"车主", false}, {"会员", false}, {"vehicle", true}, {"car", true}, {"车辆", true}}

var shortened = strings.NewReplacer("customer", "customer", "cust", "customer", "vehicle", "vehicle", "veh", "vehicle", "svc", "service", "most recent", "last", "最近一次", "最近")

// lookUp finds what a header means; ok says that it is known. Where the whole is not known, usual short forms are written out, and a
// word in front that says whose column it is does not count.
func lookUp(known map[string]column, header string) (column, bool) {
	h := folded(header)
	c, ok := known[h]
	if ok || h == "" {
		return c, ok
	}
	h = shortened.Replace(h)
	if rest, found := strings.CutSuffix(h, "dt"); found {
		h = rest + "date"
	}
	if c, ok = known[h]; ok {
		return c, true
	}
	for _, unit := range []string{"miles", "km", "公里", "英里"} {
		if rest, found := strings.CutSuffix(h, unit); found {
			if c, ok = known[rest]; ok && (c.field == fKM || c.field == fVisitKM || c.field == fWarrantyKM) {
				return c, true
			}
		}
	}
	for _, w := range whose {
		if rest, found := strings.CutPrefix(h, w.word); found {
			if c, ok = known[rest]; ok && (c.field >= fVehicle) == w.car {
				return c, true
			}
		}
	}
	return column{}, false
}

func hasID(cells []string, known map[string]column) bool {
	return slices.ContainsFunc(cells, func(c string) bool {
		found, _ := lookUp(known, c)
		return found.field == fID
	})
}

// twoRows reports whether a header goes on in the next row: it has blank cells, and the next row names more columns there.
func twoRows(header, next []string, known map[string]column) bool {
	more := 0
	for i, c := range next {
		above := column{}
		if i < len(header) {
			above, _ = lookUp(known, header[i])
		}
		if below, _ := lookUp(known, c); above.field == none && below.field != none {
			more++
		}
	}
	return more >= 2
}
