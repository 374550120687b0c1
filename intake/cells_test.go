package intake_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/intake"
)

// TestDatesAsTheyAre holds further ways to write a date, by the dealer's country and date_format. "" = refused.
func TestDatesAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ country, format, text, want string }{
		{"CN", "", "1985年02月20日 星期三", "1985-02-20"},
		{"CN", "", "1985年2月20日（周三）", "1985-02-20"},
		{"CN", "", "1985年2月20号", "1985-02-20"},
		{"CN", "", "1985-2-20", "1985-02-20"},
		{"CN", "", "1985 02 20", "1985-02-20"},
		{"CN", "", "1985.02.20.", "1985-02-20"},
		{"CN", "", "1985、2、20", "1985-02-20"},
		{"CN", "", "1985—02—20", "1985-02-20"},
		{"CN", "", "1985－02－20", "1985-02-20"},
		{"CN", "", "1985_02_20", "1985-02-20"},
		{"CN", "", `1985\2\20`, "1985-02-20"},
		{"CN", "", "19850220", "1985-02-20"},
		{"CN", "", "19850220000000", "1985-02-20"},
		{"CN", "", "1985-02-20 00:00:00.0", "1985-02-20"},
		{"CN", "", "1985-02-20T00:00", "1985-02-20"},
		{"CN", "", "1985/02/20 下午 3:05:00", "1985-02-20"},
		{"CN", "", "31098.0", "1985-02-20"},
		{"CN", "", "31098.75", "1985-02-20"},
		{"CN", "", "二月二十日", "--02-20"},
		{"CN", "", "2月20日", "--02-20"},
		{"CN", "", "20/02", ""},
		{"CN", "", "1985-02-29", ""},
		{"CN", "", "1985-13-01", ""},
		{"CN", "", "85-02-20", ""},
		{"CN", "", "5/4/1985", ""},
		{"CN", "", "1985", ""},
		{"CN", "", "1985-02", ""},
		{"CN", "", "约1985年", ""},
		{"CN", "", "1985-02-20 至 1990-01-01", ""},
		{"CN", "", "477705600", ""},
		{"US", "", "Wed Feb 20 1985 00:00:00 GMT-0500 (Eastern Standard Time)", "1985-02-20"},
		{"US", "", "Wednesday, February 20, 1985", "1985-02-20"},
		{"US", "", "Feb. 20, 1985", "1985-02-20"},
		{"US", "", "20 Feb 1985", "1985-02-20"},
		{"US", "", "20-FEB-1985", "1985-02-20"},
		{"US", "", "20FEB1985", "1985-02-20"},
		{"US", "", "1985-Feb-20", "1985-02-20"},
		{"US", "", "Sept 3, 1985", "1985-09-03"},
		{"US", "", "the 3rd of March 1985", "1985-03-03"},
		{"US", "", "Febuary 20, 1985", ""},
		{"US", "MDY", "2-20-1985", "1985-02-20"},
		{"US", "MDY", "02201985", "1985-02-20"},
		{"US", "MDY", "1985-02-20", "1985-02-20"},
		{"US", "MDY", "20/2/1985", ""},
		{"US", "MDY", "2/20/85 12:00 AM", "1985-02-20"},
		{"GB", "DMY", "20/2/85", "1985-02-20"},
		{"GB", "DMY", "03-04-1985", "1985-04-03"},
		{"DE", "DMY", "3.4.1985", "1985-04-03"},
		{"DE", "", "3. April 1985", "1985-04-03"},
		{"DE", "", "03.Okt.1985", "1985-10-03"},
		{"DE", "", "13.04.1985", "1985-04-13"},
		{"FR", "", "14 juillet 1985", "1985-07-14"},
		{"FR", "", "le 14 déc. 1985", "1985-12-14"},
		{"ES", "", "3 de mayo de 1985", "1985-05-03"},
		{"IT", "", "3 maggio 1985", "1985-05-03"},
		{"PT", "", "3 de março de 1985", "1985-03-03"},
		{"NL", "", "3 maart 1985", "1985-03-03"},
		{"TW", "", "中華民國74年2月20日", "1985-02-20"},
		{"TW", "", "民國 74 年 2 月 20 日", "1985-02-20"},
		{"TW", "", "民國七十四年二月二十日", "1985-02-20"},
		{"TW", "", "民國074/02/20", "1985-02-20"},
		{"TW", "", "民74.2.20", "1985-02-20"},
		{"TW", "", "74年2月20日", "1985-02-20"},
		{"TW", "", "74-2-20", "1985-02-20"},
		{"TW", "", "７４／２／２０", "1985-02-20"},
		{"TW", "", "740220", ""},
		{"TW", "", "1985/02/20", "1985-02-20"},
		{"TW", "YMD", "074/02/20", "1985-02-20"},
		{"TW", "YMD", "0740220", "1985-02-20"},
		{"HK", "", "民國74年2月20日", "1985-02-20"},
		{"US", "", "074/02/20", ""},
		{"CN", "", "民国七十四年二月二十日", "1985-02-20"},
		{"CN", "", "民国74年13月20日", ""},
	} {
		got, stats, _ := read(t, "x.csv", "id,birthday\nC1,\""+tt.text+"\"\n", dealers(tt.country, "", tt.format))
		want := `{"id":"C1","birthday":"` + tt.want + `"}`
		if tt.want != "" && got["C1"] != want || tt.want == "" && stats.Rejected != 1 {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
}

// TestMorePlaceholders: zeros as systems of other countries write them.
func TestMorePlaceholders(t *testing.T) {
	t.Parallel()
	for _, date := range []string{
		"1/0/1900", "01/00/1900", "0/1/1900", "1/1/1900", "01/01/0001", "31.12.1899", "12/30/1899", "1970-01-01T00:00:00Z", "1970-01-01 08:00:00", "1969-12-31T16:00:00Z",
		"1970年1月1日", "19700101", "00000000", "0", "0000/00/00 00:00:00", "99991231", "31/12/9999", "25569",
	} {
		got, stats, _ := read(t, "x.csv", "id,name,生日\nC1,王,"+date+"\n", dealers("CN", "Asia/Shanghai", ""))
		if got["C1"] != `{"id":"C1","name":"王"}` || stats.Noted != 1 || stats.Rejected > 0 {
			t.Errorf("birthday %s: got %s, %s", date, got["C1"], why(stats))
		}
		got, stats, _ = read(t, "x.csv", "id,vin,交车日期\nC1,V1,"+date+"\n", dealers("CN", "Asia/Shanghai", ""))
		if got["C1"] != `{"id":"C1","vehicles":[{"id":"V1"}]}` || stats.Noted != 1 || stats.Rejected > 0 {
			t.Errorf("delivery %s: got %s, %s", date, got["C1"], why(stats))
		}
	}
}

// TestDatesOfCars: dates of cars are read as birthdays are, in solar words too.
func TestDatesOfCars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"二〇二四年三月一日": "2024-03-01", "2024年三月十五日": "2024-03-15", "2024年3月1日": "2024-03-01", "2024/3/1 0:00": "2024-03-01", "45352": "2024-03-01",
		"2024-03-01T00:00:00+08:00": "2024-03-01", "2024-02-29T16:00:00Z": "2024-03-01", "民國113年3月1日": "2024-03-01", "Mar 1, 2024": "2024-03-01",
		"二〇二四年正月初一": "", "2024年3月": "", "昨天": "", "2024-02-30": "",
	} {
		got, stats, _ := read(t, "x.csv", "id,vin,交车日期\nC1,V1,\""+text+"\"\n", dealers("CN", "Asia/Shanghai", ""))
		if want != "" && !strings.Contains(got["C1"], `"delivered_on":"`+want+`"`) || want == "" && stats.Rejected != 1 {
			t.Errorf("%s: got %s, %s", text, got["C1"], why(stats))
		}
	}
}

