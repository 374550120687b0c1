package peers

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The lines are as fakesmsc of Kannel 1.4.5 printed them.
const fakeLog = `2026-11-22 08:39:56 [17591] [0] DEBUG: Connecting to <127.0.0.1>
2026-11-22 08:39:58 [17591] [0] DEBUG: fakesmsc: sent message 1
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 1: <10690000 +8613800138000 text hello | 100% é € wor>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 2: <ld>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 3: <10690000 8613800138000 ucs-2 %60%A8Y%7D>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 4: <Pudong B 8613800138000 data %E6%82%A8%E5%A5%BD>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 5: <10690000 8613800138000 udh %05%00%03%03%02%02 data %D8%3D%DE%00%00a%00b%00c>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 6: <10690000 8613800138000 udh %05%00%03%03%02%01 data s%8BQHu%1F%00%2C>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 7: <10690000 8613800138000 udh %05%00%03%04%03%01 data The+%5Bfox%5D+>
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 8: <10690000 8613800138000 text two spaces  > end >
2026-11-22 08:39:58 [17591] [0] DEBUG: Got message 9: <10690000 8613800138000 text half a li`

func TestParseFakeSMSC(t *testing.T) {
	t.Parallel()
	got, err := parseFakeSMSC(fakeLog)
	if err != nil {
		t.Fatal(err)
	}
	want := []SMS{
		{From: "10690000", To: "+8613800138000", Text: "hello | 100% é € wor\nld", Parts: []string{"hello | 100% é € wor\nld"}, Total: 1},
		{From: "10690000", To: "8613800138000", Coding: 2, Text: "您好", Parts: []string{"您好"}, Total: 1},
		{From: "Pudong B", To: "8613800138000", Coding: 1, Text: "您好", Parts: []string{"您好"}, Total: 1},
		{From: "10690000", To: "8613800138000", Coding: 2, Text: "王先生,😀abc", Parts: []string{"王先生,", "😀abc"}, Total: 2},
		{From: "10690000", To: "8613800138000", Text: "The [fox] ", Parts: []string{"The [fox] "}, Total: 3},
		{From: "10690000", To: "8613800138000", Text: "two spaces  > end ", Parts: []string{"two spaces  > end "}, Total: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got[4].Complete() || !got[3].Complete() {
		t.Error("Complete is wrong")
	}
}

func TestParseFakeSMSCRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"<a b udh %05%00 data x>", "<a b ucs-2 %zz>", "<a b udh %05%00%03%01%02%01>", "<gibberish>"} {
		if got, err := parseFakeSMSC("x DEBUG: Got message 1: " + line + "\n"); err == nil {
			t.Errorf("%s: taken for %+v", line, got)
		}
	}
}

// Parts in any order, of any text long enough to need them, come together as they were, in the right coding.
func TestPartsComeTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chinese := rapid.Bool().Draw(t, "chinese")
		size, alphabet := 153, []rune("abc XYZ 0123 .,!?\n@+%éÄ")
		if chinese {
			size, alphabet = 134, []rune("您好王先生的车该保养了😀上海,。%A1 \n")
		}
		text := string(rapid.SliceOfN(rapid.SampledFrom(alphabet), 71, 400).Draw(t, "text"))
		body := []byte(text)
		if chinese {
			text += "。"
			body = encodeUCS2(text)
		}
		var lines []string
		total := (len(body) + size - 1) / size
		for i := range total {
			part := string(body[i*size : min(len(body), (i+1)*size)])
			udh := url.QueryEscape(string([]byte{5, 0, 3, 7, byte(total), byte(i + 1)}))
			lines = append(lines, fmt.Sprintf("x DEBUG: Got message %d: <1069 86138 udh %s data %s>\n", i, udh, url.QueryEscape(part)))
		}
		shuffled := rapid.Permutation(lines).Draw(t, "order")
		got, err := parseFakeSMSC(strings.Join(shuffled, ""))
		if err != nil {
			t.Fatal(err)
		}
		wantCoding := codingGSM
		if chinese {
			wantCoding = codingUCS2
		}
		if len(got) != 1 || got[0].Text != text || got[0].Coding != wantCoding || !got[0].Complete() {
			t.Fatalf("got %+v, want %q", got, text)
		}
	})
}
