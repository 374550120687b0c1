package webhook

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

func TestPresetOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Preset{
		"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1":   WeCom,
		"https://oapi.dingtalk.com/robot/send?access_token=1":      DingTalk,
		"https://open.feishu.cn/open-apis/bot/v2/hook/1":           Feishu,
		"https://OPEN.FEISHU.CN/open-apis/bot/v2/hook/1":           Feishu,
		"https://hooks.example/":                                   Standard,
		"https://qyapi.weixin.qq.com.evil.example/cgi-bin/webhook": Standard,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := presetOf(u); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestBotBodies(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 0)
	tests := map[string]struct {
		preset Preset
		secret string
		m      care.Message
		want   string
		bad    bool
	}{
		"wecom":             {WeCom, "", care.Message{Text: []byte("您好")}, `{"msgtype":"text","text":{"content":"您好"}}`, false},
		"wecom, subject":    {WeCom, "", care.Message{Subject: "您好"}, `{"msgtype":"text","text":{"content":"您好"}}`, false},
		"wecom, fits":       {WeCom, "", care.Message{Text: []byte(strings.Repeat("车", 682) + "ab")}, `{"msgtype":"text","text":{"content":"` + strings.Repeat("车", 682) + `ab"}}`, false},
		"wecom, too long":   {WeCom, "", care.Message{Text: []byte(strings.Repeat("车", 683))}, `{"msgtype":"text","text":{"content":"` + strings.Repeat("车", 681) + `…"}}`, false},
		"no text":           {WeCom, "", care.Message{}, "", true},
		"dingtalk":          {DingTalk, "s", care.Message{Text: []byte(`a"b`)}, `{"msgtype":"text","text":{"content":"a\"b"}}`, false},
		"feishu":            {Feishu, "", care.Message{Text: []byte("x")}, `{"content":{"text":"x"},"msg_type":"text"}`, false},
		"feishu, signed":    {Feishu, "demo", care.Message{Text: []byte("x")}, `{"content":{"text":"x"},"msg_type":"text","sign":"8oT2n3SMKFfEnDoiwer8BUM/SjKLwe9SqoEIHlhDTKo=","timestamp":"1700000000"}`, false},
		"feishu, template":  {Feishu, "demo", care.Message{Body: []byte(`{"msg_type":"post"}`)}, `{"msg_type":"post","sign":"8oT2n3SMKFfEnDoiwer8BUM/SjKLwe9SqoEIHlhDTKo=","timestamp":"1700000000"}`, false},
		"feishu, no object": {Feishu, "demo", care.Message{Body: []byte(`[]`)}, "", true},
		"template":          {WeCom, "", care.Message{Body: []byte(`{"msgtype":"markdown"}`), Text: []byte("x")}, `{"msgtype":"markdown"}`, false},
	}
	for name, tt := range tests {
		s := &Sender{botSecret: tt.secret}
		got, _, err := s.body(tt.preset, &tt.m, at)
		if (err != nil) != tt.bad {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, string(got)); err == nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestLongTextsAreCut: at a character, with where the rest stands, for every bot; nothing is dropped for its length.
func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	for preset, most := range botTexts {
		for _, text := range []string{strings.Repeat("车", 20_000), strings.Repeat("a", 60_000), strings.Repeat("a\"<\n", 20_000), strings.Repeat("😀", 9_999)} {
			got := cut(text, most, "https://care.example/tasks")
			if len(got) > most || !utf8.ValidString(got) || !strings.HasSuffix(got, "…\nhttps://care.example/tasks") || len(got) < most-4 {
				t.Errorf("%s: %d bytes, ending in %q", preset, len(got), got[len(got)-40:])
			}
			body, err := botText(preset, text)
			if err != nil || len(body) > limits[preset]+limits[preset] {
				t.Errorf("%s: a body of %d bytes, %v", preset, len(body), err)
			}
		}
	}
}

func TestTheBotsWordsAreTold(t *testing.T) {
	t.Parallel()
	e := judge(&httpclient.Answer{Status: 200, Body: []byte(`{"code":19024,"msg":"Key Words Not Found"}`)}, Feishu, time.Time{})
	if e == nil || e.Said != "Key Words Not Found" {
		t.Errorf("%v", e)
	}
}

func TestBotAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		preset Preset
		body   string
		kind   care.Kind
	}{
		{WeCom, `{"errcode":0,"errmsg":"ok"}`, ""},
		{WeCom, `{"errcode":45009}`, care.KindRetry},
		{WeCom, `{"errcode":93000}`, care.KindOperator},
		{WeCom, `{"errcode":-1}`, care.KindUncertain},
		{WeCom, ``, care.KindUncertain},
		{WeCom, `{}`, care.KindUncertain},
		{DingTalk, `{"errcode":0}`, ""},
		{DingTalk, `{"errcode":130101}`, care.KindRetry},
		{DingTalk, `{"errcode":310000}`, care.KindOperator},
		{Feishu, `{"code":0,"msg":"success"}`, ""},
		{Feishu, `{"StatusCode":0}`, ""},
		{Feishu, `{"code":19021}`, care.KindOperator},
		{Feishu, `{"code":11232}`, care.KindRetry},
		{Feishu, `{"code":4711}`, care.KindRetry},
		{Feishu, `{"code":19024,"data":{},"msg":"Key Words Not Found"}`, care.KindOperator},
		{Feishu, `{"code":19022,"msg":"Ip Not Allowed"}`, care.KindOperator},
		{DingTalk, `{"errcode":300005,"errmsg":"token is not exist"}`, care.KindOperator},
	} {
		e := judge(&httpclient.Answer{Status: 200, Body: []byte(tt.body)}, tt.preset, time.Time{})
		switch {
		case e == nil && tt.kind != "", e != nil && e.Kind != tt.kind:
			t.Errorf("%s %s: %v, want %q", tt.preset, tt.body, e, tt.kind)
		}
	}
}

// TestDingTalkSignsTheURL looks at the request of each try.
func TestDingTalkSignsTheURL(t *testing.T) {
	t.Parallel()
	s := &Sender{botSecret: "SEC000000000000000000000", cfg: Config{Clock: func() time.Time { return time.UnixMilli(1700000000000) }}}
	r, preset, err := s.request(&care.Message{ID: "x", Channel: care.Webhook, To: "https://oapi.dingtalk.com/robot/send?access_token=tok", Text: []byte("x")})
	if err != nil || preset != DingTalk || r.Repeat {
		t.Fatalf("%s, repeat %v, %v", preset, r.Repeat, err)
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	req := newRequest(t, u)
	if err := r.Prepare(req); err != nil {
		t.Fatal(err)
	}
	want := "access_token=tok&sign=1zJ%2Fw34EOSVAYr7cu7Vo8LnebmK2%2FGrCgegtr8mQrqM%3D&timestamp=1700000000000"
	if req.URL.RawQuery != want || req.Header.Get("webhook-id") != "" {
		t.Errorf("query %s", req.URL.RawQuery)
	}
	if u.RawQuery != "access_token=tok" {
		t.Error("the shared URL was changed")
	}
}