// TestLunarWords: what says that a birthday is of the Chinese calendar, in the column beside it, in the cell, or in the header.
func TestLunarWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ header, text, kind, want string }{
		{"生日", "1985-08-15", "农历(阴历)", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "夏曆", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "舊曆", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "老历", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "農曆生日", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "阴", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "Chinese calendar", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "Lunar Calendar", "lunar:1985-08-15"},
		{"生日", "1985-08-15", "西曆", "1985-08-15"},
		{"生日", "1985-08-15", "公", "1985-08-15"},
		{"生日", "1985-08-15", "Gregorian", "1985-08-15"},
		{"生日", "1985-08-15", "新曆", "1985-08-15"},
		{"生日", "1985-08-15", "", "1985-08-15"},
		{"生日", "1985-08-15", "佛历", ""},
		{"生日", "1985-08-15", "hijri", ""},
		{"生日", "1985-08-15", "1", ""},
		{"生日", "陰曆1985年8月15日", "", "lunar:1985-08-15"},
		{"生日", "農曆 1985-08-15", "", "lunar:1985-08-15"},
		{"生日", "农历：1985/8/15", "", "lunar:1985-08-15"},
		{"生日", "1985/8/15（农历）", "", "lunar:1985-08-15"},
		{"生日", "1985年农历八月十五", "", "lunar:1985-08-15"},
		{"生日", "1985年農曆閏五月初三", "", ""}, // 1985 had no leap month 5
		{"生日", "農曆八月十五", "", "lunar:--08-15"},
		{"生日", "八月十五", "", "lunar:--08-15"},
		{"生日", "八月十五日", "", "--08-15"},
		{"生日", "八月初五", "", "lunar:--08-05"},
		{"生日", "冬月廿三", "", "lunar:--11-23"},
		{"生日", "臘月三十", "", "lunar:--12-30"},
		{"生日", "正月初一", "", "lunar:--01-01"},
		{"生日", "一九九〇年閏五月初三", "", "lunar:1990-L05-03"},
		{"生日", "一九九〇年农历闰五月初三", "", "lunar:1990-L05-03"},
		{"生日", "民國七十四年農曆八月十五", "", "lunar:1985-08-15"},
		{"生日", "農曆民國74年8月15日", "", "lunar:1985-08-15"},
		{"生日", "除夕", "", "lunar:--12-eve"},
		{"生日", "1985年除夕", "", "lunar:1985-12-eve"},
		{"生日", "大年初一", "", "lunar:--01-01"},
		{"生日", "公历一九八五年八月十五日", "", "1985-08-15"},
		{"生日", "1985年八月十五(公历)", "", "1985-08-15"},
		{"生日", "1985年八月十五", "公历", "1985-08-15"},
		{"生日", "1985年腊月初八", "公历", "1985-12-08"},
		{"生日", "一九八五年十二月三十一", "阳历", "1985-12-31"},
		{"生日", "阳历1985-08-15", "农历", ""},
		{"农历生日", "1985-08-15", "", "lunar:1985-08-15"},
		{"陰曆生日", "1985-08-15", "", "lunar:1985-08-15"},
		{"生日（农历）", "1985-08-15", "", "lunar:1985-08-15"},
		{"出生日期(農曆)", "1985/8/15", "", "lunar:1985-08-15"},
		{"Lunar Birthday", "1985-08-15", "", "lunar:1985-08-15"},
		{"Birthday (lunar)", "1985-08-15", "", "lunar:1985-08-15"},
		{"公历生日", "1985年八月十五", "", "1985-08-15"},
		{"阳历生日", "1985-08-15", "", "1985-08-15"},
		{"农历生日", "公历1985-08-15", "", ""},
	} {
		got, stats, _ := read(t, "x.csv", "id,"+tt.header+",生日类型\nC1,"+tt.text+","+tt.kind+"\n")
		if want := `{"id":"C1","birthday":"` + tt.want + `"}`; tt.want != "" && got["C1"] != want || tt.want == "" && stats.Rejected != 1 {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
}

// TestMileagesAsTheyAre holds further ways to write a mileage. "" = refused.
func TestMileagesAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ comma, country, header, text, want string }{
		{",", "CN", "里程", "32158公里", "32158"},
		{",", "CN", "里程", "32158 KM", "32158"},
		{",", "CN", "里程", "32158千米", "32158"},
		{",", "CN", "里程", "3.2万", "32000"},
		{",", "CN", "里程", "3.25 万 km", "32500"},
		{",", "CN", "里程", "3萬公里", "30000"},
		{",", "CN", "里程", "32,158.00", "32158"},
		{",", "CN", "里程", "032158", "32158"},
		{",", "CN", "里程", "32\u2009158", "32158"},
		{",", "CN", "里程", "32\u202f158", "32158"},
		{",", "CN", "里程", "32’158", "32158"},
		{",", "CN", "里程", "1,234,567", "1234567"},
		{",", "CN", "里程", "32158.5", "32158"},
		{",", "CN", "里程", "0", "0"},
		{",", "CN", "里程", "32158 Kilometer", "32158"},
		{",", "CN", "里程", "32158 kilometres", "32158"},
		{",", "CN", "里程", "31.000 km", ""},
		{",", "CN", "里程", "31,00", ""},
		{",", "CN", "里程", "31,0000", ""},
		{",", "CN", "里程", "1.500.00", ""},
		{",", "CN", "里程", "-5", ""},
		{",", "CN", "里程", "3e4", ""},
		{",", "CN", "里程", "3万2千", ""},
		{",", "CN", "里程", "30000-40000", ""},
		{",", "CN", "里程", "1600000", ""},
		{",", "CN", "里程", "换表", ""},
		{";", "DE", "Kilometerstand", "31.000", "31000"},
		{";", "DE", "Kilometerstand", "31.000,5", "31000"},
		{";", "DE", "Kilometerstand", "31 000,5", "31000"},
		{";", "FR", "kilométrage", "31 000", "31000"},
		{";", "DE", "Kilometerstand", "31000,5 km", "31000"},
		{";", "DE", "Kilometerstand", "31.00", ""},
		{";", "DE", "Kilometerstand", "31,000", ""},
		{";", "DE", "Kilometerstand", "1.234.567", "1234567"},
		{"\t", "US", "Odometer", "20,000", "32187"},
		{",", "US", "Mileage In", "20000", ""},
		{",", "US", "Odometer (miles)", "20,000", "32187"},
		{",", "US", "Odometer", "20,000 miles", "32187"},
		{",", "US", "Odometer", "20,000 mi.", "32187"},
		{",", "US", "Odometer", "20000 MI", "32187"},
		{",", "US", "Odometer [km]", "20000", "20000"},
		{",", "US", "Odometer", "20000km", "20000"},
		{",", "GB", "Mileage", "20,000", "32187"},
		{",", "CN", "Miles", "20000", "32187"},
		{",", "CN", "行驶里程(英里)", "20000", "32187"},
		{",", "CN", "里程（哩）", "20000", "32187"},
		{",", "TW", "里程數", "20000", "20000"},
		{",", "US", "Odometer", "932057", "1500000"},
		{",", "US", "Odometer", "940000", ""},
	} {
		got, stats, _ := read(t, "x.csv", "id"+tt.comma+"vin"+tt.comma+tt.header+"\nC1"+tt.comma+"V1"+tt.comma+`"`+tt.text+"\"\n", dealers(tt.country, "", ""))
		if tt.want != "" && !strings.Contains(got["C1"], `"km":`+tt.want+"}") || tt.want == "" && stats.Rejected != 1 {
			t.Errorf("%+v: got %s, %s %v", tt, got["C1"], why(stats), stats.Ignored)
		}
	}
	got, stats, _ := read(t, "x.csv", "id,vin,质保里程\nC1,V1,不限\n")
	if got["C1"] != `{"id":"C1","vehicles":[{"id":"V1"}]}` || stats.Rejected > 0 {
		t.Errorf("a warranty without an end: got %s, %s", got["C1"], why(stats))
	}
}

