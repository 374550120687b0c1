package intake_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/intake"
)

// TestShortWay: a table's patches become records without being read again where their customer is new, or is as they say already. The
// records are those of the long way, whatever the rows say, however they are batched, and once more when the table comes again.
func TestShortWay(t *testing.T) {
	t.Parallel()
	const header = "客户编号,客户姓名,性别,手机号,生日,标签,短信同意,邮件同意,短信营销同意,车架号,品牌,年款,购车日期,上次进厂日期,上次进厂里程,工单号,里程,里程日期,质保到期日,质保里程\n"
	rapid.Check(t, func(rt *rapid.T) {
		var text strings.Builder
		text.WriteString(header)
		one := func(name string, of ...string) { text.WriteString(rapid.SampledFrom(of).Draw(rt, name) + ",") }
		for range rapid.IntRange(1, 30).Draw(rt, "rows") {
			one("id", "C1", "C2", "C3", "C4")
			one("name", "", "王小明", `"欧阳 ""大"" 超\"`, "O'Neil", "\u2028x")
			one("gender", "", "男", "女")
			one("phone", "", "13800138000", "139-1234-5678")
			one("birthday", "", "1985-02-20", "1985/2/3", "四月廿八")
			one("tags", "", "a;b", ";", "金,银", `"x,y"`)
			one("sms", "", "是", "否")
			one("mail", "", "是", "否")
			one("ads", "", "否")
			one("vehicle", "V1", "V2", "lsghxrt911e000001")
			one("make", "", "别克", "BYD")
			one("year", "", "2023", "2024款")
			one("delivered", "", "2024-03-01", "20240301")
			one("visit", "", "2026-05-02", "2026年1月2日")
			one("visit km", "", "0")
			one("order", "", "R1", "R2")
			one("km", "", "31000", "0", "3.2万", "00012", "32158公里")
			one("km on", "", "2026-05-02", "2026-06-02")
			one("warranty", "", "2027-01-01")
			text.WriteString(rapid.SampledFrom([]string{"", "100000"}).Draw(rt, "warranty km") + "\n")
		}
		opt := options(t)
		opt.Batch = rapid.IntRange(1, 5).Draw(rt, "batch")
		short, long := records{}, records{}
		for range 2 {
			_, err := intake.Read(t.Context(), strings.NewReader(text.String()), "x.csv", opt, func(patches []intake.Patch) error {
				if err := short.apply(patches); err != nil {
					return err
				}
				plain := make([]intake.Patch, len(patches))
				for i, p := range patches {
					plain[i] = intake.Patch{ID: p.ID, Record: p.Record, Rows: p.Rows, Existing: p.Existing}
				}
				return long.apply(plain)
			})
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(long, short); diff != "" {
				rt.Errorf("records of the long and the short way (-long +short):\n%s", diff)
			}
		}
	})
}

// TestRowsOfOneCustomerStayTogether: a batch does not end between rows of one customer that follow each other.
func TestRowsOfOneCustomerStayTogether(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("id,vehicle_id\n")
	for i := range 20 {
		text.WriteString("C" + itoa(i/4) + ",V" + itoa(i) + "\n")
	}
	var rows []int
	opt := options(t)
	opt.Batch = 2
	if _, err := intake.Read(t.Context(), strings.NewReader(text.String()), "x.csv", opt, func(patches []intake.Patch) error {
		for _, p := range patches {
			rows = append(rows, p.Rows)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{4, 4, 4, 4, 4}, rows); diff != "" {
		t.Errorf("rows of each patch (-want +got):\n%s", diff)
	}
}
