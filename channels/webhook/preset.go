package webhook

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/answer"
)

// Preset is the form of request and answer that an endpoint wants.
type Preset string

// The presets. Without one the endpoint's URL decides; any other host takes Standard Webhooks.
const (
	Standard    Preset = "standard"
	WeCom       Preset = "wecom"
	DingTalk    Preset = "dingtalk"
	Feishu      Preset = "feishu"
	CloudEvents Preset = "cloudevents"
)

func (p Preset) known() bool {
	switch p {
	case "", Standard, WeCom, DingTalk, Feishu, CloudEvents:
		return true
	}
	return false
}

func (p Preset) bot() bool { return p == WeCom || p == DingTalk || p == Feishu }

// presetOf recognises the group bots by host and path, as their makers document them.
func presetOf(u *url.URL) Preset {
	switch strings.ToLower(u.Hostname()) {
	case "qyapi.weixin.qq.com":
		return WeCom
	case "oapi.dingtalk.com":
		return DingTalk
	case "open.feishu.cn", "open.larksuite.com":
		return Feishu
	}
	return Standard
}

// limits are the largest bodies, in bytes: of a bot as its maker says, else a bound of our own above the 20 KB that Standard
// Webhooks recommends.
var limits = map[Preset]int{WeCom: 4 << 10, DingTalk: 20_000, Feishu: 20 << 10, Standard: 64 << 10, CloudEvents: 64 << 10}

// botTexts are the longest texts of the group bots, in bytes: WeCom's own bound, and for the others what leaves room for escapes in their
// bodies (limits).
var botTexts = map[Preset]int{WeCom: 2048, DingTalk: 9_000, Feishu: 9_000}

// cut shortens a text to so many bytes, at a character, with "…" and where the whole of it stands ("" = nowhere). What a customer wrote at
// length must not be lost for its length.
func cut(s string, most int, more string) string {
	if len(s) <= most {
		return s
	}
	end := "…"
	if more != "" {
		end += "\n" + more
	}
	at := max(most-len(end), 0)
	for at > 0 && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + end
}

// data is a message as a system sees it when the template gives no body of its own.
type data struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Dealer   string `json:"dealer"`
	Vehicle  string `json:"vehicle,omitempty"`
	Program  string `json:"program"`
	Step     string `json:"step"`
	Class    string `json:"class"`
	Topic    string `json:"topic,omitempty"`
	Locale   string `json:"locale,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Text     string `json:"text,omitempty"`
}

func dataOf(m *care.Message) data {
	return data{
		ID: m.ID, Customer: m.Customer, Dealer: m.Dealer, Vehicle: m.Vehicle, Program: m.Program, Step: m.Step,
		Class: string(m.Class), Topic: m.Topic, Locale: m.Locale, Subject: m.Subject, Text: string(m.Text),
	}
}

// envelope is the body of Standard Webhooks.
type envelope struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data"`
}

// cloudEvent is the structured mode of CloudEvents 1.0 in JSON.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Time        string          `json:"time"`
	ContentType string          `json:"datacontenttype"`
	Data        json.RawMessage `json:"data"`
}

// body returns the request's body and its type.
func (s *Sender) body(p Preset, m *care.Message, at time.Time) (body []byte, contentType string, err error) {
	contentType = "application/json"
	switch {
	case p == CloudEvents:
		inner := m.Body
		if len(inner) == 0 {
			if inner, err = json.Marshal(dataOf(m)); err != nil {
				return nil, "", err
			}
		}
		body, err = json.Marshal(cloudEvent{
			SpecVersion: "1.0", ID: m.WireID(), Source: "/carebell/" + url.PathEscape(m.Dealer), Type: "carebell." + m.Program + "." + m.Step,
			Time: at.UTC().Format(time.RFC3339), ContentType: "application/json", Data: inner,
		})
		contentType = "application/cloudevents+json"
	case len(m.Body) > 0:
		body = m.Body
	case p.bot():
		body, err = botText(p, text(m))
	default:
		body, err = json.Marshal(envelope{Type: "care." + m.Program, Timestamp: at.UTC().Format(time.RFC3339), Data: dataOf(m)})
	}
	if err == nil && p == Feishu && s.botSecret != "" {
		body, err = feishuBody(body, s.botSecret, at)
	}
	return body, contentType, err
}

func text(m *care.Message) string {
	if len(m.Text) > 0 {
		return string(m.Text)
	}
	return m.Subject
}

// botText writes a plain text message for a group bot.
func botText(p Preset, s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("the message has no text")
	}
	s = cut(s, botTexts[p], "")
	content := map[string]string{"content": s}
	if p == Feishu {
		return json.Marshal(map[string]any{"msg_type": "text", "content": map[string]string{"text": s}})
	}
	return json.Marshal(map[string]any{"msgtype": "text", "text": content})
}

// feishuBody adds the signature, which Feishu wants inside of the body.
func feishuBody(body []byte, secret string, at time.Time) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, errors.New("the body is no JSON object")
	}
	for name, value := range map[string]string{"timestamp": strconv.FormatInt(at.Unix(), 10), "sign": feishuSign(secret, at)} {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = raw
	}
	return json.Marshal(fields)
}

// botAnswer reads a bot's own code, which comes with HTTP 200.
func botAnswer(body []byte) *care.Error {
	var a struct {
		ErrCode *int   `json:"errcode"`
		Code    *int   `json:"code"`
		Status  *int   `json:"StatusCode"` // Feishu's older answer
		ErrMsg  string `json:"errmsg"`
		Msg     string `json:"msg"`
	}
	code := -1
	if json.Unmarshal(body, &a) == nil {
		for _, c := range []*int{a.ErrCode, a.Code, a.Status} {
			if c != nil {
				code = *c
				break
			}
		}
	}
	if code == 0 {
		return nil
	}
	e := &care.Error{Kind: care.KindRetry, Code: strconv.Itoa(code), Err: errors.New("the bot refused the message"), Said: answer.Words(cmp.Or(a.ErrMsg, a.Msg))}
	if code == -1 {
		// 200 without a code: it may have been posted.
		return &care.Error{Kind: care.KindUncertain, Code: "no_answer", Err: errors.New("the bot's answer cannot be read")}
	}
	switch strconv.Itoa(code) {
	case "45009", "130101", "11232": // too fast, at WeCom, DingTalk and Feishu
		e.RetryAfter = time.Minute
	case "93000", "310000", "19021", "19022", "19024", "300001", "300005", "400101", "400102", "400013": // key, security setting, keyword or signature
		e.Kind = care.KindOperator
	case "40008", "40058", "44004", "9499": // the message's form
		e.Kind = care.KindContent
	}
	return e
}