// TestWords holds further words of the closed vocabularies. "" = refused.
func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ header, word, want string }{
		{"短信同意", "ＹＥＳ", `"sms":{"service":true}`},
		{"短信同意", "✅", `"sms":{"service":true}`},
		{"短信同意", "已接受", `"sms":{"service":true}`},
		{"短信同意", "On", `"sms":{"service":true}`},
		{"短信同意", "enabled", `"sms":{"service":true}`},
		{"短信同意", "Accepted", `"sms":{"service":true}`},
		{"短信同意", "允許", `"sms":{"service":true}`},
		{"短信同意", "TRUE", `"sms":{"service":true}`},
		{"短信同意", "接收", `"sms":{"service":true}`},
		{"短信同意", "不接收", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "已拒绝", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "Off", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "disabled", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "未訂閱", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "Opt-Out", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "❌", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "否。", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "Nein", `"sms":{"service":false,"commercial":false}`},
		{"短信同意", "maybe", ""},
		{"短信同意", "是/否", ""},
		{"短信同意", "2", ""},
		{"性别", "男士", `"salutation":"王先生"`},
		{"性别", "♂", `"salutation":"王先生"`},
		{"性别", "Male", `"salutation":"王先生"`},
		{"性别", "Mr", `"salutation":"王先生"`},
		{"性别", "女性", `"salutation":"王女士"`},
		{"性别", "女。", `"salutation":"王女士"`},
		{"性别", "F", `"salutation":"王女士"`},
		{"性别", "Frau", `"salutation":"王女士"`},
		{"性别", "未知", `"name":"王小明"`},
		{"性别", "保密", `"name":"王小明"`},
		{"性别", "未说明的性别", `"name":"王小明"`},
		{"性别", "M/F", ""},
		{"性别", "3", ""},
		{"性别", "雄", ""},
		{"状态", "已逝", `"reason":"deceased"`},
		{"状态", "過世", `"reason":"deceased"`},
		{"状态", "离世", `"reason":"deceased"`},
		{"状态", "Passed away", `"reason":"deceased"`},
		{"状态", "DECEASED", `"reason":"deceased"`},
		{"状态", "勿打扰", `"sms":{"service":false`},
		{"状态", "拒访", `"sms":{"service":false`},
		{"状态", "Do-Not-Contact", `"sms":{"service":false`},
		{"状态", "Opt-out", `"sms":{"service":false`},
		{"状态", "拒絕聯絡", `"sms":{"service":false`},
		{"是否去世", "是", `"reason":"deceased"`},
		{"死亡日期", "2024/3/1", `"reason":"deceased"`},
		{"是否去世", "否", `"name":"王小明"`},
		{"死亡日期", "0000-00-00", `"name":"王小明"`},
		{"免打扰", "√", `"sms":{"service":false`},
		{"Do Not Contact", "Y", `"email":{"service":false`},
		{"免打扰", "否", `"name":"王小明"`},
	} {
		got, stats, _ := read(t, "x.csv", "id,name,"+tt.header+"\nC1,王小明,"+tt.word+"\n")
		if tt.want != "" && (!strings.Contains(got["C1"], tt.want) || stats.Rejected > 0) || tt.want == "" && stats.Rejected != 1 {
			t.Errorf("%+v: got %s, %s", tt, got["C1"], why(stats))
		}
	}
}

