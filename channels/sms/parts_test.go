package sms_test

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

func TestParts(t *testing.T) {
	t.Parallel()
	zh := func(n int) string { return strings.Repeat("车", n) }
	en := func(n int) string { return strings.Repeat("a", n) }
	tests := map[string]struct {
		text, signature string
		style           sms.Style
		n               int
		encoding        string
	}{
		"empty":                                {"", "", sms.StyleGSM, 1, sms.GSM7},
		"160":                                  {en(160), "", sms.StyleGSM, 1, sms.GSM7},
		"161":                                  {en(161), "", sms.StyleGSM, 2, sms.GSM7},
		"306":                                  {en(306), "", sms.StyleGSM, 2, sms.GSM7},
		"307":                                  {en(307), "", sms.StyleGSM, 3, sms.GSM7},
		"euro costs two":                       {en(158) + "€", "", sms.StyleGSM, 1, sms.GSM7},
		"euro costs two, too many":             {en(159) + "€", "", sms.StyleGSM, 2, sms.GSM7},
		"every escaped":                        {strings.Repeat("|^€{}[]~\\\f", 8), "", sms.StyleGSM, 1, sms.GSM7},
		"an escape does not straddle":          {en(152) + "€" + en(151), "", sms.StyleGSM, 2, sms.GSM7},
		"an escape does not straddle, so more": {en(152) + "€" + en(152), "", sms.StyleGSM, 3, sms.GSM7},
		"every basic character":                {"@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà", "", sms.StyleGSM, 1, sms.GSM7},
		"one foreign character":                {en(69) + "ç", "", sms.StyleGSM, 1, sms.UCS2},
		"one foreign character, 71":            {en(70) + "ç", "", sms.StyleGSM, 2, sms.UCS2},
		"signature counts":                     {en(146), "Harbor Buick", sms.StyleGSM, 1, sms.GSM7},
		"signature counts, 161":                {en(147), "Harbor Buick", sms.StyleGSM, 2, sms.GSM7},
		"emoji is a pair":                      {"ç" + en(67) + "🚗", "", sms.StyleGSM, 1, sms.UCS2},
		"a pair does not straddle":             {zh(66) + "🚗" + zh(65), "", sms.StyleGSM, 2, sms.UCS2},
		"a pair does not straddle, so more":    {zh(66) + "🚗" + zh(66), "", sms.StyleGSM, 3, sms.UCS2},
		"zh 70":                                {zh(64), "浦东别克", sms.StyleChinese, 1, sms.UCS2},
		"zh 71":                                {zh(65), "浦东别克", sms.StyleChinese, 2, sms.UCS2},
		"zh 160 = 67+67+26":                    {zh(154), "浦东别克", sms.StyleChinese, 3, sms.UCS2},
		"zh counts letters as 1":               {en(71), "", sms.StyleChinese, 2, sms.UCS2},
		"the signature is there already":       {"【浦东别克】" + zh(64), "浦东别克", sms.StyleChinese, 1, sms.UCS2},
		"brackets of the signature":            {zh(64), "【浦东别克】", sms.StyleChinese, 1, sms.UCS2},
	}
	for name, tt := range tests {
		if n, encoding := sms.Parts(tt.text, tt.signature, tt.style); n != tt.n || encoding != tt.encoding {
			t.Errorf("%s: %d %s, want %d %s", name, n, encoding, tt.n, tt.encoding)
		}
	}
}

