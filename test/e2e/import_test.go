//go:build e2e

package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/test/peers"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// expected is testdata/dealership-expected.json.
type expected struct {
	Rows      int `json:"rows"`
	Customers map[string]struct {
		Name     string `json:"name"`
		Phone    string `json:"phone"`
		Email    string `json:"email"`
		Birthday string `json:"birthday"`
		Grade    string `json:"grade"`
		Advisor  string `json:"advisor"`
		Vehicles []struct {
			ID             string `json:"id"`
			Plate          string `json:"plate"`
			Make           string `json:"make"`
			Model          string `json:"model"`
			ModelYear      int    `json:"model_year"`
			DeliveredOn    string `json:"delivered_on"`
			LastVisitOn    string `json:"last_visit_on"`
			LastVisitKM    *int   `json:"last_visit_km"`
			InsuranceUntil string `json:"insurance_until"`
		} `json:"vehicles"`
	} `json:"customers"`
	Rejected []struct {
		Customer, Column, Why string
	} `json:"rejected"`
}

// A dealership's export in GB18030 becomes exactly the customers that it should, and each row that cannot be used comes back with its
// reason.
func TestImportOfADealership(t *testing.T) {
	redis := peers.Redis(t)
	dir := t.TempDir()
	raw, err := os.ReadFile("testdata/dealership-gb18030.csv")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "dealership-gb18030.csv")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	var want expected
	rawWant, err := os.ReadFile("testdata/dealership-expected.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(rawWant, &want); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, redis: redis, env: []string{"CARE_REDIS_URL=" + redis.URL()}}
	if out := h.carebell("import", "--dry-run", file); redis.CLI("DBSIZE") != "0" {
		t.Fatalf("a dry run wrote something: %s", out)
	}
	h.carebell("import", file)

	ids := strings.Fields(redis.CLI("KEYS", "care:customer:*"))
	if len(ids) != len(want.Customers) {
		t.Errorf("%d customers, want %d", len(ids), len(want.Customers))
	}
	vehicles := 0
	for id, w := range want.Customers {
		raw := redis.CLI("GET", "care:customer:"+id)
		c, defects, err := record.Decode([]byte(raw))
		if err != nil || len(defects) > 0 {
			t.Errorf("%s: %v %v", id, err, defects)
			continue
		}
		vehicles += len(c.Vehicles)
		got := fmt.Sprintf("%v|%v|%v|%v|%v|%v|%v", c.Name, c.Phone, c.Email, c.Birthday, c.Grade, c.Advisor, len(c.Vehicles))
		if wanted := fmt.Sprintf("%v|%v|%v|%v|%v|%v|%v", w.Name, w.Phone, w.Email, w.Birthday, w.Grade, w.Advisor, len(w.Vehicles)); got != wanted {
			t.Errorf("%s:\n got %s\nwant %s", id, got, wanted)
			continue
		}
		for _, wv := range w.Vehicles {
			if wv.Make == "别克" {
				wv.Make = "Buick" // the dealer's alias
			}
			for i := range c.Vehicles {
				v := &c.Vehicles[i]
				if v.ID != wv.ID {
					continue
				}
				got := fmt.Sprintf("%v|%v|%v|%v|%v|%v", v.Plate, v.Make, v.Model, v.ModelYear, v.DeliveredOn, v.InsuranceUntil)
				if wanted := fmt.Sprintf("%v|%v|%v|%v|%v|%v", wv.Plate, wv.Make, wv.Model, wv.ModelYear, wv.DeliveredOn, wv.InsuranceUntil); got != wanted {
					t.Errorf("%s %s:\n got %s\nwant %s", id, v.ID, got, wanted)
				}
				on, km := "", (*int)(nil)
				if len(v.Visits) > 0 {
					on, km = v.Visits[len(v.Visits)-1].ClosedOn.String(), v.Visits[len(v.Visits)-1].KM
				}
				if on != wv.LastVisitOn || (km == nil) != (wv.LastVisitKM == nil) || km != nil && *km != *wv.LastVisitKM {
					t.Errorf("%s %s: last visit %s, want %s", id, v.ID, on, wv.LastVisitOn)
				}
			}
		}
	}
	if vehicles != 292 || len(want.Customers) != 261 {
		t.Errorf("%d customers with %d vehicles, want 261 with 292", len(want.Customers), vehicles)
	}
	rejected(t, file+".rejected.csv", want)

	before := redis.CLI("GET", "care:customer:C100001")
	h.carebell("import", file)
	if after := redis.CLI("GET", "care:customer:C100001"); after != before {
		t.Errorf("a second import of the same file changed a record:\n%s\n%s", before, after)
	}
}

func rejected(t *testing.T, file string, want expected) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		f, err = os.Open(strings.TrimSuffix(strings.TrimSuffix(file, ".rejected.csv"), ".csv") + ".rejected.csv")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(simplifiedchinese.GB18030.NewDecoder().Reader(f)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head := map[string]int{}
	for i, name := range rows[0] {
		head[name] = i
	}
	got := map[string]int{}
	for _, r := range rows[1:] {
		got[strings.TrimPrefix(r[0], "'")+"|"+r[head["_column"]]+"|"+r[head["_reason"]]]++
	}
	for _, w := range want.Rejected {
		if got[w.Customer+"|"+w.Column+"|"+w.Why] != 1 {
			t.Errorf("not rejected as it should be: %s %s: %s", w.Customer, w.Column, w.Why)
		}
	}
	if len(rows)-1 != len(want.Rejected) {
		t.Errorf("%d rejected rows, want %d:\n%v", len(rows)-1, len(want.Rejected), got)
	}
}