// TestNamesAsTheyAre holds further names of a man. "" = no salutation.
func TestNamesAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Smith Jr., John": "Mr. Smith", "John Smith, Jr": "Mr. Smith", "John Q. Public": "Mr. Public", "de la Cruz, Juan": "Mr. de la Cruz", "Juan de la Cruz": "Mr. de la Cruz",
		"Dr. med. Hans Müller": "Dr. Müller", "Prof. Dr. Hans Müller": "Prof. Müller", "O'Brien, Pat": "Mr. O'Brien", "JOHN SMITH": "Mr. SMITH", "john smith": "Mr. smith", "Mr. John Smith": "Mr. Smith",
		"Mr & Mrs Smith": "", "John": "", "J. Smith": "Mr. Smith", "John S.": "", "John Smith-Jones": "Mr. Smith-Jones", "John Smith (father)": "Mr. Smith",
		"John Smith CPA": "Mr. Smith", "John Smith, M.D.": "Mr. Smith", "John Smith IV": "Mr. Smith", "Smith Auto Repair": "", "ABC Inc.": "", "Estate of John Smith": "", "Smith Family Trust": "",
		"John Smith c/o Mary": "", "Test Test": "", "Nguyen Van An": "", "Kim Jong Un": "", "null": "", "undefined": "", "#VALUE!": "",
		"王小明先生": "王小明先生", "王 小明": "王先生", "王小明（已换车）": "王先生", "李总": "李总", "张经理": "张经理", "陳太太": "陳太太", "王师傅": "王师傅",
		"上官婉儿": "上官先生", "司徒": "司徒先生", "夏侯惇": "夏侯先生", "端木": "端木先生", "诸葛亮": "诸葛先生", "諸葛亮": "諸葛先生", "阿依古丽·买买提": "阿依古丽·买买提先生",
		"北京天安有限公司": "", "浦东新区人民医院": "", "顺丰物流": "", "个体户": "", "先生": "", "女士": "", "未知": "", "客户": "", "王小明/李红": "", "王小明13800138000": "",
		"某某": "", "小王": "", "老李": "", "阿明": "", "王某某": "", "山田太郎": "", "김철수": "", "李": "李先生", "测试": "", "东方红拖拉机厂": "",
	} {
		got, _, _ := read(t, "x.csv", "id,name,gender\nC1,\""+name+"\",M\n")
		if !strings.Contains(got["C1"], `"salutation":"`+want+`"`) && want != "" || want == "" && strings.Contains(got["C1"], "salutation") {
			t.Errorf("%s: got %s, want %s", name, got["C1"], want)
		}
	}
	got, _, _ := read(t, "x.csv", "id,First Name,Last Name,gender\nC1,Juan,de la Cruz Jr,M\nC2,小明,王,男\nC3,Ann,Smith,F\nC4,,Smith,F\n")
	for id, want := range map[string]string{"C1": "Mr. de la Cruz", "C2": "王先生", "C3": "Ms. Smith", "C4": "Ms. Smith"} {
		if !strings.Contains(got[id], `"salutation":"`+want+`"`) {
			t.Errorf("%s: got %s, want %s", id, got[id], want)
		}
	}
}

