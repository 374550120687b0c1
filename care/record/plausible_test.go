package record_test

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

// TestPlaceholderDates: dates that no person or car can have are left out and reported, and cost nothing else.
func TestPlaceholderDates(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1904-01-01", "1909-12-31", "1970-01-01"} {
		c, defects, err := record.Decode([]byte(`{"id":"C1","name":"王","birthday":"` + date + `","vehicles":[{"id":"V1","delivered_on":"` + date + `","insurance_until":"` + date +
			`","inspection_due":"` + date + `","warranty":{"until":"` + date + `","km":5},"visits":[{"closed_on":"` + date + `"}],"odometer":[{"on":"` + date + `","km":1}]}]}`))
		if err != nil || len(defects) != 7 || !c.Birthday.IsZero() || c.Name != "王" || c.Closed {
			t.Errorf("%s: got %+v, %v, %v", date, c, defects, err)
			continue
		}
		if v := c.Vehicles[0]; !v.DeliveredOn.IsZero() || !v.InsuranceUntil.IsZero() || !v.InspectionDue.IsZero() || v.Warranty != (care.Warranty{KM: 5}) || len(v.Visits)+len(v.Odometer) > 0 {
			t.Errorf("%s: got %+v", date, v)
		}
	}
	for _, birthday := range []string{"1910-01-01", "1970-01-02", "1970-02-01", "--01-01", "lunar:1910-01-01", "lunar:--12-eve"} {
		if c, defects, err := record.Decode([]byte(`{"id":"C1","birthday":"` + birthday + `"}`)); err != nil || len(defects) > 0 || c.Birthday.IsZero() {
			t.Errorf("%s: got %v, %v, %v", birthday, c, defects, err)
		}
	}
}

func TestImplausible(t *testing.T) {
	t.Parallel()
	today := care.NewDate(2026, time.November, 30)
	for record1, want := range map[string]int{
		`{"id":"C1","birthday":"2010-11-30"}`:                                                     0,
		`{"id":"C1","birthday":"2010-12-01"}`:                                                     1,
		`{"id":"C1","birthday":"2023-12-15"}`:                                                     1,
		`{"id":"C1","birthday":"lunar:2024-L02-01"}`:                                              1,
		`{"id":"C1","birthday":"--12-15"}`:                                                        0,
		`{"id":"C1"}`:                                                                             0,
		`{"id":"C1","vehicles":[{"id":"V","delivered_on":"2027-11-30"}]}`:                         0,
		`{"id":"C1","vehicles":[{"id":"V","delivered_on":"2027-12-01"}]}`:                         1,
		`{"id":"C1","vehicles":[{"id":"V","delivered_on":"9999-12-31"}]}`:                         1,
		`{"id":"C1","birthday":"2024-01-01","vehicles":[{"id":"V","delivered_on":"2030-01-01"}]}`: 2,
	} {
		c, _, err := record.Decode([]byte(record1))
		if err != nil {
			t.Fatal(err)
		}
		if got := record.Implausible(c, today); len(got) != want {
			t.Errorf("%s: got %v, want %d", record1, got, want)
		}
	}
}

// TestKinds: the trade's words for a visit; what is not known stays as it is, and is no maintenance.
func TestKinds(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"": "", "maintenance": "maintenance", "Maintenance": "maintenance", "保养": "maintenance", "首保": "maintenance", "首次保养": "maintenance", "定期保养": "maintenance",
		"5000公里保养": "maintenance", "1万公里保养": "maintenance", "60,000 mile service": "maintenance", "12个月保养": "maintenance", "第3次保养": "maintenance",
		"保养（小）": "maintenance", "保养(5000公里)": "maintenance", "A保养": "maintenance", "更换机油机滤": "maintenance", "2次喷漆": "bodywork", "5000": "5000", "(保养)": "(保养)",
		"常规保养": "maintenance", "小保养": "maintenance", "大 保养": "maintenance", "大保養": "maintenance", "PM": "maintenance", "pm": "maintenance", "Oil Change": "maintenance",
		"oil-change": "maintenance", "SERVICE": "maintenance", "Lube, Oil & Filter": "maintenance", "30K service": "30K service", "维修": "repair", "事故维修": "bodywork",
		"Body Shop": "bodywork", "召回": "recall", "repair": "repair", "Wartung": "maintenance", "别的": "别的",
	} {
		c, defects, err := record.Decode([]byte(`{"id":"C1","vehicles":[{"id":"V","visits":[{"closed_on":"2026-01-01","kind":"` + word + `"}]}]}`))
		if err != nil || len(defects) > 0 || c.Vehicles[0].Visits[0].Kind != want {
			t.Errorf("%q: got %+v, %v, %v; want %q", word, c, defects, err, want)
		}
	}
}

// TestNoCarDrivesThatFar: readings beyond what a car can drive are left out.
func TestNoCarDrivesThatFar(t *testing.T) {
	t.Parallel()
	for km, want := range map[string]int{"1500000": 0, "1500001": 2, "9999999": 2, "3100000": 2, "-1": 2, "0": 0} {
		c, defects, err := record.Decode([]byte(`{"id":"C1","vehicles":[{"id":"V","odometer":[{"on":"2026-01-01","km":` + km + `}],"visits":[{"closed_on":"2026-01-01","km":` + km + `}]}]}`))
		if err != nil || len(defects) != want || len(c.Vehicles[0].Visits) != 1 || (c.Vehicles[0].Visits[0].KM == nil) != (want > 0) {
			t.Errorf("%s: got %+v, %v, %v", km, c, defects, err)
		}
	}
}
