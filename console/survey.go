package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
)

const textKept = 2000 // characters of what a customer wrote

// question is one of the five that the trade asks after a visit, with the answer given so far.
type question struct {
	Name, Label string
	Value       int
	Scores      []int
}

var scores = []int{1, 2, 3, 4, 5}

// questions are the promise kept 信度, responsiveness 效度, expertise 精度, attitude 态度 and the customer's own standard 法度.
func questions(t *locale) []question {
	return []question{
		{Name: "promise", Label: t.T("survey.question.promise"), Scores: scores},
		{Name: "response", Label: t.T("survey.question.response"), Scores: scores},
		{Name: "skill", Label: t.T("survey.question.skill"), Scores: scores},
		{Name: "attitude", Label: t.T("survey.question.attitude"), Scores: scores},
		{Name: "standard", Label: t.T("survey.question.standard"), Scores: scores},
	}
}

type surveyView struct {
	view
	Car       *care.Vehicle
	Questions []question
	Text      string
	Error     string
}

// hasAnswered answers for a survey that was answered before: one use.
func (p *Public) hasAnswered(w http.ResponseWriter, v *visit) bool {
	if answerTo(v.facts.Overlay, KindSurvey, v.token.Occurrence) == nil {
		return false
	}
	p.note(w, v, http.StatusOK, v.view(v.t.T("survey.again.title"),
		v.t.T("survey.again.lead"), "ok"))
	return true
}

func (p *Public) showSurvey(w http.ResponseWriter, _ *http.Request, v *visit) {
	if !p.hasAnswered(w, v) {
		p.survey(w, v, http.StatusOK, questions(v.t), "", "")
	}
}

func (p *Public) survey(w http.ResponseWriter, v *visit, status int, asked []question, text, wrong string) {
	write(w, p.Log, v.t, status, "survey", surveyView{
		view: v.view(v.t.T("survey.title"), v.t.T("survey.lead"), ""),
		Car:  v.facts.Vehicle, Questions: asked, Text: text, Error: wrong,
	})
}

// takeSurvey keeps the first answer to a message. A bad one opens a hold and gives a person a task.
func (p *Public) takeSurvey(w http.ResponseWriter, r *http.Request, v *visit) {
	if p.hasAnswered(w, v) {
		return
	}
	asked, text := questions(v.t), clean(r.PostForm.Get("text"), textKept)
	var given []string
	unhappy := complaintWords.in(text)
	for i := range asked {
		q := &asked[i]
		n, err := strconv.Atoi(r.PostForm.Get(q.Name))
		if err != nil || !slices.Contains(scores, n) {
			continue
		}
		q.Value = n
		given = append(given, q.Name+"="+strconv.Itoa(n))
		unhappy = unhappy || n <= bad
	}
	if len(given) == 0 && text == "" {
		p.survey(w, v, http.StatusUnprocessableEntity, asked, text, v.t.T("survey.missing"))
		return
	}
	if err := p.keepSurvey(r.Context(), v, strings.Join(given, " "), text, unhappy); err != nil {
		p.failed(w, v, KindSurvey, err)
		return
	}
	if unhappy {
		lead := v.t.T("survey.sorry.lead")
		if v.facts.Advisor != "" {
			lead = v.t.T("survey.sorry.lead.advisor", "advisor", v.facts.Advisor)
		}
		p.note(w, v, http.StatusOK, v.view(v.t.T("survey.sorry.title"), lead, ""))
		return
	}
	p.note(w, v, http.StatusOK, v.view(v.t.T("survey.thanks.title"), v.t.T("survey.thanks.lead"), "ok"))
}
