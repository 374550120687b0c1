package contact_test

import (
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care/contact"
)

func TestPhone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ raw, country, want string }{
		"plain":                    {"13800138000", "CN", "+8613800138000"},
		"in its form":              {"+8613800138000", "CN", "+8613800138000"},
		"0086":                     {"008613800138000", "CN", "+8613800138000"},
		"86":                       {"8613800138000", "CN", "+8613800138000"},
		"dashes":                   {"138-0013-8000", "CN", "+8613800138000"},
		"blanks":                   {"138 0013 8000", "CN", "+8613800138000"},
		"spreadsheet quote":        {"'13800138000", "CN", "+8613800138000"},
		"double quotes":            {`"13800138000"`, "CN", "+8613800138000"},
		"full-width":               {"＋８６　１３８００１３８０００", "CN", "+8613800138000"},
		"long dash and space":      {"138–0013—8000\u00a0", "CN", "+8613800138000"},
		"direction marks":          {"\u202d+86 138 0013 8000\u202c", "CN", "+8613800138000"},
		"a float with all digits":  {"13800138000.0", "CN", "+8613800138000"},
		"small letters":            {"13800138000", "cn", "+8613800138000"},
		"Chinese from elsewhere":   {"+86 138 0013 8000", "US", "+8613800138000"},
		"Chinese landline":         {"021-50000000", "CN", "+862150000000"},
		"American":                 {"(212) 555-0123", "US", "+12125550123"},
		"American with +":          {"+1 212 555 0123", "CN", "+12125550123"},
		"British":                  {"07400 123456", "GB", "+447400123456"},
		"Hong Kong":                {"5123 4567", "HK", "+85251234567"},
		"German":                   {"030 123456", "DE", "+4930123456"},
		"no country, with +":       {"+447400123456", "", "+447400123456"},
		"no country, without":      {"13800138000", "", ""},
		"Chinese shape in America": {"13800138000", "US", ""},
		"scientific":               {"1.39E+10", "CN", ""},
		"too short":                {"1390000", "CN", ""},
		"too long":                 {"138001380001", "CN", ""},
		"no such range":            {"12800138000", "CN", ""},
		"letters":                  {"1-800-FLOWERS", "US", ""},
		"extension":                {"+12125550123 ext 5", "US", ""},
		"two numbers":              {"13800138000/13900139000", "CN", ""},
		"two plus signs":           {"++8613800138000", "CN", ""},
		"plus inside":              {"138+00138000", "CN", ""},
		"line break":               {"13800138000\r\nX: y", "CN", ""},
		"NUL":                      {"13800138000\x00", "CN", ""},
		"blank":                    {"  ", "CN", ""},
		"empty":                    {"", "CN", ""},
		"no UTF-8":                 {"138001380\xff0", "CN", ""},
		"a novel":                  {strings.Repeat("1", 1000), "CN", ""},
		"Arabic digits":            {"١٣٨٠٠١٣٨٠٠٠", "CN", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := contact.Phone(tt.raw, tt.country)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("Phone(%q, %q): got %q, %t, want %q", tt.raw, tt.country, got, ok, tt.want)
			}
		})
	}
}

func TestScientific(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"1.39E+10": true, "1.38001E10": true, "'1.39e+10": true, "1.39Ｅ+10": true, "1,39E+10": true, " 1E+10 ": true,
		"13800138000": false, "+8613800138000": false, "E10": false, "1.39E": false, "": false, "1.39E+1x": false,
	} {
		if got := contact.Scientific(raw); got != want {
			t.Errorf("Scientific(%q): got %t, want %t", raw, got, want)
		}
	}
}

