package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
)

// choice is a box or a button of the page of preferences.
type choice struct {
	Name, Label, Hint string
	On                bool
}

type preferencesView struct {
	view
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

func (p *Public) showPreferences(w http.ResponseWriter, _ *http.Request, v *visit) {
	p.preferences(w, v, "")
}

// setPreferences takes the buttons of the page and the one-click POST of mail programs (RFC 8058: no cookies, no redirect, an answer
// of 2xx). A POST that says nothing else is an opt-out: refusing one for its form would be worse than taking it.
func (p *Public) setPreferences(w http.ResponseWriter, r *http.Request, v *visit) {
	do := r.PostForm.Get("do")
	how := care.Stop{At: v.now, Source: "link", Wording: Wording}
	var change func(*care.Overlay) error
	var told []care.EventEntry
	switch do {
	case "not_me":
		p.wrongPerson(w, r, v)
		return
	case "save":
		if !v.known {
			unavailable(w)
			return
		}
		change, told = v.save(r.PostForm, how)
	case "back":
		change, told = v.back(how)
	default:
		scopes := []string{scopeOrAll(v.token.Channel)}
		switch do {
		case "all":
			scopes = []string{everything}
		case "calm":
			scopes = []string{string(care.Service), string(care.Care), string(care.Commercial)}
		default:
			do = "stop"
		}
		if r.PostForm.Get("List-Unsubscribe") == "One-Click" {
			how.Source = "one_click"
		}
		change = func(o *care.Overlay) error {
			for _, s := range scopes {
				if !stopped(o, s) {
					stop(o, s, how)
				}
			}
			return nil
		}
		told = []care.EventEntry{v.entry(KindOptOut, strings.Join(scopes, " "))}
	}
	now := care.Overlay{}
	err := p.decide(r.Context(), v, func(o *care.Overlay) error {
		if err := change(o); err != nil {
			return err
		}
		now = *o
		return nil
	}, told...)
	if err != nil {
		p.failed(w, v, "preferences", err)
		return
	}
	v.facts.Overlay = &now
	p.preferences(w, v, do)
}

// back lifts the stops that the page's other buttons make. Offers stay off: consent to them is given by their own box.
func (v *visit) back(how care.Stop) (func(*care.Overlay) error, []care.EventEntry) {
	scopes := []string{everything, scopeOrAll(v.token.Channel), string(care.Service), string(care.Care)}
	return func(o *care.Overlay) error {
		for _, s := range scopes {
			if stopped(o, s) {
				grant(o, s, how)
			}
		}
		return nil
	}, []care.EventEntry{v.entry(KindOptIn, scopeOrAll(v.token.Channel))}
}

// save takes the form: only what the customer changed, compared with what the page showed, so that nobody agrees to anything by
// pressing Save.
func (v *visit) save(form url.Values, how care.Stop) (func(*care.Overlay) error, []care.EventEntry) {
	was, limit := strings.Fields(form.Get("was")), form.Get("limit")
	ways, groups, topics := v.choices()
	var changed []string
	var steps []func(*care.Overlay)
	each := func(list []choice, scope func(string) string, set func(o *care.Overlay, name string, on bool)) {
		for _, c := range list {
			want := form.Get(c.Name) != ""
			if want == slices.Contains(was, url.QueryEscape(c.Name)) {
				continue
			}
			_, name, _ := strings.Cut(c.Name, ":")
			steps = append(steps, func(o *care.Overlay) { set(o, name, want) })
			changed = append(changed, sign(want)+scope(name))
		}
	}
	itself := func(name string) string { return name }
	each(ways, itself, func(o *care.Overlay, name string, on bool) {
		if on {
			grant(o, name, how)
		} else {
			stop(o, name, how)
		}
	})
	for _, group := range groups {
		each(group.Choices, itself, func(o *care.Overlay, scope string, on bool) {
			class := care.Class(scope[strings.IndexByte(scope, '/')+1:])
			if !on {
				stop(o, scope, how)
				return
			}
			v.turnClass(o, group.Channel, class, how)
			allow(o, group.Channel, class, how)
		})
	}
	each(topics, itself, func(o *care.Overlay, name string, on bool) { v.turn(o, name, on) })
	if name := url.QueryEscape("limit:" + limit); limit != "" && !slices.Contains(was, name) {
		if n, err := strconv.Atoi(limit); err == nil && n >= 0 && n <= 7 {
			steps = append(steps, func(o *care.Overlay) { v.own(o).MaxPerWeek = &n })
			changed = append(changed, "max_per_week="+limit)
		} else if limit == "none" {
			steps = append(steps, func(o *care.Overlay) { v.own(o).MaxPerWeek = nil })
			changed = append(changed, "max_per_week=")
		}
	}
	change := func(o *care.Overlay) error {
		for _, step := range steps {
			step(o)
		}
		return nil
	}
	if len(changed) == 0 {
		return change, nil
	}
	return change, []care.EventEntry{v.entry(KindPreferences, strings.Join(changed, " "))}
}

func sign(on bool) string {
	if on {
		return "+"
	}
	return "-"
}

// own returns the overlay's preferences, beginning with the record's list of what is off: the overlay's replaces it.
func (v *visit) own(o *care.Overlay) *care.Preferences {
	if o.Preferences == nil {
		o.Preferences = &care.Preferences{Off: slices.Clone(v.facts.Preferences.Off)}
	}
	return o.Preferences
}

// turnClass clears an entry of the record that switches a class off: for one channel only, if it is asked for one. Classes are
// switched off by a stop, which is kept as evidence.
func (v *visit) turnClass(o *care.Overlay, ch care.Channel, class care.Class, how care.Stop) {
	name := string(class)
	if ch != "" && slices.Contains(off(&PageFacts{Overlay: o, Preferences: v.facts.Preferences}), name) {
		for _, other := range persons {
			if scope := scopeOf(other, class); other != ch && !agreed(o, scope) && !stopped(o, scope) {
				stop(o, scope, how)
			}
		}
	}
	v.turn(o, name, true)
}

// turn switches a topic on or off in the preferences, or a class on.
func (v *visit) turn(o *care.Overlay, name string, on bool) {
	present := slices.Contains(off(&PageFacts{Overlay: o, Preferences: v.facts.Preferences}), name)
	switch {
	case on && present:
		own := v.own(o)
		own.Off = slices.DeleteFunc(slices.Clone(own.Off), func(s string) bool { return s == name })
	case !on && !present:
		own := v.own(o)
		own.Off = append(slices.Clone(own.Off), name)
	}
}

// choices are the boxes of the page, as the customer's wishes are now.
func (v *visit) choices() (ways []choice, groups []kinds, topics []choice) {
	t, f, o := v.t, &v.facts, v.facts.overlay()
	for _, ch := range persons {
		if slices.Contains(f.Reachable, ch) || ch == v.token.Channel {
			ways = append(ways, choice{Name: "way:" + string(ch), Label: t.Word("preferences.way", string(ch)), On: !stopped(o, string(ch))})
		}
	}
	groups = append(groups, v.kindsOf(v.token.Channel, true))
	for _, ch := range persons {
		if v.token.Channel != "" && ch != v.token.Channel && slices.Contains(f.Reachable, ch) {
			groups = append(groups, v.kindsOf(ch, false))
		}
	}
	switched := off(f)
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
		group.Legend = t.T("preferences.kinds.by", "channel", t.channel(ch))
	}
	if !main {
		group.Aside = t.T("preferences.kinds.aside", "channel", t.channel(ch))
	}
	for _, k := range []choice{
		{Name: string(care.Service), Label: t.T("preferences.kind.service"), Hint: t.T("preferences.kind.service_hint")},
		{Name: string(care.Care), Label: t.T("preferences.kind.care"), Hint: t.T("preferences.kind.care_hint")},
		{Name: string(care.Commercial), Label: t.T("preferences.kind.commercial")},
	} {
		class := care.Class(k.Name)
		k.On, k.Name = wants(&v.facts, ch, class), "kind:"+scopeOf(ch, class)
		group.Choices = append(group.Choices, k)
	}
	return group
}

