package intake_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/intake"
)

// read reads a file's text and returns the records by id, the rejections, and the file of rejected rows.
func read(t *testing.T, name, text string, change ...func(*intake.Options)) (map[string]string, *intake.Stats, string) {
	t.Helper()
	opt, store := options(t), records{}
	var rejected bytes.Buffer
	opt.Rejected = func(int) (io.Writer, error) { return &rejected, nil }
	for _, f := range change {
		f(&opt)
	}
	stats, err := intake.Read(t.Context(), strings.NewReader(text), name, opt, store.apply)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, r := range store {
		if _, defects, err := record.Decode(r); err != nil || len(defects) > 0 {
			t.Errorf("%s: %s: %v %v", id, r, err, defects)
		}
		got[id] = string(r)
	}
	return got, stats, rejected.String()
}

// TestRows holds what one row comes to; the first line of each text is the header.
func TestRows(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want, column, reason string }{
		"English":           {"id,name,email,mobile\nC1,John Smith,j@Example.com,138 0013 8000", `{"id":"C1","name":"John Smith","email":"j@example.com","phone":"+8613800138000"}`, "", ""},
		"semicolons":        {"id;name\nC1;王小明", `{"id":"C1","name":"王小明"}`, "", ""},
		"tabs":              {"id\tname\nC1\t王小明", `{"id":"C1","name":"王小明"}`, "", ""},
		"marks in headers":  {"*客户编号,手机号码(必填),客户 姓名\nC1,13800138000,王", `{"id":"C1","name":"王","phone":"+8613800138000"}`, "", ""},
		"a title above":     {"客户资料导出 2026,,\n,,\n客户编号,姓名,x\nC1,王,1", `{"id":"C1","name":"王"}`, "", ""},
		"sep line":          {"sep=;\nid;name\nC1;王", `{"id":"C1","name":"王"}`, "", ""},
		"quoted":            {"id,name,grade\nC1,\"王, \"\"小\"\"明\",A", `{"id":"C1","name":"王, \"小\"明","grade":"A"}`, "", ""},
		"short row":         {"id,name,grade\nC1,王", `{"id":"C1","name":"王"}`, "", ""},
		"blank is nothing":  {"id,name,grade,phone,birthday\nC1,王,,-,无", `{"id":"C1","name":"王"}`, "", ""},
		"a man":             {"id,姓名,性别\nC1,王小明,男", `{"id":"C1","name":"王小明","salutation":"王先生"}`, "", ""},
		"a woman":           {"id,姓名,性别\nC1,欧阳超,女", `{"id":"C1","name":"欧阳超","salutation":"欧阳女士"}`, "", ""},
		"欧阳 alone":          {"id,姓名,性别\nC1,欧阳,男", `{"id":"C1","name":"欧阳","salutation":"欧阳先生"}`, "", ""},
		"beyond the BMP":    {"id,姓名,性别\nC1,𠮷田,男", `{"id":"C1","name":"𠮷田","salutation":"𠮷先生"}`, "", ""},
		"long name":         {"id,姓名,性别\nC1,阿依古丽·买买提,女", `{"id":"C1","name":"阿依古丽·买买提","salutation":"阿依古丽·买买提女士"}`, "", ""},
		"a firm":            {"id,姓名,性别\nC1,上海某某有限公司,男", `{"id":"C1","name":"上海某某有限公司"}`, "", ""},
		"Latin":             {"id,name,gender\nC1,John Smith,male", `{"id":"C1","name":"John Smith","salutation":"Mr. Smith"}`, "", ""},
		"own salutation":    {"id,姓名,性别,称呼\nC1,王小明,男,王总", `{"id":"C1","name":"王小明","salutation":"王总"}`, "", ""},
		"consent":           {"id,短信同意,邮件同意\nC1,是,否", `{"id":"C1","consent":{"sms":{"service":true},"email":{"service":false,"commercial":false}}}`, "", ""},
		"consent blank":     {"id,短信同意,邮件同意,姓名\nC1,,,王", `{"id":"C1","name":"王"}`, "", ""},
		"consent ads":       {"id,短信同意,短信营销同意\nC1,是,是", `{"id":"C1","consent":{"sms":{"service":true,"commercial":true}}}`, "", ""},
		"consent unclear":   {"id,短信同意\nC1,也许", "", "短信同意", "neither yes nor no"},
		"consent both ways": {"id,短信同意,短信营销同意\nC1,否,是", "", "短信营销同意", "two columns say different things"},
		"advisor by name":   {"id,服务顾问\nC1,陈志强", `{"id":"C1","advisor":"chen"}`, "", ""},
		"advisor by id":     {"id,服务顾问\nC1,chen", `{"id":"C1","advisor":"chen"}`, "", ""},
		"other advisor":     {"id,服务顾问\nC1,吴敏", `{"id":"C1","advisor":"吴敏"}`, "", ""},
		"dealer by name":    {"id,门店\nC1,浦东别克", `{"id":"C1","dealer":"sh-pudong"}`, "", ""},
		"other dealer":      {"id,门店\nC1,浦西", "", "门店", "no such dealer in the care book"},
		"tags":              {"id,标签\nC1,ev;vip、golf", `{"id":"C1","tags":["ev","vip","golf"]}`, "", ""},
		"zone":              {"id,time_zone\nC1,America/New_York", `{"id":"C1","time_zone":"America/New_York"}`, "", ""},
		"no zone":           {"id,time_zone\nC1,Shanghai", "", "time_zone", "no such time zone"},
		"vehicle": {
			"id,车架号,车牌号,品牌,车型,年款,购车日期,保险到期日,年检到期日,质保到期日,质保里程\nC1,lsghxrt911e8rm77m,沪A12345,别克,君威,2024款,2024/3/1,2027年2月28日,47573,20270301,\"60,000\"",
			`{"id":"C1","vehicles":[{"id":"LSGHXRT911E8RM77M","plate":"沪A12345","make":"Buick","model":"君威","model_year":2024,"delivered_on":"2024-03-01","warranty":{"until":"2027-03-01","km":60000},"insurance_until":"2027-02-28","inspection_due":"2030-03-31"}]}`, "", "",
		},
		"visit":               {"id,车架号,上次进厂,上次进厂里程,工单号\nC1,V1,2026-05-02 10:30:00,\"31,000公里\",RO-1", `{"id":"C1","vehicles":[{"id":"V1","visits":[{"order":"RO-1","closed_on":"2026-05-02","km":31000}]}]}`, "", ""},
		"visit without km":    {"id,车架号,上次进厂\nC1,V1,2026-05-02", `{"id":"C1","vehicles":[{"id":"V1","visits":[{"closed_on":"2026-05-02"}]}]}`, "", ""},
		"km without visit":    {"id,车架号,上次进厂,上次进厂里程\nC1,V1,,31000", "", "上次进厂里程", "a mileage without the date of the visit"},
		"new car":             {"id,车架号,上次进厂,上次进厂里程\nC1,V1,,0", `{"id":"C1","vehicles":[{"id":"V1"}]}`, "", ""},
		"odometer today":      {"id,车架号,里程\nC1,V1,31000", `{"id":"C1","vehicles":[{"id":"V1","odometer":[{"on":"2026-11-22","km":31000}]}]}`, "", ""},
		"odometer then":       {"id,车架号,里程,里程日期\nC1,V1,31000.0,2026.5.2", `{"id":"C1","vehicles":[{"id":"V1","odometer":[{"on":"2026-05-02","km":31000}]}]}`, "", ""},
		"two vehicles":        {"id,车架号,车型\nC1,V1,君威\nC1,V2,君越", `{"id":"C1","vehicles":[{"id":"V1","model":"君威"},{"id":"V2","model":"君越"}]}`, "", ""},
		"two visits":          {"id,车架号,上次进厂\nC1,V1,2026-05-02\nC1,V1,2026-06-02", `{"id":"C1","vehicles":[{"id":"V1","visits":[{"closed_on":"2026-05-02"},{"closed_on":"2026-06-02"}]}]}`, "", ""},
		"no vehicle":          {"id,车架号,车型\nC1,,君威", "", "车架号", "no vehicle id"},
		"bad vehicle":         {"id,车架号\nC1,V 1", "", "车架号", "not a valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -"},
		"vehicle with braces": {"id,车架号\nC1,V{1}", "", "车架号", "braces are not allowed in an id"},
		"bad id":              {"id,name\nC 1,王", "", "id", "not a valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -"},
		"bad year":            {"id,车架号,年款\nC1,V1,24", "", "年款", "not a model year"},
		"odometer of words":   {"id,车架号,里程\nC1,V1,很多", "", "里程", "not a whole number"},
		"odometer too large":  {"id,车架号,里程\nC1,V1,99999999", "", "里程", "more than any car has driven"},
		"visit in future":     {"id,车架号,上次进厂\nC1,V1,2026-11-23", "", "上次进厂", "in the future"},
		"bad date":            {"id,车架号,保险到期日\nC1,V1,2027-02-29", "", "保险到期日", "no such date"},
		"bad date words":      {"id,车架号,保险到期日\nC1,V1,明年", "", "保险到期日", "no such date"},
		"American date":       {"id,车架号,保险到期日\nC1,V1,2/28/2027", `{"id":"C1","vehicles":[{"id":"V1","insurance_until":"2027-02-28"}]}`, "", ""},
		"too many cells":      {"id,name\nC1,王,x", "", "", "more cells than columns"},
		"control character":   {"id,name\nC1,王\x01", "", "name", "unreadable characters"},
		"invisible":           {"id,name\nC1\u200b,\u202d王小明\u202c\u2028", `{"id":"C1","name":"王小明"}`, "", ""},
		"two columns agree":   {"id,手机号,联系电话\nC1,13800138000,13800138000", `{"id":"C1","phone":"+8613800138000"}`, "", ""},
		"two numbers":         {"id,手机号,联系电话\nC1,13800138000,13900139000", `{"id":"C1","phone":"+8613800138000","phone_other":"+8613900139000"}`, "", ""},
		"two columns differ":  {"id,手机号,邮箱,mail\nC1,13800138000,a@example.com,b@example.com", "", "mail", "two columns say different things"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stats, _ := read(t, "x.csv", tt.text)
			if got["C1"] != tt.want {
				t.Errorf("record:\n got %s\nwant %s\n%+v", got["C1"], tt.want, stats)
			}
			switch {
			case tt.reason == "" && stats.Rejected > 0:
				t.Errorf("rejected: %+v", stats.Rejections)
			case tt.reason != "" && (stats.Rejected != 1 || stats.Rejections[0].Column != tt.column || stats.Rejections[0].Reason != tt.reason):
				t.Errorf("rejected: got %+v, want %q: %q", stats.Rejections, tt.column, tt.reason)
			}
		})
	}
}

