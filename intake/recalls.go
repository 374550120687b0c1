package intake

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// The fields of NHTSA's flat file of recalls that are read, by their place in a line (FLAT_RCL.txt; RCL.txt on the agency's site
// describes them). A line is one model year of one campaign.
const (
	recallCampaign    = 1
	recallMake        = 2
	recallModel       = 3
	recallYear        = 4 // 9999 = not known
	recallOwnersTold  = 12
	recallReported    = 15
	recallDefect      = 19
	recallConsequence = 20
	recallRemedy      = 21
	recallLeast       = 22 // fields that a line has at least
	recallDoNotDrive  = 27
	recallParkOutside = 28
)

// unknownYear stands for a model year that the agency does not know: it matches every year.
const unknownYear = 9999

// longestRecall is more than any line of the file: texts have up to 2,000 characters each.
const longestRecall = 64 << 10

var errNotRecalls = errors.New("this is no flat file of recalls: a line needs at least 22 fields between tabs")

// ReadRecalls reads a recall file in NHTSA's flat format and returns a bulletin for each campaign that concerns one of the makes
// (nil = all), in the file's order. A bulletin is not enabled: somebody should read it before owners do. The texts are the
// agency's, in English. Lines of other products than vehicles have no make of a car and are left out by naming makes.
func ReadRecalls(r io.Reader, makes []string) ([]*care.Bulletin, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestRecall)
	byID := map[string]*care.Bulletin{}
	var out []*care.Bulletin
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(strings.TrimSuffix(lines.Text(), "\r"), "\t")
		if len(fields) == 1 && strings.TrimSpace(fields[0]) == "" {
			continue
		}
		if len(fields) < recallLeast {
			return nil, fmt.Errorf("line %d: %w", n, errNotRecalls)
		}
		field := func(i int) string {
			if i >= len(fields) {
				return ""
			}
			return strings.TrimSpace(fields[i])
		}
		if !wanted(makes, field(recallMake)) {
			continue
		}
		id := strings.ToLower(field(recallCampaign))
		if !care.ValidID(id) {
			return nil, fmt.Errorf("line %d: the campaign has no number", n)
		}
		b := byID[id]
		if b == nil {
			b = recallOf(id, field)
			byID[id] = b
			out = append(out, b)
		}
		if err := addMatch(b, field); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("recalls: %w", err)
	}
	for _, b := range out {
		b.Match = joinYears(b.Match)
	}
	return out, nil
}

func wanted(makes []string, name string) bool {
	return len(makes) == 0 || slices.ContainsFunc(makes, func(m string) bool { return strings.EqualFold(m, name) })
}

func recallOf(id string, field func(int) string) *care.Bulletin {
	published := recallDate(field(recallOwnersTold))
	if published.IsZero() {
		published = recallDate(field(recallReported))
	}
	return &care.Bulletin{
		Bulletin: id, Kind: "recall", Title: care.Text{"en": "Recall " + strings.ToUpper(id)}, PublishedOn: published,
		Summary: care.Text{"en": field(recallDefect)}, Risk: care.Text{"en": field(recallConsequence)}, Remedy: care.Text{"en": field(recallRemedy)},
		DoNotDrive: yes(field(recallDoNotDrive)), ParkOutside: yes(field(recallParkOutside)),
	}
}

// addMatch notes one model year of the campaign; joinYears makes ranges of them.
func addMatch(b *care.Bulletin, field func(int) string) error {
	year, err := strconv.Atoi(field(recallYear))
	if err != nil {
		return fmt.Errorf("%q is no model year", field(recallYear))
	}
	m := care.Match{Make: field(recallMake), Model: field(recallModel)}
	if year != unknownYear {
		m.ModelYears = []int{year, year}
	}
	b.Match = append(b.Match, m)
	return nil
}

// joinYears makes one match of the neighbouring years of a model, in the order of makes, models and years. A model of which a year is
// not known matches in every year.
func joinYears(list []care.Match) []care.Match {
	first := func(m care.Match) int {
		if len(m.ModelYears) == 0 {
			return 0 // before every year
		}
		return m.ModelYears[0]
	}
	slices.SortFunc(list, func(a, b care.Match) int {
		return cmp.Or(strings.Compare(a.Make, b.Make), strings.Compare(a.Model, b.Model), cmp.Compare(first(a), first(b)))
	})
	var out []care.Match
	for _, m := range list {
		if n := len(out); n > 0 && out[n-1].Make == m.Make && out[n-1].Model == m.Model {
			last := &out[n-1]
			if len(last.ModelYears) == 0 {
				continue
			}
			if m.ModelYears[0] <= last.ModelYears[1]+1 {
				last.ModelYears[1] = max(last.ModelYears[1], m.ModelYears[1])
				continue
			}
		}
		out = append(out, m)
	}
	return out
}

// recallDate reads YYYYMMDD; anything else is no date.
func recallDate(s string) care.Date {
	t, err := time.Parse("20060102", s)
	if err != nil {
		return care.Date{}
	}
	return care.DateOf(t)
}

func yes(s string) bool { return strings.EqualFold(s, "yes") || strings.EqualFold(s, "y") }
