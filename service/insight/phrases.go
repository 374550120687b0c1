package insight

import (
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
)

// phrase is a text in the languages of the command line and its pages.
type phrase struct{ en, zh string }

func (p phrase) in(locale string) string {
	if strings.HasPrefix(locale, "zh") && p.zh != "" {
		return p.zh
	}
	return p.en
}

// reasonPhrases say what each gate means for a person who has not read the design.
var reasonPhrases = map[string]phrase{
	"expired":             {"too late to be worth sending", "已过时效"},
	"sold":                {"the car was sold", "车辆已售出"},
	"serviced":            {"a visit has ended the round", "已进厂，本轮结束"},
	"appointment":         {"an appointment is made", "已有预约"},
	"superseded":          {"a later step took its place", "已被后续步骤取代"},
	"duplicate_household": {"somebody in the household gets it", "同一家庭已有人收到"},
	"merged":              {"goes with another message", "并入另一条消息"},
	"erased":              {"the customer was erased", "客户数据已删除"},
	"hold":                {"a hold is in force", "处于暂停联系期"},
	"paused":              {"an operator paused it", "运营人员已暂停"},
	"brake":               {"the brake stands: far more than usual", "触发刹车：远超平日数量"},
	"capacity":            {"the workshop's day is full", "当日名额已满"},
	"capped":              {"the week's limit is reached", "已达每周上限"},
	"not_in_audience":     {"not in the audience", "不在目标人群"},
	"topic_off":           {"the customer switched the topic off", "客户关闭了该主题"},
	"no_consent":          {"no consent", "未获同意"},
	"opted_out":           {"opted out", "已退订"},
	"suppressed_address":  {"the address is known to be dead", "地址已失效"},
	"no_channel":          {"no address, text or gateway", "没有可用的地址、模板或通道"},
	"defective_record":    {"the record has a defect: safety only", "记录有缺陷，只发安全通知"},
	noAddress:             {"no address at all", "没有任何联系方式"},
	badAddress:            {"no usable address", "联系方式无效"},
}

// Reason says in words what a reason means: "hold:complaint" as "a hold is in force (complaint)".
func Reason(reason, locale string) string {
	name, more, _ := strings.Cut(reason, ":")
	w, ok := reasonPhrases[name]
	switch {
	case !ok:
		return reason
	case more != "" && strings.HasPrefix(locale, "zh"):
		return w.in(locale) + "（" + more + "）"
	case more != "":
		return w.in(locale) + " (" + more + ")"
	}
	return w.in(locale)
}

var channelPhrases = map[care.Channel]phrase{care.Email: {"e-mail", "邮件"}, care.SMS: {"SMS", "短信"}, care.Webhook: {"webhook", "系统接口"}}

// ChannelName names a channel in a person's language.
func ChannelName(ch care.Channel, locale string) string {
	if w, ok := channelPhrases[ch]; ok {
		return w.in(locale)
	}
	return string(ch)
}

var classPhrases = map[care.Class]phrase{care.Safety: {"safety", "安全"}, care.Service: {"service", "服务"}, care.Care: {"care", "关怀"}, care.Commercial: {"commercial", "营销"}}

// ClassName names a class in a person's language.
func ClassName(c care.Class, locale string) string {
	if w, ok := classPhrases[c]; ok {
		return w.in(locale)
	}
	return string(c)
}

// CapName says whose cap it is.
func CapName(c scheduler.Cap, locale string) string {
	zh := strings.HasPrefix(locale, "zh")
	grade, isGrade := strings.CutPrefix(c.By(), "grade:")
	switch {
	case isGrade && zh:
		return grade + " 级客户"
	case isGrade:
		return "grade " + grade
	case c.By() == "customer":
		return phrase{"the customer's own wish", "客户本人意愿"}.in(locale)
	}
	return phrase{"the dealer's default", "门店默认"}.in(locale)
}