// TestTwoPhones: the mobile wins, the other is kept.
func TestTwoPhones(t *testing.T) {
	t.Parallel()
	for cells, want := range map[string]string{
		"13800138001,13900139001,":              `"phone":"+8613800138001","phone_other":"+8613900139001"`,
		"(021)50001234,13900139001,":            `"phone":"+8613900139001","phone_other":"+862150001234"`,
		"021-5000 1234 转 801,,":                 `"phone":"+862150001234"`,
		"13800138001 13900139001,,":             `"phone":"+8613800138001","phone_other":"+8613900139001"`,
		"13800138001、021-50001234,,":            `"phone":"+8613800138001","phone_other":"+862150001234"`,
		"手机:13800138001,,":                      `"phone":"+8613800138001"`,
		"本人13800138001；配偶13900139001,,":         `"phone":"+8613800138001","phone_other":"+8613900139001"`,
		"13800138001(本人)/13900139001(妻),,":      `"phone":"+8613800138001","phone_other":"+8613900139001"`,
		"400-820-8820,13900139001,":             `"phone":"+8613900139001","phone_other":"+864008208820"`,
		",021-50001234,13900139001":             `"phone":"+8613900139001","phone_other":"+862150001234"`,
		"无,021-50001234,":                       `"phone":"+862150001234"`,
		"13800138001.0,,":                       `"phone":"+8613800138001"`,
		"+86 138-0013-8001,0086 139 0013 9001,": `"phone":"+8613800138001","phone_other":"+8613900139001"`,
	} {
		got, stats, _ := read(t, "x.csv", "id,手机,联系电话,备用手机\nC1,"+cells+"\n")
		if got["C1"] != `{"id":"C1",`+want+"}" {
			t.Errorf("%s: got %s, %s", cells, got["C1"], why(stats))
		}
	}
	got, stats, _ := read(t, "x.csv", "id,Cell Phone,Home Phone\nC1,(212) 555-0123 ext. 4,212.555.0199\nC2,212-555-0123,n/a\nC3,,+1 (212) 555-0123\n", dealers("US", "", ""))
	if got["C1"] != `{"id":"C1","phone":"+12125550123","phone_other":"+12125550199"}` || got["C2"] != `{"id":"C2","phone":"+12125550123"}` || got["C3"] != `{"id":"C3","phone":"+12125550123"}` {
		t.Errorf("got %v, %s", got, why(stats))
	}
}

