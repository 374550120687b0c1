package channels_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/carebell/carebell/channels"
)

func TestOneLineAndLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"王小明": "王小明", "a b": "a b", " a ": "a", "a\r\nb": "a b", "a\rb": "a b", "a\x00b": "a b", "a\u2028b\u2029c": "a b c", "a\u0085b": "a b",
		"a\u202eb\u2066c\u200fd": "abcd", "a\xffb": "ab", "a  \t b": "a b", "": "", "\r\n": "",
	} {
		if got := channels.OneLine(in); got != want {
			t.Errorf("OneLine(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"a\nb": "a\nb", "a\r\nb": "a\nb", "a\rb": "a\nb", "a\u2028b": "a\nb", "a\x00b\x1bc": "abc", "a\u202eb": "ab", "a\tb": "a\tb", "你\r\n好": "你\n好",
	} {
		if got := channels.Lines(in); got != want {
			t.Errorf("Lines(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestCleanTextsAreSeen holds that what is passed over as clean is what the slow way would not change.
func TestCleanTextsAreSeen(t *testing.T) {
	t.Parallel()
	for r := range rune(0x11000) {
		s := "a" + string(r) + "b"
		one, lines := channels.OneLine(s), channels.Lines(s)
		// A control character at the other end of the text sends it the slow way.
		if slow := strings.TrimSuffix(channels.OneLine(s+"\x01z"), " z"); slow != one {
			t.Fatalf("OneLine(%q) = %q, the slow way %q", s, one, slow)
		}
		if slow := strings.TrimSuffix(channels.Lines(s+"\x01z"), "z"); slow != lines {
			t.Fatalf("Lines(%q) = %q, the slow way %q", s, lines, slow)
		}
	}
	for _, bad := range []string{"a\xffb", "\xe6\x88", "a\xc2"} {
		if got := channels.OneLine(bad); !utf8.ValidString(got) {
			t.Errorf("OneLine(%q) = %q", bad, got)
		}
	}
}
