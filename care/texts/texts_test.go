package texts_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
)

func TestFor(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{
		"en": "en", "en-GB": "en", "zh-CN": "zh-CN", "ZH-cn": "zh-CN", "zh": "zh-CN", "zh-TW": "zh-CN", "zh_HK": "zh-CN", "fr": "en", "": "en", "zhx": "en",
	} {
		if got := texts.For(locale).Tag(); got != want {
			t.Errorf("%q: %s, want %s", locale, got, want)
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "en", "zh-CN,zh;q=0.9,en;q=0.8": "zh-CN", "en-US,en;q=0.9,zh;q=0.8": "en", "zh-CN,fr;q=0.5": "zh-CN", "fr": "en", "fr,zh;q=0.5": "zh-CN", "\x00": "en",
	} {
		if got := texts.Accepted(header).Tag(); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestT(t *testing.T) {
	t.Parallel()
	en, zh := texts.For("en"), texts.For("zh-CN")
	for _, tt := range []struct{ got, want string }{
		{en.T("preferences.limit", "count", 1), "one message a week"},
		{en.T("preferences.limit", "count", 2), "2 messages a week"},
		{zh.T("preferences.limit", "count", 1), "每周 1 条"},
		{en.T("console.tasks.open", "count", 1234567), "1,234,567 open"},
		{en.T("rsvp.late", "date", "Monday"), "Answers were due by Monday. Please call us."},
		{en.T("no.such.key"), "no.such.key"},
		{zh.T("page.your_car", "odd"), "您的爱车"},
		{en.Word("state", "delivered"), "delivered"},
		{zh.Word("state", "delivered"), "已送达"},
		{zh.Word("state", "of the future"), "of the future"},
		{texts.Every("page.try_again"), "Please try again in a minute. 请一分钟后再试。"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestDatesAndSpans(t *testing.T) {
	t.Parallel()
	en, zh := texts.For("en"), texts.For("zh-CN")
	day := care.NewDate(2026, 11, 2)
	for _, tt := range []struct{ got, want string }{
		{en.Date(day), "Monday, 2 November 2026"},
		{zh.Date(day), "2026年11月2日 星期一"},
		{en.Date(care.Date{}), ""},
		{en.Span(-time.Hour), "0 min"},
		{en.Span(59 * time.Minute), "59 min"},
		{en.Span(47 * time.Hour), "47 h"},
		{en.Span(48 * time.Hour), "2 days"},
		{zh.Span(90 * 24 * time.Hour), "90 天"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	// The layout of Go's own names the same day.
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0).UTC()
		if got, want := en.Date(care.DateOf(at)), at.Format("Monday, 2 January 2006"); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// TestEveryStateHasAWord: a state that is new has a word in every language.
func TestEveryStateHasAWord(t *testing.T) {
	t.Parallel()
	for _, l := range texts.All() {
		for _, s := range care.States {
			if l.T("state."+string(s)) == "state."+string(s) {
				t.Errorf("%s has no word for the state %s", l.Tag(), s)
			}
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -999: "-999", -1234567: "-1,234,567", 100000: "100,000"} {
		if got := texts.Number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
