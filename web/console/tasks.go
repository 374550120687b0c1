package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web/auth"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
)

const tasksPath = "/tasks"

// tasksURL is the address of the list of tasks; of one dealer unless that is "".
func tasksURL(dealer string) string {
	if dealer == "" {
		return tasksPath
	}
	return tasksPath + "?dealer=" + url.QueryEscape(dealer)
}

type tasksView struct {
	page.View
	List   *operate.TaskList
	Filter operate.TaskFilter
	Path   string
}

// Waiting is how long a task has been open.
func (v tasksView) Waiting(t *operate.Task) time.Duration { return v.List.At.Sub(t.At) }

// tasks lists what people have to do.
func (c *Console) tasks(w http.ResponseWriter, r *http.Request) {
	t := c.set.Accepted(r)
	f, err := operate.ParseTaskFilter(r.URL.Query(), rowsShown)
	if err != nil {
		httpx.Plain(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	list, err := c.service.Tasks(r.Context(), auth.Of(r), f)
	if err != nil {
		c.broken(w, t, err)
		return
	}
	// Under no-referrer a browser says Origin: null when the page's own buttons post, and over plain HTTP that is all we know of it.
	// The address has no secret in it, unlike those of the customers' pages.
	w.Header().Set("Referrer-Policy", "same-origin")
	t.Write(w, c.log, http.StatusOK, "tasks", tasksView{
		View: page.View{Title: t.T("console.tasks.title"), Wide: true}, List: list, Filter: f, Path: tasksPath,
	})
}

// tickOff takes a task off the list and shows what is left. One that somebody else has ticked off before is no error.
func (c *Console) tickOff(w http.ResponseWriter, r *http.Request) {
	if !httpx.ReadForm(w, r) {
		return
	}
	key, dealer := r.PostFormValue("key"), r.PostFormValue("dealer")
	if !operate.ValidTaskKey(key) {
		httpx.Plain(w, http.StatusBadRequest, "key: that names no task\n")
		return
	}
	if _, err := c.service.TaskDone(r.Context(), auth.Of(r), key); err != nil {
		c.broken(w, c.set.Accepted(r), err)
		return
	}
	http.Redirect(w, r, tasksURL(dealer), http.StatusSeeOther) //nolint:gosec // the path is our own, the dealer a value in its query
}
