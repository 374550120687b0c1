package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
)

// maxCard bounds one card; a photograph in it is not kept.
const maxCard = 8 << 20

// property is one line of a card: its name, its parameters in capitals, and its value.
type property struct {
	name   string
	params map[string]string
	value  string
}

// vcard reads cards of versions 2.1, 3.0 and 4.0 (RFC 6350). The customer's id is the card's UID, or X-CUSTOMER-ID if there is one.
func (d *reading) vcard(ctx context.Context, in io.Reader) error {
	text, err := newText(in, d.opt.Encoding, maxCard)
	if err != nil {
		return err
	}
	header := []string{"UID", "FN", "TEL", "EMAIL", "BDAY", "CALSCALE", "GENDER", "LANG", "TZ", "CATEGORIES", "DEATHDATE"}
	columns := []field{fID, fName, fPhone, fEmail, fBirthday, fCalendar, fGender, fLocale, fZone, fTags, fDeceased}
	known := map[string]column{}
	for i, h := range header {
		known[folded(h)] = column{field: columns[i]}
	}
	r := newRows(&d.opt, slices.Clone(header), known)
	r.cards = d.opt.IDFrom == ""
	if err := d.rejects.layout(header, ',', func() string { return UTF8BOM }); err != nil {
		return err
	}
	lines := &textLines{text: text}
	var card []property
	inside, n := false, 0
	for line, ok := unfold(lines, ""); ok; line, ok = unfold(lines, line.next) {
		p, isProperty := parseProperty(line.text)
		switch {
		case !isProperty:
		case p.name == "BEGIN" && strings.EqualFold(p.value, "VCARD"):
			card, inside, n = card[:0], true, n+1
		case p.name == "END" && strings.EqualFold(p.value, "VCARD") && inside:
			inside = false
			if notPerson(card) {
				d.note(Rejection{Line: n, Column: "KIND", Reason: noPerson})
				continue
			}
			if err := d.card(ctx, r, card, header, n); err != nil {
				return err
			}
		case inside:
			card = append(card, p)
		}
	}
	d.stats.Encoding = text.encoding
	if errors.Is(lines.err, errLong) {
		return errors.New("a line is longer than 8 MiB: this is no vCard")
	}
	if lines.err == nil && inside {
		// The file was cut off; the last card may lack anything.
		return d.reject([]Rejection{{Line: n, Reason: "the card has no end"}}, cells(card, header))
	}
	return lines.err
}

// notPerson reports whether a card is of a group, a firm, a place or a thing (RFC 6350 section 6.1.4).
func notPerson(card []property) bool {
	return slices.ContainsFunc(card, func(p property) bool {
		switch value := strings.TrimSpace(p.value); p.name {
		case "KIND", "X-ADDRESSBOOKSERVER-KIND":
			return value != "" && !strings.EqualFold(value, "individual")
		case "X-ABSHOWAS":
			return strings.EqualFold(value, "company")
		}
		return false
	})
}

// card takes one card. Telephones write cards without a UID: the id may then be made of the number or the mailbox.
func (d *reading) card(ctx context.Context, r *rows, card []property, header []string, n int) error {
	row := cells(card, header)
	raw := slices.Clone(row)
	if row[0] == "" {
		row[0] = d.cardID(row)
	}
	if row[8] != "" && r.zone(row[8]) == "" {
		row[8] = "" // any text may stand there
	}
	if i := slices.IndexFunc(card, func(p property) bool { return p.name == "BDAY" }); i >= 0 && row[4] != "" && card[i].params["VALUE"] == "TEXT" {
		if _, _, reason := r.place(nil).Birthday(row[4], ""); reason != "" {
			row[4] = "" // words such as circa 1800
		}
	}
	return d.row(ctx, r, row, n, func() []string { return raw })
}

func (d *reading) cardID(row []string) string {
	switch d.opt.IDFrom {
	case "phone":
		country := d.opt.Country
		if d.opt.Book != nil {
			if dealer := d.opt.Book.Dealer(d.opt.Dealer); dealer != nil && dealer.Country != "" {
				country = dealer.Country
			}
		}
		first, _, _ := strings.Cut(row[2], ";")
		if phone, ok := contact.Phone(first, country); ok {
			return "tel:" + phone[1:]
		}
	case "email":
		if addr, ok := contact.Email(row[3]); ok {
			return "mail:" + mailID(strings.ToLower(addr))
		}
	}
	return ""
}

