package intake_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/intake"
)

// dealers makes the book of one dealer of a country.
func dealers(country, zone, format string) func(*intake.Options) {
	return func(o *intake.Options) {
		o.Book = &care.Book{Dealers: []*care.Dealer{{Dealer: "d", Country: country, TimeZone: zone, DateFormat: format}}}
	}
}

// why joins the reasons of the rejections.
func why(stats *intake.Stats) string {
	var all []string
	for _, r := range stats.Rejections {
		all = append(all, r.Reason)
	}
	return strings.Join(all, "; ")
}

// TestANoCounts: what a rejected row says against messages reaches a customer who is there, and makes none.
func TestANoCounts(t *testing.T) {
	t.Parallel()
	const header = "id,短信同意,邮件同意,生日,手机,状态,已故,车架号,卖车日期,里程\n"
	const before = "C1,是,是,1985-12-20,13800138001,,,V1,,\n"
	refused := `"sms":{"service":false,"commercial":false}`
	for row, want := range map[string]string{
		"C1,否,,1985-13-45,,,,,,":     refused,
		"C1,否,,,1.38E+10,,,,,":       refused,
		"C1,退订,,x,,,,,,":             refused,
		"C1,也许,,,,,,,,":              refused,
		"C1,#@!,,,,,,,,":             refused,
		"C1,无,,,,,,,,":               refused,
		"C1,\x01,,,,,,,,":            refused,
		"C1,,拒绝,,12,,,,,":            `"email":{"service":false,"commercial":false}`,
		"C1,,,x,,免打扰,,,,":            refused,
		"C1,,,x,,已故,,,,":             `"holds":[{"reason":"deceased"}]`,
		"C1,,,x,,,是,,,":              `"holds":[{"reason":"deceased"}]`,
		"C1,,,x,,,2026-01-05,,,":     `"holds":[{"reason":"deceased"}]`,
		"C1,,,,,,,V1,2026-11-01,约3万": `"sold_on":"2026-11-01"`,
		"C1,,,x,,,,V1,2026年11月1日,":   `"sold_on":"2026-11-01"`,
	} {
		got, stats, _ := read(t, "x.csv", header+before+row+"\n")
		if !strings.Contains(got["C1"], want) {
			t.Errorf("%s: got %s, want %s; %+v", row, got["C1"], want, stats)
		}
		alone, _, _ := read(t, "x.csv", header+row+"\n")
		if stats.Rejected > 0 && len(alone) > 0 {
			t.Errorf("%s: a rejected row made %v", row, alone)
		}
	}
	got, stats, _ := read(t, "x.jsonl", `{"id":"C1","consent":{"sms":{"service":true,"care":true}},"vehicles":[{"id":"V1"}]}`+"\n"+
		`{"id":"C1","phone":"12","consent":{"sms":{"service":false}},"holds":[{"reason":"complaint"}],"vehicles":[{"id":"V1","sold_on":"2026-11-01"}]}`)
	want := `{"id":"C1","consent":{"sms":{"service":false,"care":false,"commercial":false}},"vehicles":[{"id":"V1","sold_on":"2026-11-01"}],"holds":[{"reason":"complaint"}]}`
	if got["C1"] != want || stats.Rejected != 1 || stats.Applied != 1 {
		t.Errorf("JSON lines: got %s, %+v", got["C1"], stats)
	}
}

// TestAllFaultsAtOnce: a row's faults are told together.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, stats, rejected := read(t, "x.csv", "id,手机,邮箱,生日\nC1,12,x,1985-02-30\n")
	if len(stats.Rejections) != 3 || stats.Rejected != 1 || !strings.Contains(rejected, "手机; 邮箱; 生日,not a phone number; not an e-mail address; no such date") {
		t.Errorf("got %+v, %s", stats, rejected)
	}
}