func TestBirthdays(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ kind, text, want, reason string }{
		"ISO":                 {"", "1985-02-20", "1985-02-20", ""},
		"slashes":             {"", "1985/2/20", "1985-02-20", ""},
		"dots":                {"", "1985.2.20", "1985-02-20", ""},
		"words":               {"公历", "1985年2月20日", "1985-02-20", ""},
		"compact":             {"", "19850220", "1985-02-20", ""},
		"serial":              {"", "31098", "1985-02-20", ""},
		"serial with time":    {"", "31098.5", "1985-02-20", ""},
		"with time":           {"", "1985-02-20 00:00:00", "1985-02-20", ""},
		"with T":              {"", "1985-02-20T00:00:00Z", "1985-02-20", ""},
		"no year":             {"", "--02-20", "--02-20", ""},
		"no year, words":      {"", "2月20日", "--02-20", ""},
		"no year, slash":      {"", "2/20", "--02-20", ""},
		"no year, leap day":   {"", "2月29日", "--02-29", ""},
		"leap day":            {"", "1984-02-29", "1984-02-29", ""},
		"no leap day":         {"", "1985-02-29", "", "no such date"},
		"zeros":               {"", "0000-00-00", "none", ""},
		"month 13":            {"", "1985-13-01", "", "no such date"},
		"a year":              {"", "1985", "", "no such date"},
		"future":              {"", "2026-11-23", "", "in the future"},
		"today":               {"", "2026-11-22", "none", ""},
		"lunar words":         {"农历", "1999年四月廿八", "lunar:1999-04-28", ""},
		"lunar without type":  {"", "1999年四月廿八", "lunar:1999-04-28", ""},
		"lunar, called solar": {"公历", "1999年四月廿八", "1999-04-28", ""},
		"Chinese year":        {"农历", "一九九九年四月廿八日", "lunar:1999-04-28", ""},
		"first month":         {"农历", "1990年正月初一", "lunar:1990-01-01", ""},
		"eleventh":            {"农历", "1990年冬月十一", "lunar:1990-11-11", ""},
		"twelfth":             {"农历", "1990年腊月二十", "lunar:1990-12-20", ""},
		"十一月":                 {"农历", "1990年十一月二十九", "lunar:1990-11-29", ""},
		"初十":                  {"农历", "1990年二月初十", "lunar:1990-02-10", ""},
		"卅":                   {"农历", "1990年二月卅", "lunar:1990-02-30", ""},
		"leap month":          {"农历", "1990年闰五月初三", "lunar:1990-L05-03", ""},
		"no leap month":       {"农历", "1990年闰四月初三", "", "no such lunar date"},
		"eve":                 {"农历", "1990年除夕", "lunar:1990-12-eve", ""},
		"eve without year":    {"农历", "除夕", "lunar:--12-eve", ""},
		"lunar without year":  {"", "八月十五", "lunar:--08-15", ""},
		"lunar in digits":     {"农历", "1985-02-30", "lunar:1985-02-30", ""},
		"lunar, own form":     {"", "lunar:--L06-01", "lunar:--L06-01", ""},
		"month thirteen":      {"农历", "1990年十三月初一", "", "no such lunar date"},
		"day 31":              {"农历", "1990年正月三十一", "", "no such lunar date"},
		"day 30 of 29":        {"农历", "1990年正月三十", "", "no such lunar date"},
		"lunar digits wrong":  {"农历", "1985-02-31", "", "no such lunar date"},
		"lunar future":        {"农历", "2031年正月初一", "", "in the future"},
		"nonsense":            {"农历", "四月", "", "no such date"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stats, _ := read(t, "x.csv", "id,生日,生日类型\nC1,"+tt.text+","+tt.kind)
			want := ""
			if tt.want == "none" {
				want = `{"id":"C1"}`
			} else if tt.want != "" {
				want = `{"id":"C1","birthday":"` + tt.want + `"}`
			}
			reason := ""
			if stats.Rejected > 0 {
				reason = stats.Rejections[0].Reason
			}
			if got["C1"] != want || reason != tt.reason {
				t.Errorf("got %s (%s), want %s (%s)", got["C1"], reason, want, tt.reason)
			}
		})
	}
}