// mailID writes an address as a part of an id; two addresses never come to the same.
func mailID(addr string) string {
	var b strings.Builder
	for i := range len(addr) {
		if c := addr[i]; c != '_' && care.ValidID(addr[i:i+1]) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// textLines gives the lines of a text as a Scanner does.
type textLines struct {
	text *text
	line string
	err  error
}

// Scan reads the next line.
func (l *textLines) Scan() bool {
	next, err := l.text.readLine()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			l.err = err
		}
		return false
	}
	l.line = next.text
	return true
}

// Text is the line that was read last.
func (l *textLines) Text() string { return l.line }

// logical is one logical line, and the physical one after it, which was read to see that it does not continue the first.
type logical struct {
	text, next string
}

// unfold joins lines that begin with a blank to the one before (RFC 6350 section 3.2), and quoted-printable lines that end with =.
func unfold(lines *textLines, first string) (logical, bool) {
	l := logical{text: first}
	if l.text == "" {
		for l.text == "" {
			if !lines.Scan() {
				return l, false
			}
			l.text = strings.TrimRight(lines.Text(), "\r")
		}
	}
	var b strings.Builder
	b.WriteString(l.text)
	soft := strings.Contains(strings.ToUpper(l.text), "QUOTED-PRINTABLE")
	for lines.Scan() {
		next := strings.TrimRight(lines.Text(), "\r")
		switch {
		case soft && strings.HasSuffix(b.String(), "="):
			b.WriteString("\r\n" + next)
		case next != "" && (next[0] == ' ' || next[0] == '\t') && b.Len() < maxCard:
			b.WriteString(next[1:])
		case next == "":
			continue
		default:
			l.text, l.next = b.String(), next
			return l, true
		}
	}
	l.text = b.String()
	return l, true
}

// parseProperty reads [group.]NAME;PARAM=value:value.
func parseProperty(line string) (property, bool) {
	p := property{params: map[string]string{}}
	colon, quoted := -1, false
	for i := range len(line) {
		if line[i] == '"' {
			quoted = !quoted
		} else if line[i] == ':' && !quoted {
			colon = i
			break
		}
	}
	if colon < 0 {
		return p, false
	}
	head := strings.Split(line[:colon], ";")
	p.value = line[colon+1:]
	p.name = strings.ToUpper(head[0][strings.LastIndexByte(head[0], '.')+1:])
	for _, param := range head[1:] {
		name, value, found := strings.Cut(param, "=")
		if !found {
			name, value = "TYPE", param // version 2.1: TEL;CELL
			if strings.EqualFold(param, "QUOTED-PRINTABLE") {
				name = "ENCODING"
			}
		}
		name = strings.ToUpper(name)
		if old := p.params[name]; old != "" {
			value = old + "," + value
		}
		p.params[name] = strings.ToUpper(strings.Trim(value, `"`))
	}
	if p.params["ENCODING"] == "QUOTED-PRINTABLE" {
		raw, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(p.value)))
		if err != nil {
			return p, false
		}
		p.value = string(raw)
		if c := p.params["CHARSET"]; strings.HasPrefix(c, "GB") {
			if p.value, err = simplifiedchinese.GB18030.NewDecoder().String(p.value); err != nil {
				return p, false
			}
		}
	}
	return p, true
}