func TestEmail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ raw, want string }{
		"plain":              {"wang@example.com", "wang@example.com"},
		"blanks around":      {"  wang@example.com\t", "wang@example.com"},
		"domain's case":      {"Wang.X@Example.COM", "Wang.X@example.com"},
		"plus":               {"wang+care@example.com", "wang+care@example.com"},
		"all atext":          {"!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
		"IDN":                {"wang@例子.中国", "wang@xn--fsqu00a.xn--fiqs8s"},
		"IDN with capitals":  {"wang@BÜCHER.example", "wang@xn--bcher-kva.example"},
		"ideographic dot":    {"wang@例子。中国", "wang@xn--fsqu00a.xn--fiqs8s"},
		"full-width":         {"ｗａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ", "wang@example.com"},
		"digits in a label":  {"1@163.com", "1@163.com"},
		"longest local":      {strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
		"local too long":     {strings.Repeat("a", 65) + "@example.com", ""},
		"address too long":   {"a@" + strings.Repeat("a23456789.", 26) + "com", ""},
		"label too long":     {"a@" + strings.Repeat("a", 64) + ".com", ""},
		"SMTP parameter":     {"a b> SIZE=1@example.com", ""},
		"angle brackets":     {"<wang@example.com>", ""},
		"display name":       {"Wang <wang@example.com>", ""},
		"two addresses":      {"a@example.com,b@example.com", ""},
		"two at":             {"a@b@example.com", ""},
		"header injection":   {"a@example.com\r\nBcc: b@example.com", ""},
		"bare CR":            {"a@example.com\r", ""},
		"NUL":                {"a\x00@example.com", ""},
		"quoted local":       {`"a b"@example.com`, ""},
		"comment":            {"a(b)@example.com", ""},
		"address literal":    {"a@[127.0.0.1]", ""},
		"IP address":         {"a@127.0.0.1", ""},
		"one label":          {"a@localhost", ""},
		"no domain":          {"a@", ""},
		"no local":           {"@example.com", ""},
		"no at":              {"example.com", ""},
		"empty":              {"", ""},
		"dot first":          {".a@example.com", ""},
		"dot last":           {"a.@example.com", ""},
		"two dots":           {"a..b@example.com", ""},
		"domain's empty dot": {"a@example..com", ""},
		"root dot":           {"a@example.com.", ""},
		"dash first":         {"a@-example.com", ""},
		"underscore":         {"a@ex_ample.com", ""},
		"local beyond ASCII": {"王@example.com", "王@example.com"},
		"both beyond ASCII":  {"王小明@例子.测试", "王小明@xn--fsqu00a.xn--0zwm56d"},
		"umlauts":            {"jörg@müller.example", "jörg@xn--mller-kva.example"},
		"not composed":       {"jo\u0308rg@example.com", "jörg@example.com"},
		"Cyrillic":           {"иван@пример.испытание", "иван@xn--e1afmkfd.xn--80akhbyknj4f"},
		"a Cyrillic a":       {"w\u0430ng@example.com", ""},
		"a Greek o":          {"j\u03bfhn@example.com", ""},
		"right-to-left mark": {"a@exam\u202eple.com", ""},
		"no UTF-8":           {"a@ex\xffample.com", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := contact.Email(tt.raw)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("Email(%q): got %q, %t, want %q", tt.raw, got, ok, tt.want)
			}
		})
	}
}

// TestAddress: one with letters beyond ASCII before the @ is an address too, and needs SMTPUTF8.
func TestAddress(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		addr     string
		smtputf8 bool
	}{
		"wang@example.com": {"wang@example.com", false}, "Wang@例子.中国": {"Wang@xn--fsqu00a.xn--fiqs8s", false}, "a@xn--fsqu00a.xn--fiqs8s": {"a@xn--fsqu00a.xn--fiqs8s", false},
		"a@m--y-s-h-op.example": {"a@m--y-s-h-op.example", false}, "a@my--shop.example": {}, "a@a-b.c0.example": {"a@a-b.c0.example", false},
		"王@example.com": {"王@example.com", true}, "jos\u00e9.x@Example.com": {"jos\u00e9.x@example.com", true}, "e\u0301@example.com": {"e\u0301@example.com", true},
		"a@xn--a.com": {}, "a\u200b@example.com": {}, "a\u202e@example.com": {}, "\xff@example.com": {}, "王\u00a0@example.com": {}, "王..a@example.com": {}, ".王@example.com": {},
		"王 b@example.com": {}, "😀@example.com": {}, `"王"@example.com`: {}, strings.Repeat("王", 22) + "@example.com": {}, "王@localhost": {}, "王@例子.中国\r\n": {},
	} {
		addr, smtputf8, ok := contact.Address(raw)
		if addr != want.addr || smtputf8 != want.smtputf8 || ok != (want.addr != "") {
			t.Errorf("Address(%q): got %q, %t, %t", raw, addr, smtputf8, ok)
		}
		if email, ok := contact.Email(raw); ok != (want.addr != "") || ok && email != norm.NFC.String(want.addr) {
			t.Errorf("Email(%q): got %q, %t", raw, email, ok)
		}
	}
}

