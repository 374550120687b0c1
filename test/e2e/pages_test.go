//go:build e2e

package e2e

import (
	"net/http"
	"net/smtp"
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

// The survey's link in a mail and in a text opens the page; a bad answer stops what else would go and gives a person a task.
func TestABadAnswerReachesAPerson(t *testing.T) {
	o := open(t, true)
	byMail, byText, glad := o.person("BYMAIL", care.Email, o.afterVisit), o.person("BYTEXT", care.SMS, o.afterVisit), o.person("GLAD", care.Email, o.afterVisit)
	o.put([]care.Customer{byMail, byText, glad})
	o.serve()
	links := map[string]string{
		byMail.ID: o.link(o.mailed(byMail, 1)[0].Text, "s"), glad.ID: o.link(o.mailed(glad, 1)[0].HTML, "s"), byText.ID: o.link(o.texted(byText, 1)[0], "s"),
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
	for _, c := range []*care.Customer{&byMail, &byText, &glad} {
		if c.ID != glad.ID {
			if e := o.told(c.ID, "task"); e.Reason != "complaint" {
				t.Errorf("%s: the task is %+v", c.ID, e)
			}
		}
		o.bornToday(c)
	}
	o.put([]care.Customer{byMail, byText, glad})
	o.mailed(glad, 2)
	for _, c := range []care.Customer{byMail, byText} {
		if got := o.verdict(c.ID, "birthday"); !strings.HasSuffix(got, "hold:complaint") {
			t.Errorf("%s: after a bad answer a wish is planned as %q", c.ID, got)
		}
	}
	if len(o.mailOf(byMail)) != 1 || len(o.texts()[byText.Phone]) != 1 {
		t.Error("somebody who complained was written to")
	}
	if code, _ := o.fetch(http.MethodGet, o.public+"/s/"+strings.Repeat("x", 40), ""); code != http.StatusNotFound {
		t.Errorf("a made-up link: %d", code)
	}
}