// cells brings a card into the columns of the header.
func cells(card []property, header []string) []string {
	row := make([]string, len(header))
	rank := make([]int, len(header)) // of what is in the cell: a preferred one wins
	var phones []property
	for _, p := range card {
		name, value, preferred := p.name, unescape(p.value), 1
		switch name {
		case "X-CUSTOMER-ID":
			name, preferred = "UID", 2
		case "UID":
			value = strings.TrimPrefix(value, "urn:uuid:")
		case "N":
			name, preferred, value = "FN", 0, fullName(p.value)
		case "TEL":
			p.value, _, _ = strings.Cut(strings.TrimPrefix(value, "tel:"), ";")
			phones = append(phones, p)
			continue
		case "EMAIL":
			value = strings.TrimPrefix(value, "mailto:")
		case "BDAY":
			value = birthdate(p)
		case "DEATHDATE", "X-DEATHDATE", "DEATHPLACE":
			if name = "DEATHDATE"; value != "" {
				value = "yes"
			}
		case "GENDER", "X-GENDER":
			name = "GENDER"
			value, _, _ = strings.Cut(p.value, ";")
		case "TZ":
			if !strings.Contains(value, "/") {
				continue // an offset is no zone
			}
		}
		if p.preferred() {
			preferred += 10
		}
		if i := slices.Index(header, name); i >= 0 && value != "" && (row[i] == "" || preferred > rank[i]) {
			if row[i], rank[i] = value, preferred; name == "BDAY" {
				row[slices.Index(header, "CALSCALE")] = strings.ToLower(p.params["CALSCALE"])
			}
		}
	}
	row[slices.Index(header, "TEL")] = numbers(phones)
	return row
}

func (p property) preferred() bool {
	return p.params["PREF"] != "" || strings.Contains(p.params["TYPE"], "PREF")
}

// numbers are the numbers of a card in one cell: preferred ones and mobiles first, and no fax or pager.
func numbers(phones []property) string {
	rank := func(p property) (n int) {
		if kind := p.params["TYPE"]; strings.Contains(kind, "CELL") || strings.Contains(kind, "IPHONE") {
			n = 1
		}
		if p.preferred() {
			n += 2
		}
		return n
	}
	slices.SortStableFunc(phones, func(a, b property) int { return rank(b) - rank(a) })
	var all []string
	for _, p := range phones {
		if kind := p.params["TYPE"]; !strings.Contains(kind, "FAX") && !strings.Contains(kind, "PAGER") && p.value != "" {
			all = append(all, p.value)
		}
	}
	return strings.Join(all, ";")
}

// unescape undoes the backslashes of RFC 6350 section 3.4.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return strings.TrimSpace(s)
	}
	return strings.TrimSpace(strings.NewReplacer(`\n`, " ", `\N`, " ", `\,`, ",", `\;`, ";", `\:`, ":", `\\`, `\`).Replace(s))
}

// fullName makes 王小明 of 王;小明;;; and John Smith of Smith;John;;;.
func fullName(n string) string {
	parts := strings.Split(n, ";")
	family := unescape(parts[0])
	given := ""
	if len(parts) > 1 {
		given = unescape(parts[1])
	}
	for _, r := range family + given {
		if r < 0x2e80 { // Latin and its like; Chinese, Japanese and Korean names are written without a blank, surname first
			return strings.TrimSpace(given + " " + family)
		}
	}
	return family + given
}

// birthdate reads the forms of BDAY: 19960415, 1996-04-15, --0415, and Apple's year 1604 that means none. A date without a day is left
// out; anything else, a time with an offset too, is for the import to read.
func birthdate(p property) string {
	v := strings.TrimSpace(p.value)
	if strings.HasPrefix(v, "T") {
		return "" // only a time of day
	}
	digits := strings.ReplaceAll(v, "-", "")
	if strings.Trim(digits, "0123456789") != "" {
		if i := strings.IndexAny(v, "T"); i > 0 && strings.HasPrefix(v, "--") {
			return birthdate(property{value: v[:i]})
		}
		return v
	}
	omitted := p.params["X-APPLE-OMIT-YEAR"]
	switch {
	case strings.HasPrefix(v, "--") && len(digits) == 4:
		return "--" + digits[:2] + "-" + digits[2:]
	case strings.HasPrefix(v, "-"), len(digits) == 4, len(digits) == 6:
		return "" // only a year, a month or a day
	case len(digits) == 8 && (digits[:4] == omitted || digits[:4] == "1604"):
		return "--" + digits[4:6] + "-" + digits[6:]
	case len(digits) == 8:
		return digits[:4] + "-" + digits[4:6] + "-" + digits[6:]
	}
	return v
}
