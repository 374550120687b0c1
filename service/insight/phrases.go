package insight

import (
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/scheduler"
)

// Reason says in words what a reason means: "hold:complaint" as "a hold is in force (complaint)". What nobody has words for stays as
// it is.
func Reason(reason, locale string) string {
	t := texts.For(locale)
	name, more, _ := strings.Cut(reason, ":")
	word := t.Word("reason", name)
	switch {
	case word == name:
		return reason
	case more != "":
		return t.T("explain.reason_more", "reason", word, "more", more)
	}
	return word
}

// ChannelName names a channel in a person's language.
func ChannelName(ch care.Channel, locale string) string {
	return texts.For(locale).Word("report.channel", string(ch))
}

// ClassName names a class in a person's language.
func ClassName(c care.Class, locale string) string {
	return texts.For(locale).Word("class", string(c))
}

// CapName says whose cap it is.
func CapName(c scheduler.Cap, locale string) string {
	t := texts.For(locale)
	if grade, ok := strings.CutPrefix(c.By(), "grade:"); ok {
		return t.T("cap.grade", "grade", grade)
	}
	if c.By() == "customer" {
		return t.T("cap.customer")
	}
	return t.T("cap.dealer")
}