func TestDateOrders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ country, format, text, want, reason string }{
		{"US", "", "2/20/1985", "1985-02-20", ""},
		{"US", "", "05/04/1985", "", "two ways"},
		{"US", "MDY", "05/04/1985", "1985-05-04", ""},
		{"GB", "DMY", "05/04/1985", "1985-04-05", ""},
		{"GB", "DMY", "2/20/1985", "", "no such date"},
		{"DE", "", "05.04.1985", "", "two ways"},
		{"DE", "DMY", "05.04.1985", "1985-04-05", ""},
		{"DE", "", "05.05.1985", "1985-05-05", ""},
		{"US", "MDY", "02/20/85", "1985-02-20", ""},
		{"US", "", "02/20/85", "", "two ways"},
		{"US", "MDY", "02/20/10", "", "two ways"},
		{"US", "", "Feb 20, 1985", "1985-02-20", ""},
		{"US", "", "20-Feb-85", "1985-02-20", ""},
		{"US", "", "February 20th, 1985", "1985-02-20", ""},
		{"DE", "", "20. März 1985", "1985-03-20", ""},
		{"FR", "", "20 août 1985", "1985-08-20", ""},
		{"FR", "", "1er févr. 1985", "1985-02-01", ""},
		{"ES", "", "20 de enero de 1985", "1985-01-20", ""},
		{"TW", "", "民國74年2月20日", "1985-02-20", ""},
		{"CN", "", "民国74年2月20日", "1985-02-20", ""},
		{"TW", "", "74/02/20", "1985-02-20", ""},
		{"TW", "", "0740220", "1985-02-20", ""},
		{"TW", "", "074.02.20", "1985-02-20", ""},
		{"CN", "", "074.02.20", "", "no such date"},
		{"CN", "", "31098", "1985-02-20", ""},
		{"CN", "", "２０００年１月２日", "2000-01-02", ""},
		{"CN", "", "1985/2/20上午 0:00", "1985-02-20", ""},
		{"US", "MDY", "2/20/1985 12:00:00 AM", "1985-02-20", ""},
	} {
		got, stats, _ := read(t, "x.csv", "id,birthday\nC1,\""+tt.text+"\"\n", dealers(tt.country, "", tt.format))
		if strings.Contains(got["C1"], "birthday") != (tt.want != "") || !strings.Contains(got["C1"], tt.want) || !strings.Contains(why(stats), tt.reason) {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, text, want string }{
		{"Asia/Shanghai", "1985-02-19T16:00:00.000Z", "1985-02-20"},
		{"Asia/Shanghai", "1987-07-04T15:00:00Z", "1987-07-05"},
		{"Asia/Shanghai", "1985-02-20T00:00:00Z", "1985-02-20"},
		{"Asia/Shanghai", "1985-02-20T00:00:00+08:00", "1985-02-20"},
		{"Asia/Shanghai", "1985-02-19 16:00:00+00:00", "1985-02-20"},
		{"Asia/Shanghai", "19850219T160000Z", "1985-02-20"},
		{"America/New_York", "1985-02-20T05:00:00Z", "1985-02-20"},
		{"Europe/Berlin", "1985-02-19T23:00:00Z", "1985-02-20"},
		{"Asia/Shanghai", "1985-02-19T13:30:00Z", ""},
		{"Asia/Shanghai", "1985-02-20T00:00:00", "1985-02-20"},
	} {
		got, stats, _ := read(t, "x.csv", "id,birthday\nC1,"+tt.text+"\n", dealers("CN", tt.zone, ""))
		if strings.Contains(got["C1"], "birthday") != (tt.want != "") || !strings.Contains(got["C1"], tt.want) {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
	// Today is the dealer's.
	late := func(o *intake.Options) { o.Now = time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC) }
	got, stats, _ := read(t, "x.csv", "id,车架号,上次进厂,里程\nC1,V1,2026-12-01,5\n", dealers("CN", "Asia/Shanghai", ""), late)
	if !strings.Contains(got["C1"], `"on":"2026-12-01"`) {
		t.Errorf("got %s, %s", got["C1"], why(stats))
	}
}

func TestCalendars(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ kind, text, want string }{
		{"公历", "一九八五年二月二十日", "1985-02-20"},
		{"", "一九八五年二月二十日", "1985-02-20"},
		{"阳历", "1985年二月二十日", "1985-02-20"},
		{"公历", "一九八五年十月一日", "1985-10-01"},
		{"陽曆", "一九八五年十月三十一日", "1985-10-31"},
		{"", "1985年二月廿日", "lunar:1985-02-20"},
		{"", "1985年腊月初八", "lunar:1985-12-08"},
		{"農曆", "1985-08-15", "lunar:1985-08-15"},
		{"陰曆", "1985-08-15", "lunar:1985-08-15"},
		{"农", "1985-08-15", "lunar:1985-08-15"},
		{"Lunar", "1985-08-15", "lunar:1985-08-15"},
		{"旧历", "1985-08-15", "lunar:1985-08-15"},
		{"國曆", "1985-08-15", "1985-08-15"},
		{"", "农历1985年8月15日", "lunar:1985-08-15"},
		{"", "1985年8月15日(农历)", "lunar:1985-08-15"},
		{"公历", "农历1985年8月15日", ""},
		{"公历", "1985年闰五月初三", ""},
		{"伊斯兰历", "1985-08-15", ""},
	} {
		got, stats, _ := read(t, "x.csv", "id,生日,生日类型\nC1,"+tt.text+","+tt.kind+"\n")
		if want := `{"id":"C1","birthday":"` + tt.want + `"}`; tt.want != "" && got["C1"] != want || tt.want == "" && stats.Rejected != 1 {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
}

// TestPlaceholders: a date that stands for none is left out, and costs nothing else.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"0000-00-00", "0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1900/1/0", "1970-01-01", "9999-12-31", "00/00/0000", "2023-12-15", "1905-06-01"} {
		got, stats, _ := read(t, "x.csv", "id,name,生日\nC1,王,"+date+"\n")
		if got["C1"] != `{"id":"C1","name":"王"}` || stats.Noted != 1 || stats.Rejected > 0 {
			t.Errorf("%s: got %s, %+v", date, got["C1"], stats)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ comma, country, header, text, want string }{
		{",", "DE", "里程", "31.000", ""},
		{";", "DE", "里程", "31.000", "31000"},
		{";", "DE", "里程", "31000,00", "31000"},
		{";", "DE", "里程", "12500,5", "12500"},
		{";", "DE", "里程", "31,000", ""},
		{",", "CN", "里程", "12500,5", ""},
		{",", "CN", "里程", "31,000", "31000"},
		{",", "CN", "里程", "31000.0", "31000"},
		{",", "CN", "里程", "1.234.567", "1234567"},
		{",", "CN", "里程", "31.000,50", "31000"},
		{",", "CN", "里程", "31'000", "31000"},
		{",", "CN", "里程", "31\u00a0000", "31000"},
		{",", "CN", "里程", "３１０００", "31000"},
		{",", "CN", "里程", "3.2万公里", "32000"},
		{",", "CN", "里程", "约3万", ""},
		{",", "CN", "里程", "3.1E+04", ""},
		{",", "CN", "里程", "9999999", ""},
		{",", "US", "Mileage", "10,000", "16093"},
		{",", "US", "Mileage (km)", "10,000", "10000"},
		{",", "CN", "Mileage (mi)", "10,000", "16093"},
		{",", "CN", "里程", "19,000 mi", "30578"},
		{",", "US", "Mileage", "10000 km", "10000"},
	} {
		got, stats, _ := read(t, "x.csv", "id"+tt.comma+"vin"+tt.comma+tt.header+"\nC1"+tt.comma+"V1"+tt.comma+`"`+tt.text+"\"\n", dealers(tt.country, "", ""))
		if tt.want != "" && !strings.Contains(got["C1"], `"km":`+tt.want+"}") || tt.want == "" && stats.Rejected != 1 {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
	for id, want := range map[string]string{"100001.0": "100001", "100001.00": "100001", `"=""0123"""`: "0123", "１００": "100", "1.00001E+05": "", "12E4": "12E4"} {
		got, stats, _ := read(t, "x.csv", "id,name\n"+id+",x\n")
		if want != "" && got[want] == "" || want == "" && stats.Rejected != 1 {
			t.Errorf("%s: got %v, %s", id, got, why(stats))
		}
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	for cells, want := range map[string]string{
		"13800138001,021-50001234":  `"phone":"+8613800138001","phone_other":"+862150001234"`,
		",021-50001235":             `"phone":"+862150001235"`,
		"021-50001234,13800138001":  `"phone":"+8613800138001","phone_other":"+862150001234"`,
		"13800138001/13900139001,":  `"phone":"+8613800138001","phone_other":"+8613900139001"`,
		"021-50001234;13900139001,": `"phone":"+8613900139001","phone_other":"+862150001234"`,
		"13800138001(妻),":           `"phone":"+8613800138001"`,
		`"13,800,138,001",`:         `"phone":"+8613800138001"`,
		`"=""13800138001""",`:       `"phone":"+8613800138001"`,
		"13800138001,13800138001":   `"phone":"+8613800138001"`,
	} {
		got, stats, _ := read(t, "x.csv", "id,手机,联系电话\nC1,"+cells+"\n")
		if got["C1"] != `{"id":"C1",`+want+"}" {
			t.Errorf("%s: got %s, %s", cells, got["C1"], why(stats))
		}
	}
}

// TestEvidence: an encoding is known by what the bytes look like, and doubt is refused.
func TestEvidence(t *testing.T) {
	t.Parallel()
	for want, tt := range map[string]struct {
		enc  encoding.Encoding
		name string
	}{
		intake.Windows1252: {charmap.Windows1252, "Jürgen Müller"}, intake.GB18030: {simplifiedchinese.GB18030, "王小明"},
		intake.Big5: {traditionalchinese.Big5, "陳小明"}, intake.UTF16Bare: {unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "王小明"},
		intake.UTF16BE: {unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "王小明"}, intake.UTF16BEBare: {unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "Müller"},
	} {
		raw, err := tt.enc.NewEncoder().String("customer id,name,email\nC1," + tt.name + ",\nC2," + tt.name + ",broken\n")
		if err != nil {
			t.Fatal(err)
		}
		got, stats, rejected := read(t, "x.csv", raw)
		if got["C1"] != `{"id":"C1","name":"`+tt.name+`"}` || stats.Encoding != want {
			t.Errorf("%s: got %s in %s", want, got["C1"], stats.Encoding)
		}
		row, _ := tt.enc.NewEncoder().String("C2," + tt.name + ",broken,")
		if row = strings.TrimPrefix(row, "\xfe\xff"); !strings.Contains(rejected, row) {
			t.Errorf("%s: rejected %q has no %q", want, rejected, row)
		}
	}
	sjis, _ := japanese.ShiftJIS.NewEncoder().String("customer id,name\nC1,山田太郎\n")
	if _, err := intake.Read(t.Context(), strings.NewReader(sjis), "x.csv", options(t), records{}.apply); err == nil || !strings.Contains(err.Error(), "--encoding") {
		t.Errorf("Shift JIS: got %v", err)
	}
	latin, _ := charmap.Windows1252.NewEncoder().String("customer id,name\nC1,É\n")
	got, _, _ := read(t, "x.csv", latin, func(o *intake.Options) { o.Encoding = intake.Windows1252 })
	if got["C1"] != `{"id":"C1","name":"É"}` {
		t.Errorf("asked for: got %v", got)
	}
}

func TestShapesOfFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"CR": "id,name\rC1,王\rC2,李\r", "CRLF": "id,name\r\nC1,王\r\nC2,李\r\n", "LF": "id,name\nC1,王\nC2,李", "CR, LF in quotes": "id,name,x\rC1,王,\"a\nb\"\rC2,李,\r"} {
		got, stats, _ := read(t, "x.csv", text)
		if len(got) != 2 || got["C2"] != `{"id":"C2","name":"李"}` {
			t.Errorf("%s: got %v, %s", name, got, why(stats))
		}
	}
	for text, want := range map[string]string{
		"客户编号,客户信息,,\n,姓名,手机,车架号\nM1,王,13800138001,V1\n": "two rows",
		"<html><table><tr><td>id</td></tr></table>":      "save it as .xlsx",
		"\xd0\xcf\x11\xe0xxxx": "save it as .xlsx",
	} {
		if _, err := intake.Read(t.Context(), strings.NewReader(text), "x.csv", options(t), records{}.apply); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	_, _, rejected := read(t, "x.csv", "id,name\n,＝1+1\n,\"\n=1\"\n")
	if !strings.Contains(rejected, ",'＝1+1,") || !strings.Contains(rejected, "\"'\n=1\"") {
		t.Errorf("formulas: %q", rejected)
	}
}

func TestHeadersOfSystems(t *testing.T) {
	t.Parallel()
	got, stats, _ := read(t, "x.csv", "Customer Number,First Name,Last Name,Cell Phone,Opt In SMS,VIN,Last RO Date,Last RO Mileage\nC1,Ann,Smith,(212) 555-0123,N,1G4GMPFN0A0000001,2026-05-02,\"10,000\"\n", dealers("US", "America/New_York", ""))
	if want := `{"id":"C1","name":"Ann Smith","phone":"+12125550123","consent":{"sms":{"service":false,"commercial":false}},"vehicles":[{"id":"1G4GMPFN0A0000001","visits":[{"closed_on":"2026-05-02","km":16093}]}]}`; got["C1"] != want || len(stats.Ignored) > 0 {
		t.Errorf("got %s, %+v", got["C1"], stats)
	}
	got, stats, _ = read(t, "x.csv", "客戶編號,姓名,手機號碼,車身號碼,領牌日期,簡訊同意,退訂\nC1,陳小明,0912-345-678,V1,113.03.01,是,\n", dealers("TW", "Asia/Taipei", ""))
	if want := `{"id":"C1","name":"陳小明","phone":"+886912345678","consent":{"sms":{"service":true}},"vehicles":[{"id":"V1","delivered_on":"2024-03-01"}]}`; got["C1"] != want || len(stats.Ignored) > 0 {
		t.Errorf("got %s, %+v", got["C1"], stats)
	}
}

func TestSalutations(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"John Smith Jr.": "Mr. Smith", "John Smith III": "Mr. Smith", `"Smith, John"`: "Mr. Smith", `"John Smith, PhD"`: "Mr. Smith", "Dr. John Smith": "Dr. Smith",
		"Ludwig van Beethoven": "Mr. van Beethoven", "Acme Motors LLC": "", "WANG XIAOMING": "", "John and Mary Smith": "", "John Smith 2": "",
		"王小明(父亲)": "王先生", "欧阳": "欧阳先生", "歐陽超": "歐陽先生", "上海大众出租": "", "沪A12345车主": "", "王先生": "王先生", "王总": "王总", "第一汽车修理厂": "", "#N/A": "", "Владимир": "",
	} {
		got, _, _ := read(t, "x.csv", "id,name,gender\nC1,"+name+",M\n")
		if !strings.Contains(got["C1"], `"salutation":"`+want+`"`) && want != "" || want == "" && strings.Contains(got["C1"], "salutation") {
			t.Errorf("%s: got %s, want %s", name, got["C1"], want)
		}
	}
}
