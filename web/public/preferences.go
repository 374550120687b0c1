package public

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
)

// choice is a box or a button of the page of preferences.
type choice struct {
	Name, Label, Hint string
	On                bool
}

type preferencesView struct {
	page.View
	Away       bool // this channel, or everything, is stopped: the way back is offered
	Everything bool
	Choose     bool
	StopWords  string

	Ways, Topics []choice
	Kinds        []kinds
	Limits       []choice
	Was          string // what was ticked, escaped, with spaces between
}

// kinds are the classes of messages by one channel.
type kinds struct {
	Channel care.Channel // "" = all of them
	Legend  string
	Aside   string // of a channel that the link did not come by: it is shown when this is touched
	Choices []choice
}

func (p *Pages) showPreferences(w http.ResponseWriter, _ *http.Request, v *visit) {
	p.preferences(w, v, "")
}

// setPreferences takes the buttons of the page and the one-click POST of mail programs (RFC 8058: no cookies, no redirect, an answer
// of 2xx). A POST that says nothing else is an opt-out: refusing one for its form would be worse than taking it.
func (p *Pages) setPreferences(w http.ResponseWriter, r *http.Request, v *visit) {
	do, how := r.PostForm.Get("do"), v.how()
	var err error
	switch do {
	case "not_me":
		p.wrongPerson(w, r, v)
		return
	case "save":
		if !v.Known {
			httpx.Unavailable(w)
			return
		}
		err = p.Feedback.SavePreferences(r.Context(), v.Subject, v.changes(r.PostForm), how)
	case "back":
		err = p.Feedback.OptBackIn(r.Context(), v.Subject, how)
	default:
		scopes := []string{feedback.ScopeOrAll(v.Channel)}
		switch do {
		case "all":
			scopes = []string{feedback.Everything}
		case "calm":
			scopes = []string{string(care.Service), string(care.Care), string(care.Commercial)}
		default:
			do = "stop"
		}
		if r.PostForm.Get("List-Unsubscribe") == "One-Click" {
			how.Source = "one_click"
		}
		err = p.Feedback.OptOut(r.Context(), v.Subject, scopes, how)
	}
	if err != nil {
		p.failed(w, v, "preferences", err)
		return
	}
	p.preferences(w, v, do)
}

// changes reads the form: only what the customer changed, compared with what the page showed, so that nobody agrees to anything by
// pressing Save.
func (v *visit) changes(form url.Values) []feedback.Change {
	was, limit := strings.Fields(form.Get("was")), form.Get("limit")
	ways, groups, topics := v.choices()
	var changes []feedback.Change
	each := func(list []choice, change func(name string) feedback.Change) {
		for _, c := range list {
			want := form.Get(c.Name) != ""
			if want == slices.Contains(was, url.QueryEscape(c.Name)) {
				continue
			}
			_, name, _ := strings.Cut(c.Name, ":")
			made := change(name)
			made.On = want
			changes = append(changes, made)
		}
	}
	each(ways, func(name string) feedback.Change { return feedback.Change{Way: care.Channel(name)} })
	for _, group := range groups {
		each(group.Choices, func(scope string) feedback.Change { return feedback.Change{Scope: scope, Channel: group.Channel} })
	}
	each(topics, func(name string) feedback.Change { return feedback.Change{Topic: name} })
	if name := url.QueryEscape("limit:" + limit); limit != "" && !slices.Contains(was, name) {
		if n, err := strconv.Atoi(limit); err == nil && n >= 0 && n <= 7 {
			changes = append(changes, feedback.Change{PerWeek: &n})
		} else if limit == "none" {
			changes = append(changes, feedback.Change{})
		}
	}
	return changes
}

// choices are the boxes of the page, as the customer's wishes are now.
func (v *visit) choices() (ways []choice, groups []kinds, topics []choice) {
	t, f, o := v.t, &v.Facts, v.Facts.Said()
	for _, ch := range feedback.Persons {
		if slices.Contains(f.Reachable, ch) || ch == v.Channel {
			ways = append(ways, choice{Name: "way:" + string(ch), Label: t.Word("preferences.way", string(ch)), On: !feedback.Stopped(o, string(ch))})
		}
	}
	groups = append(groups, v.kindsOf(v.Channel, true))
	for _, ch := range feedback.Persons {
		if v.Channel != "" && ch != v.Channel && slices.Contains(f.Reachable, ch) {
			groups = append(groups, v.kindsOf(ch, false))
		}
	}
	switched := feedback.Off(f)
	for _, c := range f.Topics {
		topics = append(topics, choice{Name: "topic:" + c.Topic, Label: c.Title, On: !slices.Contains(switched, c.Topic)})
	}
	return ways, groups, topics
}