// TestSerials holds the serials of spreadsheets against the calendar: 61 is 1 March 1900, 36526 is 1 January 2000.
func TestSerials(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		days := rapid.IntRange(10000, 40503).Filter(func(n int) bool { return n != 25569 }).Draw(rt, "serial") // to 16 years before; 25569 is a computer's day 0
		want := care.NewDate(2000, 1, 1).AddDays(days - 36526)
		got, _, _ := read(t, "x.csv", "id,生日\nC1,"+itoa(days))
		if got["C1"] != `{"id":"C1","birthday":"`+want.String()+`"}` {
			rt.Errorf("serial %d: got %s, want %s", days, got["C1"], want)
		}
	})
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// TestEncodings: the same rows in any encoding, even where the first thousands of rows are plain ASCII, read byte by byte too.
func TestEncodings(t *testing.T) {
	t.Parallel()
	var ascii strings.Builder
	ascii.WriteString("id,name\n")
	for i := range 20000 {
		ascii.WriteString("A" + itoa(i) + ",Smith\n")
	}
	for name, text := range map[string]string{"Chinese header": "客户编号,姓名\nC1,王小明\nC2,𠮷田\n", "ASCII first": ascii.String() + "C1,王小明\nC2,𠮷田\n"} {
		gb, err := simplifiedchinese.GB18030.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		for encoding, raw := range map[string]string{intake.UTF8: text, intake.UTF8BOM: "\ufeff" + text, intake.GB18030: gb, intake.UTF16: utf16} {
			t.Run(name+"/"+encoding, func(t *testing.T) {
				t.Parallel()
				got, stats, _ := read(t, "x.csv", raw)
				if got["C1"] != `{"id":"C1","name":"王小明"}` || got["C2"] != `{"id":"C2","name":"𠮷田"}` || stats.Encoding != encoding {
					t.Errorf("got %s, %s in %s", got["C1"], got["C2"], stats.Encoding)
				}
				if name == "ASCII first" {
					return
				}
				store := records{}
				if _, err := intake.Read(t.Context(), iotest.OneByteReader(strings.NewReader(raw)), "x.csv", options(t), store.apply); err != nil || string(store["C2"]) != got["C2"] {
					t.Errorf("byte by byte: got %s, %v", store["C2"], err)
				}
			})
		}
	}
}

