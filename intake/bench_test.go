package intake_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/carebell/carebell/intake"
)

// BenchmarkRead reads rows as a Chinese dealership exports them; the store costs nothing.
func BenchmarkRead(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("客户编号,客户姓名,性别,手机号,邮箱,生日,生日类型,客户等级,短信同意,邮件同意,车架号,车牌号,品牌,车型,年款,购车日期,上次进厂日期,上次进厂里程,保险到期日,年检到期日\n")
	const rows = 20000
	for i := range rows {
		fmt.Fprintf(&text, "C%07d,王小明,男,13%09d,c%d@example.com,19%02d-01-1%d,公历,A,是,否,LSG%014d,沪A%05d,别克,君威,2024,2024-03-01,2026-05-1%d,%d,2027-01-01,2028-03-31\n",
			i, 800000000+i, i, 60+i%40, i%9, i, i%100000, i%9, 10000+i)
	}
	opt := intake.Options{}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		stats, err := intake.Read(b.Context(), bytes.NewReader(text.Bytes()), "x.csv", opt, func([]intake.Patch) error { return nil })
		if err != nil || stats.Rows != rows {
			b.Fatal(stats, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