// kindsOf are the boxes of one channel: main is the one that the link came by.
func (v *visit) kindsOf(ch care.Channel, main bool) kinds {
	t := v.t
	group := kinds{Channel: ch, Legend: t.T("preferences.kinds")}
	if ch != "" {
		group.Legend = t.T("preferences.kinds.by", "channel", t.Channel(ch))
	}
	if !main {
		group.Aside = t.T("preferences.kinds.aside", "channel", t.Channel(ch))
	}
	for _, k := range []choice{
		{Name: string(care.Service), Label: t.T("preferences.kind.service"), Hint: t.T("preferences.kind.service_hint")},
		{Name: string(care.Care), Label: t.T("preferences.kind.care"), Hint: t.T("preferences.kind.care_hint")},
		{Name: string(care.Commercial), Label: t.T("preferences.kind.commercial")},
	} {
		class := care.Class(k.Name)
		k.On, k.Name = feedback.Wants(&v.Facts, ch, class), "kind:"+feedback.ScopeOf(ch, class)
		group.Choices = append(group.Choices, k)
	}
	return group
}

// limits are the choices of how often.
func (v *visit) limits() []choice {
	have := feedback.PerWeek(&v.Facts)
	counts := []int{1, 2, 3}
	if have != nil && !slices.Contains(counts, *have) {
		counts = append(counts, *have)
		slices.Sort(counts)
	}
	var out []choice
	for _, n := range counts {
		label := v.t.T("preferences.limit", "count", n)
		if n == 0 {
			label = v.t.T("preferences.limit.none_at_all")
		}
		out = append(out, choice{Name: strconv.Itoa(n), Label: label, On: have != nil && *have == n})
	}
	if v.Facts.Preferences.MaxPerWeek == nil {
		out = append(out, choice{Name: "none", Label: v.t.T("preferences.limit.none"), On: have == nil})
	}
	return out
}

func (p *Pages) preferences(w http.ResponseWriter, v *visit, done string) {
	o := v.Facts.Said()
	ch, t := v.Channel, v.t
	shown := preferencesView{View: v.view("", "", ""), Everything: feedback.Stopped(o, feedback.Everything)}
	calm := feedback.Stopped(o, string(care.Service)) && feedback.Stopped(o, string(care.Care))
	channelOff := ch != "" && feedback.Stopped(o, string(ch))
	shown.Away = shown.Everything || channelOff || calm
	shown.Choose = v.Known && !shown.Everything
	shown.StopWords = t.T("preferences.stop.all")
	if slices.Contains(feedback.Persons, ch) {
		shown.StopWords = t.Word("preferences.stop", string(ch))
	}
	shown.Title, shown.Lead, shown.Tone = v.preferencesWords(done, shown.Everything, channelOff, calm)
	if shown.Choose {
		shown.Ways, shown.Kinds, shown.Topics = v.choices()
		shown.Limits = v.limits()
		shown.Was = ticked(shown)
	}
	t.Write(w, p.Log, http.StatusOK, "preferences", shown)
}

// ticked names what the page shows as on.
func ticked(shown preferencesView) string {
	var was []string
	lists := [][]choice{shown.Ways, shown.Topics, shown.Limits}
	for _, group := range shown.Kinds {
		lists = append(lists, group.Choices)
	}
	for _, list := range lists {
		for _, c := range list {
			switch {
			case !c.On:
			case strings.Contains(c.Name, ":"):
				was = append(was, url.QueryEscape(c.Name))
			default:
				was = append(was, url.QueryEscape("limit:"+c.Name))
			}
		}
	}
	return strings.Join(was, " ")
}

// preferencesWords are the words at the top of the page: what was just done, else what holds.
func (v *visit) preferencesWords(done string, all, channel, calm bool) (title, lead, tone string) {
	t, way := v.t, v.t.Channel(v.Channel)
	switch {
	case done == "back":
		return t.T("preferences.back.title"), t.T("preferences.back.lead"), "ok"
	case done == "save":
		return t.T("preferences.saved.title"), t.T("preferences.saved.lead"), "ok"
	case all:
		return t.T("preferences.all.title"), t.T("preferences.all.lead"), "ok"
	case channel:
		return t.T("preferences.channel.title", "channel", way),
			t.T("preferences.channel.lead", "channel", way), "ok"
	case calm:
		return t.T("preferences.calm.title"), t.T("preferences.calm.lead"), "ok"
	}
	title = t.T("preferences.title")
	if v.Channel == "" {
		return title, t.T("preferences.lead"), ""
	}
	return title, t.T("preferences.lead.by", "channel", way), ""
}