// TestBrokenQuotes: a quote that is never closed costs its own row and none of those that follow.
func TestBrokenQuotes(t *testing.T) {
	t.Parallel()
	text := "id,name,grade\nC1,\"王,A\nC2,李,B\nC3,\"赵\"x,A\nC4,\"钱\n孙\",C\nC5,周,A\n"
	for range 60 {
		text += "X,,\n"
	}
	got, stats, rejected := read(t, "x.csv", text)
	want := map[string]string{"C2": `{"id":"C2","name":"李","grade":"B"}`, "C5": `{"id":"C5","name":"周","grade":"A"}`, "X": `{"id":"X"}`}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	wantRejections := []intake.Rejection{
		{Line: 2, Reason: "quotes do not match"}, {Line: 4, Reason: "quotes do not match"}, {Line: 5, Customer: "C4", Column: "name", Reason: "unreadable characters"},
	}
	if diff := gocmp.Diff(wantRejections, stats.Rejections); diff != "" {
		t.Errorf("rejections (-want +got):\n%s", diff)
	}
	if want := "id,name,grade,_column,_reason\r\n\"C1,\"\"王,A\",,,,quotes do not match\r\n"; !strings.HasPrefix(rejected, want) {
		t.Errorf("rejected rows: got %q, want %q first", rejected, want)
	}
}