// limits are the choices of how often.
func (v *visit) limits() []choice {
	have := perWeek(&v.facts)
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
	if v.facts.Preferences.MaxPerWeek == nil {
		out = append(out, choice{Name: "none", Label: v.t.T("preferences.limit.none"), On: have == nil})
	}
	return out
}

func (p *Public) preferences(w http.ResponseWriter, v *visit, done string) {
	o := v.facts.overlay()
	ch, t := v.token.Channel, v.t
	page := preferencesView{view: v.view("", "", ""), Everything: stopped(o, everything)}
	calm := stopped(o, string(care.Service)) && stopped(o, string(care.Care))
	channelOff := ch != "" && stopped(o, string(ch))
	page.Away = page.Everything || channelOff || calm
	page.Choose = v.known && !page.Everything
	page.StopWords = t.T("preferences.stop.all")
	if slices.Contains(persons, ch) {
		page.StopWords = t.Word("preferences.stop", string(ch))
	}
	page.Title, page.Lead, page.Tone = v.preferencesWords(done, page.Everything, channelOff, calm)
	if page.Choose {
		page.Ways, page.Kinds, page.Topics = v.choices()
		page.Limits = v.limits()
		page.Was = ticked(page)
	}
	write(w, p.Log, t, http.StatusOK, "preferences", page)
}

// ticked names what the page shows as on.
func ticked(page preferencesView) string {
	var was []string
	lists := [][]choice{page.Ways, page.Topics, page.Limits}
	for _, group := range page.Kinds {
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
	t, way := v.t, v.t.channel(v.token.Channel)
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
	if v.token.Channel == "" {
		return title, t.T("preferences.lead"), ""
	}
	return title, t.T("preferences.lead.by", "channel", way), ""
}
