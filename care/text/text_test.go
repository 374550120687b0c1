package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care/text"
)

func TestLineAndLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct{ line, lines string }{
		"":                               {"", ""},
		"王小明":                            {"王小明", "王小明"},
		" a  b ":                         {" a  b ", " a  b "},
		"a\nb":                           {"a b", "a\nb"},
		"a\r\nb":                         {"a b", "a\nb"},
		"a\rb":                           {"a b", "a\nb"},
		"a\n\nb":                         {"a b", "a\n\nb"},
		"a\n\rb":                         {"a b", "a\n\nb"},
		"a\tb":                           {"a b", "a\tb"},
		"a\u0085b":                       {"a b", "a\nb"},
		"a\u2028b\u2029c":                {"a b c", "a\nb\nc"},
		"a\x00b\x1bc\x7fd\u0080e":        {"a b c d e", "abcde"},
		"a\x00\u200b\x01b":               {"a b", "ab"},
		"a\r\u200b\nb":                   {"a b", "a\n\nb"},
		"\u202eevil\u202c \u2066x\u2069": {"evil x", "evil x"},
		"a\u200eb\u200fc\u061cd":         {"abcd", "abcd"},
		"\ufeffa\u200bb\u2060c":          {"abc", "abc"},
		"a\xffb\xe7\x8e":                 {"ab", "ab"},
		"a\ufffdb":                       {"ab", "ab"},
		"👨‍👩‍👧 🏳️‍🌈 👍🏽":                      {"👨‍👩‍👧 🏳️‍🌈 👍🏽", "👨‍👩‍👧 🏳️‍🌈 👍🏽"},
		"🏴\U000e0067\U000e0062\U000e007f":    {"🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"},
		"e\u0301 ก็ می\u200cخواهم":           {"e\u0301 ก็ می\u200cخواهم", "e\u0301 ก็ می\u200cخواهم"},
		"\u00a0\u3000\u00ad":                 {"\u00a0\u3000\u00ad", "\u00a0\u3000\u00ad"},
		"Subject: a\r\n\r\nBcc: b@evil.test": {"Subject: a Bcc: b@evil.test", "Subject: a\n\nBcc: b@evil.test"},
	} {
		if got := text.Line(in); got != want.line {
			t.Errorf("Line(%q): got %q, want %q", in, got, want.line)
		}
		if got := text.Lines(in); got != want.lines {
			t.Errorf("Lines(%q): got %q, want %q", in, got, want.lines)
		}
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"": true, "王小明": true, "a b": true, "\u202d+86 138\u202c": true, "\u2028x": true, "👨‍👩‍👧": true,
		"a\nb": false, "a\tb": false, "a\x00": false, "a\x7f": false, "a\u0085b": false, "a\xffb": false, "a\ufffdb": false,
	} {
		if got := text.Readable(in); got != want {
			t.Errorf("%q: got %t", in, got)
		}
	}
}

// drawText draws texts of everything that matters, side by side.
func drawText(t *rapid.T) string {
	piece := rapid.OneOf(
		rapid.StringN(0, 3, -1),
		rapid.SampledFrom([]string{
			"\r\n", "\r", "\n", "\t", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u009b", "\u2028", "\u2029", "\u202e", "\u2066", "\u200b", "\u200d", "\u200c", "\u200f", "\ufeff", "\ufffd",
			"\xff", "\xe7\x8e", "王", "👨‍👩‍👧", "e\u0301", " ", "  ", "a",
		}),
	)
	return strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
}

// TestCleanTextIsHarmless: nothing that controls a terminal, a line or the direction comes through, a second time changes nothing,
// and letters are neither lost nor moved.
func TestCleanTextIsHarmless(t *testing.T) {
	t.Parallel()
	turning := &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x061c, Hi: 0x061c, Stride: 1}, {Lo: 0x200e, Hi: 0x200f, Stride: 1}, {Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2066, Hi: 0x2069, Stride: 1}}}
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || unicode.IsPunct(r) || r == '\u200d' {
				return r
			}
			return -1
		}, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		in := drawText(t)
		for name, clean := range map[string]func(string) string{"Line": text.Line, "Lines": text.Lines} {
			out := clean(in)
			for _, r := range out {
				if unicode.Is(turning, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError || unicode.IsControl(r) && (name == "Line" || r != '\n' && r != '\t') {
					t.Fatalf("%s(%q) = %q", name, in, out)
				}
			}
			if again := clean(out); again != out || !utf8.ValidString(out) || len(out) > len(in) {
				t.Fatalf("%s(%q) = %q, and of that %q", name, in, out, again)
			}
			if letters(out) != letters(in) {
				t.Fatalf("%s(%q) = %q: letters are lost", name, in, out)
			}
		}
		if text.Line(in) == in && !text.Readable(in) {
			t.Fatalf("%q is clean and not readable", in)
		}
	})
}

// TestEveryCharacter: each character alone is either kept, or cleaned to the same as between others.
func TestEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := range rune(utf8.MaxRune) {
		s := "a" + string(r) + "b"
		line, lines := text.Line(s), text.Lines(s)
		if slow := strings.TrimSuffix(text.Line(s+"\x01z"), " z"); slow != line {
			t.Fatalf("Line(%q) = %q, with another character to clean %q", s, line, slow)
		}
		if slow := strings.TrimSuffix(text.Lines(s+"\x01z"), "z"); slow != lines {
			t.Fatalf("Lines(%q) = %q, with another character to clean %q", s, lines, slow)
		}
		if (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || unicode.IsPunct(r)) && (line != s || lines != s) && r != '\u180e' {
			t.Fatalf("%q is taken out of %q", r, s)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\r\nBcc: b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if out := text.Line(s); strings.ContainsAny(out, "\r\n\x00\u2028\u202e") || text.Line(out) != out || !text.Readable(out) {
			t.Fatalf("%q: %q", s, out)
		}
	})
}

func BenchmarkLine(b *testing.B) {
	for name, s := range map[string]string{"ASCII": "Your car is due for maintenance", "Chinese": "尊敬的王先生，您的爱车即将到保养期", "dirty": "a\r\nb\u202ec"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = text.Line(s)
			}
		})
	}
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{"ＳＴＯＰ！": "STOP!", "１３８　００": "138 00", "～": "~", "保养。abc": "保养。abc", "ｱ￥": "ｱ￥"} {
		if got := strings.Map(text.Narrow, from); got != want {
			t.Errorf("%q: got %q, want %q", from, got, want)
		}
	}
}
