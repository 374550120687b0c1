//go:build e2e

package e2e

import (
	"html"
	"net/http"
	"net/smtp"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
)

// sendMail is a plain client of the house's mail server.
func (h *house) sendMail(from, to, text string) {
	h.t.Helper()
	if err := smtp.SendMail(h.mail.Addr(), nil, from, []string{to}, []byte(text)); err != nil {
		h.t.Fatal(err)
	}
}

// A mail provider posts to the link of the real mail's header and the next mail does not go; whoever only looks at the link (a scanner,
// a preview) changes nothing.
func TestOneClickUnsubscribe(t *testing.T) {
	o := open(t, true)
	looks, leaves := o.person("LOOKS", care.Email, o.newCar), o.person("LEAVES", care.Email, o.newCar)
	o.put([]care.Customer{looks, leaves})
	o.serve()
	for _, c := range []care.Customer{looks, leaves} {
		header := o.mailed(c, 1)[0].Envelope.GetHeader
		address := strings.Trim(header("List-Unsubscribe"), "<>")
		if header("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" || !strings.HasPrefix(address, o.public+"/u/") {
			t.Fatalf("%s: List-Unsubscribe %q, List-Unsubscribe-Post %q", c.ID, address, header("List-Unsubscribe-Post"))
		}
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			if code, _ := o.fetch(method, address, ""); code != http.StatusOK {
				t.Errorf("%s: %d", method, code)
			}
		}
		if c.ID == leaves.ID {
			if code, body := o.fetch(http.MethodPost, address, "List-Unsubscribe=One-Click"); code != http.StatusOK {
				t.Errorf("POST: %d %.200s", code, body)
			}
		}
	}
	if e := o.told(leaves.ID, "opt_out"); e.Value != "email" {
		t.Errorf("the opt-out is %+v", e)
	}
	o.bornToday(&looks)
	o.bornToday(&leaves)
	o.put([]care.Customer{looks, leaves})
	o.mailed(looks, 2)
	if got := o.verdict(leaves.ID, "birthday"); !strings.HasSuffix(got, "opted_out") {
		t.Errorf("after one click the next mail is planned as %q", got)
	}
	if n := len(o.mailOf(leaves)); n != 1 {
		t.Errorf("%d mails to somebody who left after the first", n)
	}
}

// The survey's link in a mail opens the page; a bad answer stops what else would go and gives a person a task. A text asks for a reply
// instead: a link would take a part of its own.
func TestABadAnswerReachesAPerson(t *testing.T) {
	o := open(t, true)
	byMail, byText, glad := o.person("BYMAIL", care.Email, o.afterVisit), o.person("BYTEXT", care.SMS, o.afterVisit), o.person("GLAD", care.Email, o.afterVisit)
	o.put([]care.Customer{byMail, byText, glad})
	o.serve()
	links := map[string]string{
		byMail.ID: o.link(o.mailed(byMail, 1)[0].Text, "s"), glad.ID: o.link(o.mailed(glad, 1)[0].HTML, "s"),
	}
	if text := o.texted(byText, 1)[0]; !strings.Contains(text, "回复1到5") || strings.Contains(text, o.public) {
		t.Errorf("the text is %q", text)
	}
	for id, address := range links {
		if code, body := o.fetch(http.MethodGet, address, ""); code != http.StatusOK || !strings.Contains(body, `name="promise"`) || strings.Contains(body, "王小明") {
			t.Fatalf("%s: %d %.300s", id, code, body)
		}
		form := "promise=5&skill=5"
		if id != glad.ID {
			form = "promise=1&text=" + "%E5%93%8D%E5%A3%B0%E8%BF%98%E5%9C%A8" // 响声还在
		}
		if code, body := o.fetch(http.MethodPost, address, form); code != http.StatusOK {
			t.Fatalf("%s: POST %d %.300s", id, code, body)
		}
		o.told(id, "survey")
	}
	if code, body := o.fetch(http.MethodGet, links[glad.ID], ""); code != http.StatusOK || strings.Contains(body, `name="promise"`) {
		t.Errorf("a survey that is answered can be answered again: %d", code)
	}
	if e := o.told(byMail.ID, "task"); e.Reason != "complaint" {
		t.Errorf("the task is %+v", e)
	}
	o.bornToday(&byMail)
	o.bornToday(&glad)
	o.put([]care.Customer{byMail, glad})
	o.mailed(glad, 2)
	if got := o.verdict(byMail.ID, "birthday"); !strings.HasSuffix(got, "hold:complaint") {
		t.Errorf("after a bad answer a wish is planned as %q", got)
	}
	if len(o.mailOf(byMail)) != 1 {
		t.Error("somebody who complained was written to")
	}
	if code, _ := o.fetch(http.MethodGet, o.public+"/s/"+strings.Repeat("x", 40), ""); code != http.StatusNotFound {
		t.Errorf("a made-up link: %d", code)
	}
}

// Whoever does not want to leave chooses: by channel, by class and how often, without script, in both languages. What was chosen holds for
// the next message.
func TestPreferencesAreKept(t *testing.T) {
	o := open(t, true)
	words := map[string][]string{
		"zh-CN": {"可以用哪些方式联系您", "希望通过邮件收到哪些内容", "希望通过短信收到哪些内容", "最多多久一次", "已保存"},
		"en":    {"How we may write to you", "What you would like to get by e-mail", "What you would like to get by text message", "How often at most", "Saved"},
	}
	var all []care.Customer
	for _, locale := range []string{"zh-CN", "en"} {
		c := o.person("CHOOSES-"+strings.ToUpper(locale[:2]), care.Email, o.newCar)
		c.Locale = locale
		all = append(all, c)
	}
	o.put(all)
	o.serve()
	for _, c := range all {
		said := words[c.Locale]
		address := o.link(o.mailed(c, 1)[0].HTML, "u")
		_, page := o.fetch(http.MethodGet, address, "")
		if strings.Contains(page, "<script") {
			t.Error("the page has a script")
		}
		for _, word := range said[:4] {
			if !strings.Contains(page, word) {
				t.Errorf("%s: the page lacks %q", c.Locale, word)
			}
		}
		form := url.Values{"do": {"save"}, "limit": {"1"}}
		for _, m := range regexp.MustCompile(`<input type="(?:hidden|checkbox)" name="([^"]+)" value="([^"]*)"( checked)?>`).FindAllStringSubmatch(page, -1) {
			if m[1] == "was" || m[3] != "" {
				form.Set(m[1], html.UnescapeString(m[2]))
			}
		}
		if !form.Has("kind:email/care") || form.Has("kind:sms/care") {
			t.Fatalf("%s: the page shows %v", c.Locale, form)
		}
		form.Del("kind:email/care")
		if code, done := o.fetch(http.MethodPost, address, form.Encode()); code != http.StatusOK || !strings.Contains(done, said[4]) {
			t.Errorf("%s: %d %.300s", c.Locale, code, done)
		}
		if e := o.told(c.ID, "preferences"); e.Value != "-email/care max_per_week=1" {
			t.Errorf("%s: told %+v", c.Locale, e)
		}
		// A birthday wish is of the class care.
		o.bornToday(&c)
		o.put([]care.Customer{c})
		if got := o.verdict(c.ID, "birthday"); !strings.HasSuffix(got, "opted_out") {
			t.Errorf("%s: the wish is planned as %q", c.Locale, got)
		}
	}
}