func TestFormulas(t *testing.T) {
	t.Parallel()
	_, _, rejected := read(t, "x.csv", "id,name,phone,grade,email\n,=1+1,+8613800138000,@A,-x\n")
	if want := "id,name,phone,grade,email,_column,_reason\r\n,'=1+1,'+8613800138000,'@A,'-x,id; email,no customer id; not an e-mail address\r\n"; rejected != want {
		t.Errorf("got %q, want %q", rejected, want)
	}
	got, _, _ := read(t, "x.csv", "id,name,phone\nC1,'=1+1,'+8613800138000\n")
	if got["C1"] != `{"id":"C1","name":"=1+1","phone":"+8613800138000"}` {
		t.Errorf("stripped: got %s", got["C1"])
	}
}

func TestColumnMap(t *testing.T) {
	t.Parallel()
	columns := map[string]string{"会员卡": "id", "名 + 姓": "name", "备注": "-", "手机号": "-"}
	got, stats, _ := read(t, "x.csv", "会员卡,姓,名,备注,手机号\nC1,王,小明,x,没有\nC2,Smith,John,,\n", func(o *intake.Options) { o.Columns = columns })
	if got["C1"] != `{"id":"C1","name":"王小明"}` || got["C2"] != `{"id":"C2","name":"John Smith"}` || stats.Rejected > 0 || len(stats.Ignored) > 0 {
		t.Errorf("got %v, %+v", got, stats)
	}
	_, err := intake.Read(t.Context(), strings.NewReader("id\nC1\n"), "x.csv", intake.Options{Columns: map[string]string{"x": "nmae"}}, records{}.apply)
	if want := `import: the map of columns says "x" is "nmae": write one of id, dealer,`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDealerAndCountry(t *testing.T) {
	t.Parallel()
	got, _, _ := read(t, "x.csv", "id,phone\nC1,(212) 555-0123\n", func(o *intake.Options) {
		o.Book.Dealers = append(o.Book.Dealers, &care.Dealer{Dealer: "nyc", Country: "US"})
		o.Dealer = "nyc"
	})
	if got["C1"] != `{"id":"C1","dealer":"nyc","phone":"+12125550123"}` {
		t.Errorf("got %s", got["C1"])
	}
}

func TestNoHeader(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "name,phone\n王,1\n", strings.Repeat("x\n", 100)} {
		_, err := intake.Read(t.Context(), strings.NewReader(text), "x.csv", options(t), records{}.apply)
		if err == nil || !strings.Contains(err.Error(), "客户编号") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// TestErrors: what the store, the reader or the caller's patience says comes back.
func TestErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := intake.Read(t.Context(), strings.NewReader("id\nC1\n"), "x.csv", options(t), func([]intake.Patch) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("store: got %v", err)
	}
	reader := io.MultiReader(strings.NewReader("id\nC1\n"), iotest.ErrReader(broken))
	if _, err := intake.Read(t.Context(), reader, "x.csv", options(t), records{}.apply); !errors.Is(err, broken) {
		t.Errorf("reader: got %v", err)
	}
	opt := options(t)
	opt.Rejected = func(int) (io.Writer, error) { return nil, broken }
	if _, err := intake.Read(t.Context(), strings.NewReader("id,name\n,x\n"), "x.csv", opt, records{}.apply); !errors.Is(err, broken) {
		t.Errorf("rejected: got %v", err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	text := "id\nC1\nC2\nC3\n"
	var bytes int64
	rows, calls := 0, 0
	read(t, "x.csv", text, func(o *intake.Options) {
		o.Batch = 1
		o.Progress = func(b int64, r int) { bytes, rows, calls = b, r, calls+1 }
	})
	if bytes != int64(len(text)) || rows != 3 || calls < 3 {
		t.Errorf("got %d bytes, %d rows in %d calls", bytes, rows, calls)
	}
}

func TestJSONL(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"id":"C1","name":"王","phone":"138 0013 8000","x":1,"vehicles":[{"id":"V1","sold_on":null}]}`,
		``,
		`{"id":"C1","grade":"A","vehicles":[{"id":"V1","plate":"沪A"},{"id":"V2"}]}`,
		`{"id":"C2","phone":"1.3E+10"}`,
		`{"id":"C3","vehicles":[{"id":"V1","delivered_on":"2026-02-30"}]}`,
		`{"name":"x"}`,
		`{"id":"{x}"}`,
		`not json`,
		`{"id":"C4","birthday":"lunar:1990-L04-01"}`,
		`{"id":"C5","dealer":"nowhere"}`,
		`{"id":"C6","advisor":"陈志强","email":"a@Example.com"}`,
	}
	got, stats, rejected := read(t, "x.jsonl", strings.Join(lines, "\n"))
	want := map[string]string{
		"C1": `{"id":"C1","name":"王","phone":"+8613800138000","x":1,"vehicles":[{"id":"V1","plate":"沪A"},{"id":"V2"}],"grade":"A"}`,
		"C6": `{"id":"C6","advisor":"chen","email":"a@example.com"}`,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	wantRejections := []intake.Rejection{
		{Line: 4, Customer: "C2", Column: "$.phone", Reason: "phone in scientific notation: digits lost"},
		{Line: 5, Customer: "C3", Column: "$.vehicles[0].delivered_on", Reason: "no such date: write YYYY-MM-DD"},
		{Line: 6, Column: "$.id", Reason: "no customer id"},
		{Line: 7, Customer: "{x}", Column: "$.id", Reason: "not a valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -"},
		{Line: 8, Reason: "the record is not a JSON object"},
		{Line: 9, Customer: "C4", Column: "$.birthday", Reason: "no such lunar date"},
		{Line: 10, Customer: "C5", Column: "$.dealer", Reason: "no such dealer in the care book"},
	}
	if diff := gocmp.Diff(wantRejections, stats.Rejections); diff != "" {
		t.Errorf("rejections (-want +got):\n%s", diff)
	}
	if stats.Rows != 10 || stats.Customers != 2 || stats.Vehicles != 2 {
		t.Errorf("stats: %+v", stats)
	}
	if !strings.HasPrefix(rejected, "record,_column,_reason\r\n\"{\"\"id\"\":\"\"C2\"\",") {
		t.Errorf("rejected rows: %q", rejected)
	}
}

func TestSniffedFormats(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"jsonl": "\ufeff{\"id\":\"C1\"}\n", "csv": "id\nC1\n"} {
		got, _, _ := read(t, "upload", text)
		if got["C1"] != `{"id":"C1"}` {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestMergeRecord(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ old, patch, want string }{
		"new":            {``, `{"id":"C1","name":"王"}`, `{"id":"C1","name":"王"}`},
		"set":            {`{"id":"C1","name":"王"}`, `{"id":"C1","name":"李"}`, `{"id":"C1","name":"李"}`},
		"blank":          {`{"id":"C1","name":"王","tags":["a"]}`, `{"id":"C1","name":"","tags":[],"grade":null}`, `{"id":"C1","name":"王","tags":["a"]}`},
		"order stays":    {`{"z":1,"id":"C1","a":{"y":1,"x":2}}`, `{"id":"C1","name":"王"}`, `{"z":1,"id":"C1","a":{"y":1,"x":2},"name":"王"}`},
		"numbers stay":   {`{"id":"C1","big":12345678901234567890.10,"name":"a"}`, `{"id":"C1","name":"b"}`, `{"id":"C1","big":12345678901234567890.10,"name":"b"}`},
		"consent joins":  {`{"id":"C1","consent":{"sms":{"commercial":true,"source":"x"}}}`, `{"id":"C1","consent":{"sms":{"service":true},"email":{"service":false}}}`, `{"id":"C1","consent":{"sms":{"commercial":true,"source":"x","service":true},"email":{"service":false}}}`},
		"lists replaced": {`{"id":"C1","tags":["a","b"]}`, `{"id":"C1","tags":["c"]}`, `{"id":"C1","tags":["c"]}`},
		"vehicle by id":  {`{"id":"C1","vehicles":[{"id":"V1","plate":"a","own":1},{"id":"V2"}]}`, `{"id":"C1","vehicles":[{"id":"V2","plate":"b"},{"id":"V3"}]}`, `{"id":"C1","vehicles":[{"id":"V1","plate":"a","own":1},{"id":"V2","plate":"b"},{"id":"V3"}]}`},
		"visit by order": {`{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-01","kind":"repair"}]}]}`, `{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-02","km":5}]}]}`, `{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-02","kind":"repair","km":5}]}]}`},
		"visit by date":  {`{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-01"}]}]}`, `{"vehicles":[{"id":"V","visits":[{"closed_on":"2026-01-01","km":5},{"closed_on":"2026-02-01"}]}]}`, `{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-01","km":5},{"closed_on":"2026-02-01"}]}]}`},
		"two orders":     {`{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-01"}]}]}`, `{"vehicles":[{"id":"V","visits":[{"order":"R2","closed_on":"2026-01-01"}]}]}`, `{"vehicles":[{"id":"V","visits":[{"order":"R1","closed_on":"2026-01-01"},{"order":"R2","closed_on":"2026-01-01"}]}]}`},
		"reading":        {`{"vehicles":[{"id":"V","odometer":[{"on":"2026-01-01","km":1}]}]}`, `{"vehicles":[{"id":"V","odometer":[{"on":"2026-01-01","km":2},{"on":"2026-01-02","km":3}]}]}`, `{"vehicles":[{"id":"V","odometer":[{"on":"2026-01-01","km":2},{"on":"2026-01-02","km":3}]}]}`},
		"list was null":  {`{"id":"C1","vehicles":null}`, `{"id":"C1","vehicles":[{"id":"V"}]}`, `{"id":"C1","vehicles":[{"id":"V"}]}`},
		"no name":        {`{"vehicles":[0]}`, `{"vehicles":[{},{},{"plate":"a"},{"plate":"a"}]}`, `{"vehicles":[0,{},{"plate":"a"}]}`},
		"nothing new":    {`{ "id" : "C1", "name": "\u738b", "vehicles":[ {"id":"V","visits":[{"closed_on":"2026-01-01"}]} ] }`, `{"id":"C1","name":"王","vehicles":[{"id":"V","visits":[{"closed_on":"2026-01-01"}]}]}`, `{ "id" : "C1", "name": "\u738b", "vehicles":[ {"id":"V","visits":[{"closed_on":"2026-01-01"}]} ] }`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := intake.MergeRecord([]byte(tt.old), intake.Patch{ID: "C1", Record: []byte(tt.patch)})
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
			}
			again, err := intake.MergeRecord(got, intake.Patch{ID: "C1", Record: []byte(tt.patch)})
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("the second time changed it to %s, %v", again, err)
			}
		})
	}
	if _, err := intake.MergeRecord([]byte("[1]"), intake.Patch{ID: "C1", Record: []byte(`{"id":"C1"}`)}); !errors.Is(err, intake.ErrRecord) {
		t.Errorf("no object: got %v", err)
	}
}