// TestDomainsGoTheShortWay: a domain that is taken is the one that IDNA makes of it, so that the short way changes nothing.
func TestDomainsGoTheShortWay(t *testing.T) {
	t.Parallel()
	label := rapid.StringOfN(rapid.RuneFrom([]rune("abxnz0189-A.é_")), 0, 70, -1)
	rapid.Check(t, func(t *rapid.T) {
		domain := strings.Join(rapid.SliceOfN(label, 1, 6).Draw(t, "labels"), ".")
		addr, _, ok := contact.Address("a@" + domain)
		if !ok {
			return
		}
		if want, err := idna.Lookup.ToASCII(domain); err != nil || addr != "a@"+want {
			t.Fatalf("%q becomes %q, by IDNA %q, %v", domain, addr, want, err)
		}
	})
}

func TestHash(t *testing.T) {
	t.Parallel()
	// printf wang@example.com | openssl dgst -sha256 -hmac key
	const want = "4879dc5cad83119593047475c584c790"
	if got := contact.Hash([]byte("key"), "wang@example.com"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if contact.Hash([]byte("key"), "Wang@Example.com") != want {
		t.Error("letter case changes the hash")
	}
	if contact.Hash([]byte("other"), "wang@example.com") == want {
		t.Error("the key does not change the hash")
	}
}

func FuzzPhone(f *testing.F) {
	f.Add("138 0013 8000", "CN")
	f.Add("+1 (212) 555-0123", "US")
	f.Add("\u202d00441234", "GB")
	form := regexp.MustCompile(`^\+[1-9]\d{4,14}$`)
	f.Fuzz(func(t *testing.T, raw, country string) {
		got, ok := contact.Phone(raw, country)
		if ok != (got != "") {
			t.Fatalf("Phone(%q, %q): got %q, %t", raw, country, got, ok)
		}
		if !ok {
			return
		}
		if !form.MatchString(got) {
			t.Fatalf("Phone(%q, %q): %q is not E.164", raw, country, got)
		}
		if again, ok := contact.Phone(got, country); again != got || !ok {
			t.Fatalf("Phone(%q, %q): got %q, and of that %q", raw, country, got, again)
		}
	})
}

func FuzzEmail(f *testing.F) {
	f.Add("wang@example.com")
	f.Add("a b> SIZE=1@example.com")
	f.Add("wang@例子。中国")
	f.Fuzz(func(t *testing.T, raw string) {
		if wide, _, ok := contact.Address(raw); ok {
			again, _, _ := contact.Address(wide)
			if again != wide || strings.ContainsAny(wide, "\r\n\t <>,;:\"()\\\x00\u202e\u200b") || !utf8.ValidString(wide) || len(wide) > 254 {
				t.Fatalf("Address(%q): %q is not safe", raw, wide)
			}
		}
		got, ok := contact.Email(raw)
		if ok != (got != "") {
			t.Fatalf("Email(%q): got %q, %t", raw, got, ok)
		}
		if !ok {
			return
		}
		if strings.ContainsAny(got, "\r\n\t <>,;:\"()\\\x00") || strings.Count(got, "@") != 1 || len(got) > 254 {
			t.Fatalf("Email(%q): %q is not safe", raw, got)
		}
		if again, ok := contact.Email(got); again != got || !ok {
			t.Fatalf("Email(%q): got %q, and of that %q", raw, got, again)
		}
		if a, err := mail.ParseAddress(got); err != nil || a.Address != got {
			t.Fatalf("Email(%q): net/mail does not read %q: %v", raw, got, err)
		}
	})
}

func BenchmarkPhone(b *testing.B) {
	for name, raw := range map[string]string{"E164": "+8613800138000", "dashes": "138-0013-8000", "American": "(212) 555-0123"} {
		country := "CN"
		if name == "American" {
			country = "US"
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := contact.Phone(raw, country); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkEmail(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := contact.Email("wang.xiaoming@example.com"); !ok {
			b.Fatal("refused")
		}
	}
}

func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	key := []byte("a key of the bench")
	for b.Loop() {
		contact.Hash(key, "wang@example.com")
	}
}
