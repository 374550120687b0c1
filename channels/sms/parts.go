package sms

import (
	"strings"
	"unicode/utf16"

	"github.com/carebell/carebell/care"
	caretext "github.com/carebell/carebell/care/text"
	"github.com/carebell/carebell/channels"
)

// Style is how a network counts a text.
type Style string

// The styles. Chinese gateways count 【signature】 and text together, every character 1; elsewhere a text counts in the GSM 7-bit
// alphabet if it fits into it, else in UCS-2 (3GPP TS 23.038).
const (
	StyleGSM     Style = "gsm"
	StyleChinese Style = "chinese"
)

// The encodings that Parts returns.
const (
	GSM7 = "gsm-7"
	UCS2 = "ucs-2"
)

// The lengths of a single message and of a part of a longer one, whose header takes 6 octets.
const (
	gsmSingle, gsmPart = 160, 153
	ucsSingle, ucsPart = 70, 67
)

// MaxChinese is the longest text that Chinese gateways take, with the signature.
const MaxChinese = 500

// gsmBasic is the default alphabet of 3GPP TS 23.038, without the escape.
const gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// gsmExtended are the characters behind an escape, with their codes: two septets each.
var gsmExtended = map[rune]byte{'\f': 0x0a, '^': 0x14, '{': 0x28, '}': 0x29, '\\': 0x2f, '[': 0x3c, '~': 0x3d, ']': 0x3e, '|': 0x40, '€': 0x65}

// gsmCodes are the codes of the characters of the alphabet: their order, with the escape at 0x1b.
var gsmCodes = func() map[rune]byte {
	codes := map[rune]byte{}
	for i, r := range []rune(gsmBasic) {
		if i >= 0x1b {
			i++
		}
		codes[r] = byte(i)
	}
	return codes
}()

// septets holds what a character costs in the GSM alphabet; absent = not in it.
var septets = func() map[rune]int {
	m := make(map[rune]int, 140)
	for r := range gsmCodes {
		m[r] = 1
	}
	for r := range gsmExtended {
		m[r] = 2
	}
	return m
}()

// gsmBytes writes a text in the GSM alphabet, one septet a byte as SMPP has it; false = a character is not in it.
func gsmBytes(text string) (out []byte, ok bool) {
	for _, r := range text {
		if b, basic := gsmCodes[r]; basic {
			out = append(out, b)
		} else if b, extended := gsmExtended[r]; extended {
			out = append(out, 0x1b, b)
		} else {
			return nil, false
		}
	}
	return out, true
}

// StyleFor returns how messages to a country (ISO 3166-1 alpha-2; "" = China) are counted.
func StyleFor(country string) Style {
	switch strings.ToUpper(country) {
	case "", "CN", "HK", "MO", "TW":
		return StyleChinese
	}
	return StyleGSM
}

// Compose returns the text that goes to a gateway for plain text. A signature stands in front: 【浦东别克】 in Chinese style or if
// either is Chinese, "Pudong Buick: " elsewhere, where the brackets alone would double the price.
func Compose(text, signature string, style Style) string {
	text, signature = strings.TrimRight(channels.Lines(text), "\n \t"), strings.Trim(channels.OneLine(signature), "【】[] ")
	switch {
	case signature == "" || strings.HasPrefix(text, "【"+signature+"】"):
		return text
	case style == StyleChinese || caretext.HasHan(text) || caretext.HasHan(signature):
		return "【" + signature + "】" + text
	}
	return signature + ": " + text
}

// The notices that commercial messages must carry: how to refuse the next one (通信短信息服务管理规定 of 2015, article 18; CTIA).
const (
	noticeChinese = "，拒收请回复R"
	notice        = " Reply STOP to opt out."
)

// WithNotice returns a text with the notice of how to opt out, if its class needs one and it has none. Send adds it on gateways
// for plain text; previews and counts must, too, to show what is sent.
func WithNotice(text string, class care.Class, style Style) string {
	if class != care.Commercial {
		return text
	}
	text = strings.TrimRight(text, "\n \t")
	if style == StyleChinese || caretext.HasHan(text) {
		for _, word := range []string{"退订", "退訂", "拒收", "回T", "回复T", "回复R", "回R", "回TD"} {
			if strings.Contains(text, word) {
				return text
			}
		}
		return strings.TrimRight(text, "。，, ") + noticeChinese
	}
	if strings.Contains(strings.ToUpper(text), "STOP") {
		return text
	}
	return text + notice
}

// Parts counts the messages that a text with its signature becomes, and names the encoding. An empty text is one part: it costs
// one. Neither an escape nor a surrogate pair is split between two parts, so that a part may stay one short.
func Parts(text, signature string, style Style) (n int, encoding string) {
	whole := Compose(text, signature, style)
	if style != StyleChinese {
		if total, ok := gsmLength(whole); ok {
			if total <= gsmSingle {
				return 1, GSM7
			}
			return split(whole, gsmPart, func(r rune) int { return septets[r] }), GSM7
		}
	}
	total := 0
	for _, r := range whole {
		total += ucsLength(r)
	}
	if total <= ucsSingle {
		return 1, UCS2
	}
	return split(whole, ucsPart, ucsLength), UCS2
}

func gsmLength(s string) (total int, ok bool) {
	for _, r := range s {
		n, known := septets[r]
		if !known {
			return 0, false
		}
		total += n
	}
	return total, true
}

func ucsLength(r rune) int {
	if n := utf16.RuneLen(r); n > 0 {
		return n
	}
	return 1
}

// split fills parts of a size with characters that may not be divided.
func split(s string, size int, cost func(rune) int) int {
	parts, used := 1, 0
	for _, r := range s {
		c := cost(r)
		if used+c > size {
			parts++
			used = 0
		}
		used += c
	}
	return parts
}
