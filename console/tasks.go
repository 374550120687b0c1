package console

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

// Task is what a person has to do about a customer. What the customer said is not in it: it stands on their timeline.
type Task struct {
	Key      string       `json:"key"` // names it when it is ticked off
	At       time.Time    `json:"at"`
	ID       string       `json:"id,omitempty"` // of the message
	Customer string       `json:"customer"`
	Dealer   string       `json:"dealer,omitempty"`
	Advisor  string       `json:"advisor,omitempty"` // name of who looks after the customer
	Vehicle  string       `json:"vehicle,omitempty"`
	Program  string       `json:"program,omitempty"`
	Step     string       `json:"step,omitempty"`
	Channel  care.Channel `json:"channel,omitempty"`
	Reason   string       `json:"reason"`

	Location *time.Location `json:"-"` // in which At is shown; nil = UTC
}

// Local is when the task came up, on the dealer's clock.
func (t *Task) Local() time.Time {
	if t.Location == nil {
		return t.At.UTC()
	}
	return t.At.In(t.Location)
}

// TaskFilter selects tasks; a dealer that is "" does not matter.
type TaskFilter struct {
	Dealer string
	Limit  int
}

// TaskList is what a filter selects.
type TaskList struct {
	Tasks   []Task    `json:"tasks"` // the newest first
	Open    int       `json:"open"`  // how many there are, also beyond the limit
	At      time.Time `json:"at"`
	Dealers []string  `json:"-"` // that can be asked for
}

func (t *locale) task(reason string) string { return t.Word("task", reason) }

const tasksPath = "/tasks"

// tasksURL is the address of the list of tasks; of one dealer unless that is "".
func tasksURL(dealer string) string {
	if dealer == "" {
		return tasksPath
	}
	return tasksPath + "?dealer=" + url.QueryEscape(dealer)
}

type tasksView struct {
	view
	List   *TaskList
	Filter TaskFilter
	Path   string
}

// Waiting is how long a task has been open.
func (v tasksView) Waiting(t *Task) time.Duration { return v.List.At.Sub(t.At) }

// tasks lists what people have to do.
func (p *Private) tasks(w http.ResponseWriter, r *http.Request) {
	t := accepted(r)
	f, ok := taskFilter(w, r, rowsShown)
	if !ok {
		return
	}
	list, err := p.Desk.Tasks(r.Context(), f)
	if err != nil {
		p.broken(w, t, err)
		return
	}
	// Under no-referrer a browser says Origin: null when the page's own buttons post, and over plain HTTP that is all we know of it.
	// The address has no secret in it, unlike those of the customers' pages.
	w.Header().Set("Referrer-Policy", "same-origin")
	write(w, p.Log, t, http.StatusOK, "tasks", tasksView{
		view: view{Title: t.T("console.tasks.title"), Wide: true}, List: list, Filter: f, Path: tasksPath,
	})
}

// taskFilter reads a filter from the query and answers itself if it cannot be read.
func taskFilter(w http.ResponseWriter, r *http.Request, limit int) (TaskFilter, bool) {
	q := r.URL.Query()
	f := TaskFilter{Dealer: q.Get("dealer"), Limit: limit}
	if given := q.Get("limit"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > rowsMost {
			plain(w, http.StatusBadRequest, "limit: write a number from 1 to "+strconv.Itoa(rowsMost)+"\n")
			return f, false
		}
		f.Limit = n
	}
	return f, true
}

var taskKey = regexp.MustCompile(`^[0-9a-f]{32}$`)

// tickOff takes a task off the list and shows what is left. One that somebody else has ticked off before is no error.
func (p *Private) tickOff(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	key, dealer := r.PostFormValue("key"), r.PostFormValue("dealer")
	if !taskKey.MatchString(key) {
		plain(w, http.StatusBadRequest, "key: that names no task\n")
		return
	}
	if _, err := p.Desk.TaskDone(r.Context(), key); err != nil {
		p.broken(w, accepted(r), err)
		return
	}
	http.Redirect(w, r, tasksURL(dealer), http.StatusSeeOther) //nolint:gosec // the path is our own, the dealer a value in its query
}

func (p *Private) apiTasks(w http.ResponseWriter, r *http.Request) {
	f, ok := taskFilter(w, r, 100)
	if !ok {
		return
	}
	list, err := p.Desk.Tasks(r.Context(), f)
	if err == nil && list.Tasks == nil {
		list.Tasks = []Task{}
	}
	p.json(w, list, err)
}

func (p *Private) apiTickOff(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Key string `json:"key"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPage)).Decode(&asked); err != nil || !taskKey.MatchString(asked.Key) {
		p.answerJSON(w, http.StatusBadRequest, map[string]string{"error": `write {"key": "…"} with the key of a task`})
		return
	}
	done, err := p.Desk.TaskDone(r.Context(), asked.Key)
	if err == nil && !done {
		p.answerJSON(w, http.StatusNotFound, map[string]string{"error": "there is no such task, or it was ticked off before"})
		return
	}
	p.json(w, map[string]bool{"done": done}, err)
}

// answerJSON writes an answer of the API.
func (p *Private) answerJSON(w http.ResponseWriter, status int, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		p.Log.Error("an answer of the API could not be made", slog.Any("error", err))
		status, raw = http.StatusInternalServerError, []byte(`{"error":"the answer could not be made"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n'))
}