// FuzzMergeRecord: what comes out is JSON with all that was there before, and the second time changes nothing.
func FuzzMergeRecord(f *testing.F) {
	f.Add([]byte(`{ "id" : "C1", "a\"b":[1,{"x":"]}"}], "vehicles":[{"id":"V"},null,5]}`), []byte(`{"vehicles":[{"id":"V","visits":[{"order":"R"}]}],"n":-1.5e3,"t":true}`))
	f.Add([]byte(`{}`), []byte(`{"":{"":""}}`))
	f.Fuzz(func(t *testing.T, old, set []byte) {
		merged, err := intake.MergeRecord(old, intake.Patch{ID: "C1", Record: set})
		if err != nil {
			return
		}
		var before, after map[string]any
		if err := json.Unmarshal(merged, &after); err != nil {
			t.Fatalf("%s + %s: %s: %v", old, set, merged, err)
		}
		if len(bytes.TrimSpace(old)) > 0 {
			if err := json.Unmarshal(old, &before); err != nil {
				t.Fatalf("%s was taken: %v", old, err)
			}
		}
		for name := range before {
			if _, ok := after[name]; !ok {
				t.Fatalf("%s + %s: %s lost %q", old, set, merged, name)
			}
		}
		if again, err := intake.MergeRecord(merged, intake.Patch{ID: "C1", Record: set}); err != nil || !bytes.Equal(again, merged) {
			t.Fatalf("%s + %s: first %s, then %s, %v", old, set, merged, again, err)
		}
	})
}