// TestHeaders: headers of US systems and of Taiwan and Hong Kong are known.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Customer No.,Cust First Name,Cust Last Name,Cell #,Home Phone #,E-Mail,DOB,Sex,Vehicle VIN,Veh Make,Veh Model,Model Yr,Delivery Dt,Last Svc Date,Odometer,License Plate",
		"CustomerNumber,FirstName,LastName,MobilePhone,WorkPhone,EmailAddress,BirthDate,VIN,Make,Model,ModelYear,DeliveryDate,ROCloseDate,RONumber,ROMileage,ServiceAdvisor",
		"Cust #,Name,Mobile Phone,Email Opt-In,SMS Opt-In,Do Not Email,Do Not Text,VIN,Year,Make,Model,Last RO Date,Last RO Mileage,Warranty Expiration,Current Mileage",
		"Customer ID,Full Name,Primary Phone,Alternate Phone,Primary Email,Date of Birth,VIN #,Purchase Date,Last Service Mileage,Opt-In Text,Opt-In Email,Store",
		"客戶編號,客戶姓名,行動電話,聯絡電話,電子郵件,出生年月日,性別,車身號碼,車牌號碼,廠牌,車型,年份,領牌日期,上次回廠日期,上次回廠里程,工單號碼,保險到期日,定檢日期,保固到期日,服務專員,門市",
		"會員編號,姓名,手提電話,電郵地址,生日,曆法,車架號碼,車牌,品牌,型號,出廠年份,交車日期,最近入廠日期,入廠里程,維修類別,強制險到期日,驗車日期,拒收簡訊,請勿打擾,分店",
		"客户编号,客户名称,移动电话,备用电话,邮箱地址,出生日期,生日类型,VIN码,车牌号码,车辆品牌,车系,购车时间,最近一次进厂日期,最近进厂里程,工单编号,维修类型,交强险到期日,年检到期日,质保到期日,专属顾问,短信授权,是否退订",
	} {
		_, stats, _ := read(t, "x.csv", header+"\n")
		if len(stats.Ignored) > 0 {
			t.Errorf("not known: %v", stats.Ignored)
		}
	}
	// A header that means two things is for the user to say.
	_, stats, _ := read(t, "x.csv", "id,vin,Sold Date,Opt In,State\n")
	if len(stats.Ignored) != 3 {
		t.Errorf("taken for known: only %v are left out", stats.Ignored)
	}
}