func TestCompose(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, signature string
		style           sms.Style
		want            string
	}{
		{"您好", "浦东别克", sms.StyleChinese, "【浦东别克】您好"},
		{"hello", "Harbor Buick", sms.StyleGSM, "Harbor Buick: hello"},
		{"hello", "浦东别克", sms.StyleGSM, "【浦东别克】hello"},
		{"您好", "Harbor Buick", sms.StyleGSM, "【Harbor Buick】您好"},
		{"【浦东别克】您好", "浦东别克", sms.StyleChinese, "【浦东别克】您好"},
		{"a\r\nb\x00\u2028c\u202e \n", "", sms.StyleGSM, "a\nb\nc"},
		{"x", "【a\r\nb】", sms.StyleChinese, "【a b】x"},
	} {
		if got := sms.Compose(tt.text, tt.signature, tt.style); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestWithNotice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text  string
		class care.Class
		style sms.Style
		want  string
	}{
		{"到店有礼。", care.Commercial, sms.StyleChinese, "到店有礼，拒收请回复R"},
		{"到店有礼，回T退订", care.Commercial, sms.StyleChinese, "到店有礼，回T退订"},
		{"到店有礼", care.Commercial, sms.StyleGSM, "到店有礼，拒收请回复R"},
		{"Come and see us.", care.Commercial, sms.StyleGSM, "Come and see us. Reply STOP to opt out."},
		{"Come. Text stop to end", care.Commercial, sms.StyleGSM, "Come. Text stop to end"},
		{"该保养了。", care.Service, sms.StyleChinese, "该保养了。"},
		{"生日快乐", care.Care, sms.StyleChinese, "生日快乐"},
	} {
		if got := sms.WithNotice(tt.text, tt.class, tt.style); got != tt.want {
			t.Errorf("%s %q: got %q, want %q", tt.class, tt.text, got, tt.want)
		}
	}
}

// pack is another way to count: it lays the units out part by part.
func pack(text string, gsm bool) int {
	const extended = "\f^{}\\[~]|€"
	var units [][]int // characters as runs of units that may not be divided
	for _, r := range text {
		size := 1
		if gsm && strings.ContainsRune(extended, r) {
			size = 2
		}
		if !gsm {
			size = len(utf16.Encode([]rune{r}))
		}
		units = append(units, make([]int, size))
	}
	single, part := 160, 153
	if !gsm {
		single, part = 70, 67
	}
	total := 0
	for _, u := range units {
		total += len(u)
	}
	if total <= single {
		return 1
	}
	parts := [][]int{{}}
	for _, u := range units {
		last := parts[len(parts)-1]
		if len(last)+len(u) > part {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], u...)
	}
	return len(parts)
}

func TestPartsAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		alphabet := rapid.SampledFrom([]string{"abc €{}", "abc车", "🚗a", "车🚗"}).Draw(t, "alphabet")
		text := strings.Trim(rapid.StringOfN(rapid.RuneFrom([]rune(alphabet)), 0, 700, -1).Draw(t, "text"), " ")
		n, encoding := sms.Parts(text, "", sms.StyleGSM)
		if want := pack(text, encoding == sms.GSM7); n != want {
			t.Fatalf("%d %s, want %d", n, encoding, want)
		}
		if encoding == sms.GSM7 && strings.ContainsAny(text, "车🚗") {
			t.Fatal("a foreign character in GSM-7")
		}
	})
}

func FuzzParts(f *testing.F) {
	for _, s := range []string{"", "hello", "您好", "€€€", "🚗", strings.Repeat("a", 161), "\xff", "a\r\nb"} {
		f.Add(s, "浦东别克", true)
		f.Add(s, "", false)
	}
	f.Fuzz(func(t *testing.T, text, signature string, chinese bool) {
		style := sms.StyleGSM
		if chinese {
			style = sms.StyleChinese
		}
		n, encoding := sms.Parts(text, signature, style)
		whole := sms.Compose(text, signature, style)
		units := len(utf16.Encode([]rune(whole)))
		switch {
		case !utf8.ValidString(whole):
			t.Error("the composed text is no UTF-8")
		case encoding != sms.GSM7 && encoding != sms.UCS2:
			t.Errorf("encoding %q", encoding)
		case chinese && encoding != sms.UCS2:
			t.Error("Chinese style in GSM-7")
		case n < 1 || n > units+1:
			t.Errorf("%d parts for %d units", n, units)
		case encoding == sms.UCS2 && units <= 70 && n != 1, encoding == sms.UCS2 && units > 70 && n < (units+66)/67:
			t.Errorf("%d parts for %d units", n, units)
		}
		if again, _ := sms.Parts(whole, "", style); again != n {
			t.Errorf("%d parts, and %d of the composed text", n, again)
		}
	})
}
