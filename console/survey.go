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
func questions(t *tongue) []question {
	return []question{
		{Name: "promise", Label: t.say("We did what we promised", "说到的都做到了"), Scores: scores},
		{Name: "response", Label: t.say("We were quick to answer and to act", "响应及时，办事利落"), Scores: scores},
		{Name: "skill", Label: t.say("We know our trade", "技术专业，活儿到位"), Scores: scores},
		{Name: "attitude", Label: t.say("We were friendly and took you seriously", "态度亲切，把您的话当回事"), Scores: scores},
		{Name: "standard", Label: t.say("It was as you like it to be", "整体合乎您的标准"), Scores: scores},
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
	p.note(w, v, http.StatusOK, v.view(v.t.say("You have already answered. Thank you", "您已经答过了，谢谢"),
		v.t.say("Your answer is with us.", "您的回答我们已经收到。"), "ok"))
	return true
}

func (p *Public) showSurvey(w http.ResponseWriter, _ *http.Request, v *visit) {
	if !p.hasAnswered(w, v) {
		p.survey(w, v, http.StatusOK, questions(v.t), "", "")
	}
}

func (p *Public) survey(w http.ResponseWriter, v *visit, status int, asked []question, text, wrong string) {
	write(w, p.Log, v.t, status, "survey", surveyView{
		view: v.view(v.t.say("How did we do?", "我们做得怎么样？"), v.t.say("1 is not at all, 5 is very much. Leave out what does not fit.",
			"1 分很不满意，5 分非常满意；不合适的题可以不答。"), ""),
		Car: v.facts.Vehicle, Questions: asked, Text: text, Error: wrong,
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
		p.survey(w, v, http.StatusUnprocessableEntity, asked, text, v.t.say("Please choose a number or write a word.", "请至少选一个分数，或写一句话。"))
		return
	}
	if err := p.keepSurvey(r.Context(), v, strings.Join(given, " "), text, unhappy); err != nil {
		p.failed(w, v, KindSurvey, err)
		return
	}
	if unhappy {
		lead := v.t.say("Your words have gone straight to a person who will speak with you. Until then we send you nothing else.",
			"您的话已直接转给专人，会与您联系。在此之前，我们不再发送其他消息。")
		if v.facts.Advisor != "" {
			lead = v.t.say("Your words have gone straight to %s, who will speak with you. Until then we send you nothing else.",
				"您的话已直接转给%s，会与您联系。在此之前，我们不再发送其他消息。", v.facts.Advisor)
		}
		p.note(w, v, http.StatusOK, v.view(v.t.say("We are sorry", "非常抱歉"), lead, ""))
		return
	}
	p.note(w, v, http.StatusOK, v.view(v.t.say("Thank you", "谢谢您"), v.t.say("Each answer is read by a person.", "每一份回答都有人认真读。"), "ok"))
}