// TestHeadersThatSayMore: a header may name the order of its dates, or the unit of its mileages.
func TestHeadersThatSayMore(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"DOB (MM/DD/YYYY)": "1985-05-04", "Birthday [dd.mm.yyyy]": "1985-04-05", "生日（MM/DD/YYYY）": "1985-05-04", "Birthday": "", "Birthday (format)": "",
	} {
		got, stats, _ := read(t, "x.csv", "id,"+header+"\nC1,05/04/1985\n")
		if want != "" && got["C1"] != `{"id":"C1","birthday":"`+want+`"}` || want == "" && stats.Rejected != 1 {
			t.Errorf("%s: got %v, %s", header, got, why(stats))
		}
	}
	got, stats, _ := read(t, "x.csv", "id,Birthday (DD/MM/YYYY)\nC1,05/04/1985\n", func(o *intake.Options) { o.Dates = "MDY" })
	if got["C1"] != `{"id":"C1","birthday":"1985-05-04"}` {
		t.Errorf("--dates wins: got %v, %s", got, why(stats))
	}
	for header, want := range map[string]string{
		"OdometerMiles": "32187", "Odometer Miles": "32187", "Current Mileage (Miles)": "32187", "里程KM": "20000", "行驶里程公里": "20000", "OdometerKM": "20000", "Mileage (KM)": "20000", "Odometer (mi)": "32187",
	} {
		got, stats, _ := read(t, "x.csv", "id,vin,"+header+"\nC1,V1,20000\n")
		if !strings.Contains(got["C1"], `"km":`+want+`}`) {
			t.Errorf("%s: got %v, %s, %v", header, got, why(stats), stats.Ignored)
		}
	}
}

