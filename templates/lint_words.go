package templates

import (
	"regexp"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

// Care comes from the heart and is not visibly commercial (facts 1): words that have no place in a program of class care.
var (
	salesZh = regexp.MustCompile(`优惠|折扣|打折|[一二三四五六七八九\d.]折|促销|特价|特惠|立减|满减|抽奖|秒杀|限时|限量|抢购|免费送|赠送|赠品|礼券|礼品券|代金券|抵用券|抵扣|返现|红包|团购|钜惠|劲爆|[¥￥]\s*\d|\d+\s*元`)
	salesEn = regexp.MustCompile(`(?i)\b(discounts?|coupons?|vouchers?|special offers?|exclusive offers?|offers?|sale|deals?|promotions?|promo|limited[- ]time|hurry|act now|buy now|free gift|save (big|up to|\$)|cash ?back|giveaway|bargains?)\b|\d+ ?% ?off|[$€£]\s?\d`)
	shouts  = regexp.MustCompile(`[!！]{2,}|\b[A-Z]{5,}(?: [A-Z]{2,})+\b`)
)

func (l *linter) words(t *template, programs []*care.Program) {
	calm := len(programs) > 0 && slices.ContainsFunc(programs, func(p *care.Program) bool { return p.Class == care.Care })
	if !calm || t.channel == care.Webhook {
		return
	}
	text := t.src.body
	if t.src.yaml != "" {
		text = t.src.yaml + "---\n" + text
	}
	start := liquid.Start(t.src.file)
	if t.src.yaml != "" {
		start.Line = 2
	}
	quiet := tagText.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat(" ", len(s)) })
	for _, re := range []*regexp.Regexp{salesZh, salesEn} {
		for _, at := range re.FindAllStringIndex(quiet, -1) {
			l.report.Warn(start.After(text[:at[0]]), "commercial-words", "say what the customer gains, without an offer; or make the program class: commercial", "%q sounds like an offer, and the program is of class care", quiet[at[0]:at[1]])
		}
	}
	for _, at := range shouts.FindAllStringIndex(quiet, -1) {
		l.report.Warn(start.After(text[:at[0]]), "shouting", "say it calmly", "%q shouts, and the program is of class care", quiet[at[0]:at[1]])
	}
}

// tagText matches tags, whose words are not shown.
var tagText = regexp.MustCompile(`(?s)\{\{.*?\}\}|\{%.*?%\}`)
