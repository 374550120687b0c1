package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web/auth"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
)

type tile struct{ Label, Value, Note, Tone, Link string }

type startView struct {
	page.View
	Status   *operate.Status
	Tiles    []tile
	Lanes    []operate.LaneStatus
	Filter   operate.MessageFilter
	States   []care.State
	Channels []care.Channel
	Messages []care.Record
	Path     string
}

// start shows how the daemon is and the last messages.
func (c *Console) start(w http.ResponseWriter, r *http.Request) {
	t := c.set.Accepted(r)
	f, err := operate.ParseMessageFilter(r.URL.Query(), rowsShown)
	if err != nil {
		httpx.Plain(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	status, err := c.service.Status(r.Context(), auth.Of(r))
	if err != nil {
		c.broken(w, t, err)
		return
	}
	messages, err := c.service.Messages(r.Context(), auth.Of(r), f)
	if err != nil {
		c.broken(w, t, err)
		return
	}
	t.Write(w, c.log, http.StatusOK, "start", startView{
		View: page.View{Title: "carebell", Wide: true}, Status: status, Tiles: tiles(t, status), Lanes: status.Lanes, Filter: f,
		States: care.States, Channels: care.Channels, Messages: messages, Path: r.URL.Path,
	})
}

// tiles are the numbers at the top: what waits, what needs a person, what was stopped by one.
func tiles(t *page.Locale, s *operate.Status) []tile {
	due, later, claimed := 0, 0, 0
	for _, l := range s.Lanes {
		due, later, claimed = due+l.Due, later+l.Later, claimed+l.Claimed
	}
	warn := func(bad bool) string {
		if bad {
			return "warn"
		}
		return "ok"
	}
	out := []tile{
		{Label: t.T("console.tile.due"), Value: texts.Number(due), Note: t.T("console.tile.claimed", "count", claimed)},
		{Label: t.T("console.tile.later"), Value: texts.Number(later)},
		{Label: t.T("console.tile.uncertain"), Value: texts.Number(s.Uncertain), Note: t.T("console.tile.decide"), Tone: warn(s.Uncertain > 0)},
		{Label: t.T("console.tile.failed"), Value: texts.Number(s.Failed), Tone: warn(s.Failed > 0)},
		{Label: t.T("console.tile.tasks"), Value: texts.Number(s.Tasks), Note: t.T("console.tile.call_list"), Tone: warn(s.Tasks > 0), Link: tasksPath},
		{Label: t.T("console.tile.paused"), Value: strconv.Itoa(len(s.Paused)), Note: names(s.Paused), Tone: warn(len(s.Paused) > 0)},
		{Label: t.T("console.tile.brakes"), Value: strconv.Itoa(len(s.Brakes)), Note: names(s.Brakes), Tone: warn(len(s.Brakes) > 0)},
	}
	return out
}

// names writes the first few of a list.
func names(all []string) string {
	const shown = 3
	if len(all) > shown {
		return strings.Join(all[:shown], ", ") + " …"
	}
	return strings.Join(all, ", ")
}
