package main

import (
	"strings"
	"testing"
)

func TestLanguage(t *testing.T) {
	t.Setenv("LC_ALL", "")
	for _, tt := range []struct{ flag, all, messages, lang, want string }{
		{want: "en"},
		{flag: "en", all: "zh_CN.UTF-8", want: "en"},
		{flag: "EN", want: "en"},
		{flag: "zh", want: "zh-CN"},
		{flag: "ZH-cn", want: "zh-CN"},
		{all: "zh_CN.UTF-8", lang: "en_US.UTF-8", want: "zh-CN"},
		{all: "C", lang: "zh_CN.UTF-8", want: "en"},
		{all: "C.UTF-8", want: "en"},
		{messages: "zh_TW", lang: "C", want: "zh-CN"},
		{lang: "zh.UTF-8", want: "zh-CN"},
		{lang: "zh@latin", want: "zh-CN"},
		{lang: "fr_FR.UTF-8", want: "en"},
	} {
		t.Setenv("LC_ALL", tt.all)
		t.Setenv("LC_MESSAGES", tt.messages)
		t.Setenv("LANG", tt.lang)
		if got, err := language(tt.flag); got != tt.want || err != nil {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
	for _, flag := range []string{"fr", "zh-TW", "en-GB", "-"} {
		if _, err := language(flag); err == nil || !strings.HasSuffix(err.Error(), ": it is zh-CN or en") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