// FuzzRead: whatever a file holds, reading ends, and every record that comes of it can be decoded without a defect.
func FuzzRead(f *testing.F) {
	f.Add("x.csv", []byte("id,name,生日,车架号\nC1,\"a\"\"b\",1999年四月廿八,V1\n"))
	f.Add("x.csv", []byte("客户编号;手机号\n\"C1;1\n"))
	f.Add("x.jsonl", []byte(`{"id":"C1","vehicles":[{"id":"V"}]}`))
	f.Add("x.vcf", []byte("BEGIN:VCARD\nUID:C1\nFN:x\nBDAY:--0415\nEND:VCARD\n"))
	lunar := lunarMonths(f)
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if strings.HasSuffix(strings.ToLower(name), "x") || bytes.HasPrefix(raw, []byte("PK")) {
			t.Skip("workbooks are excelize's to fuzz")
		}
		opt := intake.Options{Book: book(), Now: noon, LunarDate: lunar, Rejected: func(int) (io.Writer, error) { return io.Discard, nil }}
		store := records{}
		if _, err := intake.Read(t.Context(), bytes.NewReader(raw), name, opt, store.apply); err != nil {
			return
		}
		for id, r := range store {
			if c, defects, err := record.Decode(r); err != nil || len(defects) > 0 || c.ID != id {
				t.Errorf("%s: %s: %v %v", id, r, err, defects)
			}
		}
	})
}
