package cell_test

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/intake/cell"
)

// words are pieces that cells are made of.
var words = []string{
	"1985", "85", "2026", "02", "2", "20", "31", "13", "74", "113", "0", "00", "-", "/", ".", ",", " ", ":", "年", "月", "日", "号", "初", "十", "廿", "三十", "一", "二", "闰", "閏", "正", "腊", "除夕",
	"农历", "農曆", "公历", "lunar:", "--", "L05", "民國", "民国", "中華民國", "Feb", "março", "T", "Z", "+08:00", "16:00:00", "上午", "星期三", "(", ")", "（", "）", "km", "mi", "万", "萬", "英里",
	"王", "小明", "欧阳", "先生", "总", "公司", "Smith", "John", "Jr.", "Dr.", "van", "&", "13800138001", "021-50001234", "转", "ext", "手机", "1.38E+10", "\u00a0", "\u3000", "３", "é", "#REF!", "", "'", "\"",
}

func text(t *rapid.T) (s string) {
	for range rapid.IntRange(0, 8).Draw(t, "pieces") {
		s += rapid.SampledFrom(words).Draw(t, "piece")
	}
	return s
}

// TestCells: nothing that stands in a cell breaks the reader, what is taken is a value that can be, and it is read again as itself.
func TestCells(t *testing.T) {
	t.Parallel()
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := &cell.Place{
			Order: rapid.SampledFrom([]string{"", "DMY", "MDY", "YMD"}).Draw(t, "order"), Country: rapid.SampledFrom([]string{"CN", "TW", "US", "DE"}).Draw(t, "country"),
			Location: shanghai, Today: care.NewDate(2026, 12, 1),
		}
		s := text(t)
		if d, blank, reason := p.Date(s); reason == "" && !blank {
			if again, _, reason := p.Date(d.String()); again != d || reason != "" || d.IsZero() {
				t.Errorf("date %q: read as %s, then as %s, %s", s, d, again, reason)
			}
		}
		calendar := rapid.SampledFrom([]string{"", "lunar", "solar"}).Draw(t, "calendar")
		if b, blank, reason := p.Birthday(s, calendar); reason == "" && !blank {
			again, err := care.ParseBirthday(b.String())
			if err != nil || again != b || calendar == "solar" && b.Lunar || calendar == "lunar" && !b.Lunar {
				t.Errorf("birthday %q (%s): read as %+v, then as %+v, %v", s, calendar, b, again, err)
			}
		}
		if km, reason := cell.Kilometres(s, rapid.Bool().Draw(t, "comma"), ""); reason == "" {
			if n, err := strconv.Atoi(km); err != nil || n < 0 || n > 1_500_000 {
				t.Errorf("mileage %q: %s", s, km)
			}
		}
		numbers, reason := cell.Numbers(s, p.Country)
		for _, n := range numbers {
			if again, ok := contact.Phone(n, ""); !ok || again != n || reason != "" {
				t.Errorf("phone %q: %s, %s", s, n, reason)
			}
		}
		cleaned, ok := cell.Clean(s)
		if again, still := cell.Clean(cleaned); ok && (!still || again != cleaned && cleaned[0] != '\'') {
			t.Errorf("cell %q: cleaned to %q, then to %q", s, cleaned, again)
		}
		_ = cell.Salutation(s, "", "man") + cell.Zone(s) + cell.CalendarIn(s) + cell.OrderIn(s)
	})
}
