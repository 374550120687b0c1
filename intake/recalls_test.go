package intake

import (
	"errors"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
)

// recallLine is a line of the flat file with the fields that matter; the others are as the agency fills them.
func recallLine(campaign, maker, model, year string, more ...string) string {
	fields := make([]string, 29)
	fields[0], fields[1], fields[2], fields[3], fields[4] = "1", campaign, maker, model, year
	fields[12], fields[15] = "", "20261102"
	fields[19], fields[20], fields[21] = "The brake hose may leak.", "Braking may take longer.", "Dealers will replace the hose."
	copy(fields[27:], more)
	return strings.Join(fields, "\t")
}

func TestReadRecalls(t *testing.T) {
	t.Parallel()
	file := strings.Join([]string{
		recallLine("26V123000", "BUICK", "ENVISION", "2021", "Yes", "No"),
		recallLine("26V123000", "BUICK", "ENVISION", "2023"),
		recallLine("26V123000", "BUICK", "ENVISION", "2022"),
		recallLine("26V123000", "BUICK", "ENVISION", "2025"),
		recallLine("26V123000", "BUICK", "ENCORE", "2020"),
		recallLine("26V123000", "BUICK", "ENCORE", "9999"),
		recallLine("26V456000", "FORD", "F-150", "2020"),
		"",
	}, "\r\n")
	got, err := ReadRecalls(strings.NewReader(file), []string{"Buick"})
	if err != nil {
		t.Fatal(err)
	}
	want := []*care.Bulletin{{
		Bulletin: "26v123000", Kind: "recall", Title: care.Text{"en": "Recall 26V123000"}, PublishedOn: care.NewDate(2026, 11, 2),
		Match: []care.Match{
			{Make: "BUICK", Model: "ENCORE"},
			{Make: "BUICK", Model: "ENVISION", ModelYears: []int{2021, 2023}},
			{Make: "BUICK", Model: "ENVISION", ModelYears: []int{2025, 2025}},
		},
		Summary: care.Text{"en": "The brake hose may leak."}, Risk: care.Text{"en": "Braking may take longer."},
		Remedy: care.Text{"en": "Dealers will replace the hose."}, DoNotDrive: true,
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(care.Date{})); diff != "" {
		t.Error(diff)
	}
	if all, err := ReadRecalls(strings.NewReader(file), nil); err != nil || len(all) != 2 {
		t.Errorf("all makes: %d campaigns, %v", len(all), err)
	}
}

func TestReadRecallsRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	if _, err := ReadRecalls(strings.NewReader("客户编号,客户姓名\nC1,王\n"), nil); !errors.Is(err, errNotRecalls) {
		t.Errorf("a customer file: %v", err)
	}
	for name, line := range map[string]string{"no number": recallLine("", "BUICK", "X", "2021"), "no year": recallLine("26V1", "BUICK", "X", "soon")} {
		if _, err := ReadRecalls(strings.NewReader(line), nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