// TestTitlesAlone: a column of salutations that has titles only says what a gender says.
func TestTitlesAlone(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		"王小明,先生": "王先生", "李红,女士": "李女士", "John Smith,Mr.": "Mr. Smith", "Ann Smith,Ms": "Ms. Smith", "欧阳超,小姐": "欧阳女士", "王小明,王总": "王总", "上海有限公司,先生": "",
	} {
		got, stats, _ := read(t, "x.csv", "id,name,称谓\nC1,"+row+"\n")
		if want != "" && !strings.Contains(got["C1"], `"salutation":"`+want+`"`) || want == "" && strings.Contains(got["C1"], "salutation") {
			t.Errorf("%s: got %v, %s", row, got, why(stats))
		}
	}
}

// TestMaps: a map joins columns in its own order; of first and last names, in that of the language.
func TestMaps(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		columns map[string]string
		text    string
		want    string
	}{
		"two names":             {map[string]string{"First Name + Last Name": "name"}, "id,First Name,Last Name\nC1,Ann,Smith", `"name":"Ann Smith"`},
		"two names, turned":     {map[string]string{"Last Name + First Name": "name"}, "id,First Name,Last Name\nC1,Ann,Smith", `"name":"Ann Smith"`},
		"names in Chinese":      {map[string]string{"姓 + 名": "name"}, "id,名,姓\nC1,小明,王", `"name":"王小明"`},
		"names in Chinese, too": {map[string]string{"First + Last": "name"}, "id,First,Last\nC1,小明,王", `"name":"王小明"`},
		"three parts":           {map[string]string{"First + Middle + Last": "name"}, "id,First,Middle,Last\nC1,Ann,B.,Smith\nC2,Ann,,Smith", `"name":"Ann B. Smith"`},
		"a date of three":       {map[string]string{"Year + Month + Day": "birthday"}, "id,Day,Month,Year\nC1,20,2,1985", `"birthday":"1985-02-20"`},
		"a date in Chinese":     {map[string]string{"出生年 + 出生月日": "birthday"}, "id,出生年,出生月日\nC1,1985年,2月20日", `"birthday":"1985-02-20"`},
		"a number of two":       {map[string]string{"Area + Number": "phone"}, "id,Area,Number\nC1,021,50001234", `"phone":"+862150001234"`},
		"the map wins":          {map[string]string{"手机": "phone_other", "电话": "phone"}, "id,手机,电话\nC1,13800138001,13900139001", `"phone":"+8613900139001","phone_other":"+8613800138001"`},
		"left out":              {map[string]string{"手机": "-"}, "id,手机,name\nC1,x,王", `"name":"王"`},
		"in any case":           {map[string]string{"HANDSET (main)": "phone"}, "id,handset\nC1,13800138001", `"phone":"+8613800138001"`},
		"an id of ours":         {map[string]string{"Deal": "id"}, "Deal,name\nC1,王", `"name":"王"`},
	} {
		got, stats, _ := read(t, "x.csv", tt.text, func(o *intake.Options) { o.Columns = tt.columns })
		if !strings.HasSuffix(got["C1"], tt.want+"}") || stats.Rejected > 0 {
			t.Errorf("%s: got %s, %s", name, got["C1"], why(stats))
		}
	}
}
