package daemon

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store"
)

// A message that reached nobody becomes a task on the console's list, with the advisor's name, until somebody ticks it off there.
func TestATaskIsListedAndTickedOff(t *testing.T) {
	t.Parallel()
	d, st := house(t, nil)
	dealer := d.book.Load().Book.Dealers[0]
	advisor := dealer.Advisors[0]
	doc := `{"id":"C1","email":"c1@example.com","dealer":"` + dealer.Dealer + `","advisor":"` + advisor.Advisor + `"}`
	if _, err := st.Merge(t.Context(), []string{"C1"}, func(int, []byte) ([]byte, error) { return []byte(doc), nil }); err != nil {
		t.Fatal(err)
	}
	id := care.OccurrenceID("C1", "V1", "maintenance", "heads-up", "2026-01-01")
	if err := st.Note(t.Context(), []care.EventEntry{
		{At: time.Now(), ID: id, Customer: "C1", Dealer: dealer.Dealer, Program: "maintenance", Step: "heads-up", Channel: care.SMS, State: care.StateFailed, Reason: "recipient"},
		{At: time.Now().Add(-time.Hour), Customer: "GONE", Dealer: "elsewhere", Kind: care.KindTask, Reason: "reply", Value: "their words"},
	}); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Tasks []struct{ Key, ID, Customer, Advisor, Reason string }
		Open  int
	}
	read := func(query string) int {
		code, body := get(t, d, "/api/v1/tasks"+query)
		if list.Tasks = nil; code != http.StatusOK || json.Unmarshal([]byte(body), &list) != nil || strings.Contains(body, "their words") {
			t.Fatalf("%d %s", code, body)
		}
		return list.Open
	}
	await(t, soon, "both tasks are listed", func() bool { return read("") == 2 })
	if got := list.Tasks[0]; got.ID != id || got.Customer != "C1" || got.Advisor != advisor.Name.In(dealer.Locale) || got.Reason != store.TaskNotReached {
		t.Errorf("%+v", got)
	}
	if got := list.Tasks[1]; got.Customer != "GONE" || got.Advisor != "" {
		t.Errorf("%+v", got)
	}
	if n := read("?dealer=" + dealer.Dealer); n != 1 {
		t.Errorf("%d tasks of the dealer", n)
	}
	if code, body := get(t, d, "/tasks"); code != http.StatusOK || !strings.Contains(body, advisor.Name.In(dealer.Locale)) || !strings.Contains(body, "GONE") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(t, d, "/api/v1/status"); code != http.StatusOK || !strings.Contains(body, `"tasks":2`) {
		t.Errorf("%d %s", code, body)
	}
	form := url.Values{"key": {list.Tasks[0].Key}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.Addr()+"/tasks/done", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/tasks" {
		t.Errorf("%d %s", res.StatusCode, res.Request.URL)
	}
	if read(""); list.Open != 1 || list.Tasks[0].Customer != "GONE" {
		t.Errorf("%+v", list)
	}
	line, err := st.Timeline(t.Context(), "C1")
	if err != nil || line[0].Kind != care.KindTaskDone || line[0].Reason != store.TaskNotReached {
		t.Errorf("%+v, %v", line, err)
	}
}
