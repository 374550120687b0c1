package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/carebell/carebell/care"
)

// Wording is the version of the words on the customers' pages; it is kept with each opt-out and opt-in as evidence of what was
// agreed to. Change it when the words change.
const Wording = "pages-2026-11"

//go:embed web
var web embed.FS

// sheet is the one style sheet, inline in every page: one request, and the policy names it by its hash.
var sheet = mustRead("web/style.css")

func mustRead(name string) string {
	raw, err := web.ReadFile(name)
	if err != nil {
		panic(err) // the file is in the binary
	}
	return strings.TrimSpace(string(raw))
}

// tongue is one of the two languages of our pages. The words of both stand side by side in the templates: say "English" "中文".
type tongue struct {
	tag   string // of the html element
	zh    bool
	pages *template.Template
}

var (
	chinese = newTongue("zh-CN", true)
	english = newTongue("en", false)
)

func newTongue(tag string, zh bool) *tongue {
	t := &tongue{tag: tag, zh: zh}
	t.pages = template.Must(template.New("").Funcs(template.FuncMap{
		"lang":  func() string { return tag },
		"sheet": func() template.CSS { return template.CSS(sheet) }, //nolint:gosec // our own file, not a customer's words
		"say":   t.say, "date": t.date, "km": t.km, "tel": tel, "plate": plate, "channel": t.channel, "moment": t.moment,
		"state": t.state, "lane": t.lane, "kind": t.kind, "n": groups, "tone": tone, "customerURL": customerURL,
		"task": t.task, "since": t.since,
	}).ParseFS(web, "web/*.html"))
	return t
}

// tongueFor returns Chinese for zh-* and English for every other locale.
func tongueFor(locale string) *tongue {
	if strings.HasPrefix(strings.ToLower(locale), "zh") {
		return chinese
	}
	return english
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Chinese})

// accepted returns the language a browser asks for.
func accepted(r *http.Request) *tongue {
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return english
	}
	if _, i, _ := languages.Match(tags...); i == 1 {
		return chinese
	}
	return english
}

// say picks the words of the language and fills them in as fmt.Sprintf does.
func (t *tongue) say(en, zh string, args ...any) string {
	words := en
	if t.zh {
		words = zh
	}
	if len(args) == 0 {
		return words
	}
	return fmt.Sprintf(words, args...)
}

var weekdays = [...]string{"星期日", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六"}

// date writes a date with its weekday, as people do.
func (t *tongue) date(d care.Date) string {
	if d.IsZero() {
		return ""
	}
	at := time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, time.UTC)
	if t.zh {
		return fmt.Sprintf("%d年%d月%d日 %s", d.Year(), int(d.Month()), d.Day(), weekdays[at.Weekday()])
	}
	return at.Format("Monday, 2 January 2006")
}

// moment writes an instant for the console, in UTC unless it carries a zone of its own.
func (t *tongue) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format("2006-01-02 15:04")
}

func (t *tongue) km(n int) string { return t.say("%s km", "%s 公里", groups(n)) }

// groups writes a number with a comma after every third digit.
func groups(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (t *tongue) channel(ch care.Channel) string {
	switch ch {
	case care.Email:
		return t.say("e-mail", "邮件")
	case care.SMS:
		return t.say("text message", "短信")
	}
	return string(ch)
}

var stateWords = map[care.State]string{
	care.StateDue: "待发", care.StateClaimed: "处理中", care.StateSending: "发送中", care.StateSent: "已发出", care.StateDelivered: "已送达",
	care.StateUndelivered: "未送达", care.StateRetry: "重试中", care.StateFailed: "失败", care.StateExpired: "已过期", care.StateSkipped: "未发",
	care.StateUncertain: "结果不明",
}

func (t *tongue) state(s care.State) string {
	if zh := stateWords[s]; t.zh && zh != "" {
		return zh
	}
	return string(s)
}

// lane writes the name of a lane in words.
func (t *tongue) lane(name string) string {
	for _, l := range care.Lanes {
		if l.String() != name {
			continue
		}
		if l.Urgent {
			return t.channel(l.Channel) + t.say(", safety and service", "：安全与用车")
		}
		return t.channel(l.Channel) + t.say(", the rest", "：其他")
	}
	return name
}

var kindWords = map[string][2]string{
	KindSurvey: {"survey answered", "问卷回答"}, KindRSVP: {"invitation answered", "活动回复"}, KindOdometer: {"mileage reported", "上报里程"},
	KindSold: {"car sold", "车已卖出"}, KindNotMe: {"wrong person", "非本人"}, KindOptOut: {"opted out", "退订"}, KindOptIn: {"opted in", "重新订阅"},
	KindPreferences: {"preferences changed", "修改偏好"}, KindReply: {"wrote back", "回复"}, KindTask: {"task for the advisor", "顾问待办"},
	care.KindTaskDone: {"task done", "待办完成"},
}

func (t *tongue) kind(k string) string {
	words, ok := kindWords[k]
	if !ok {
		return k
	}
	return t.say(words[0], words[1])
}

// tel makes a link that phones dial. Only digits and a plus get through, so it is safe as a URL.
func tel(phone string) template.URL {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '+' {
			return r
		}
		return -1
	}, phone)
	return template.URL("tel:" + digits) //nolint:gosec // digits and a plus only
}

// plate shows enough of a number plate for its owner and too little for anybody else.
func plate(s string) string {
	r := []rune(strings.NewReplacer("·", "", " ", "", "-", "").Replace(s))
	switch n := len(r); {
	case n == 0:
		return ""
	case n < 5:
		return strings.Repeat("•", n)
	default:
		return string(r[:2]) + strings.Repeat("•", n-3) + string(r[n-1])
	}
}

// view is what every page shows.
type view struct {
	Title  string
	Dealer string
	Phone  string
	Tone   string // ok or warn: the colour of the page's head; "" = plain
	Lead   string // a sentence under the title
	Wide   bool   // of the console
}

// write sends a page, whole or not at all.
func write(w http.ResponseWriter, log *slog.Logger, t *tongue, status int, page string, data any) {
	var b bytes.Buffer
	if err := t.pages.ExecuteTemplate(&b, page, data); err != nil {
		log.Error("a page could not be made", slog.String("page", page), slog.Any("error", err))
		plain(w, http.StatusInternalServerError, "Sorry, this page is broken. 抱歉，页面出错了。\n")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", t.tag)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
