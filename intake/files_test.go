package intake_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/carebell/carebell/intake"
)

// TestCards: what qualifies a property of a card is not thrown away.
func TestCards(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ lines, want, reason string }{
		"dead, a date":           {"DEATHDATE:19960415", `{"id":"C1","holds":[{"reason":"deceased"}]}`, ""},
		"dead, in words":         {"DEATHDATE;VALUE=text:circa 1800", `{"id":"C1","holds":[{"reason":"deceased"}]}`, ""},
		"dead, of Evolution":     {"X-DEATHDATE:2024-03-01", `{"id":"C1","holds":[{"reason":"deceased"}]}`, ""},
		"dead, a place":          {"DEATHPLACE;VALUE=text:Shanghai", `{"id":"C1","holds":[{"reason":"deceased"}]}`, ""},
		"dead, nothing said":     {"DEATHDATE:\nDEATHPLACE:", `{"id":"C1"}`, ""},
		"lunar":                  {"BDAY;CALSCALE=chinese:19850815", `{"id":"C1","birthday":"lunar:1985-08-15"}`, ""},
		"lunar, in quotes":       {`BDAY;CALSCALE="Chinese";VALUE=date:1985-08-15`, `{"id":"C1","birthday":"lunar:1985-08-15"}`, ""},
		"lunar, no year":         {"BDAY;CALSCALE=chinese:--0815", `{"id":"C1","birthday":"lunar:--08-15"}`, ""},
		"gregorian":              {"BDAY;CALSCALE=gregorian:19850815", `{"id":"C1","birthday":"1985-08-15"}`, ""},
		"both calendars":         {"BDAY;ALTID=1;CALSCALE=gregorian:19850929\nBDAY;ALTID=1;CALSCALE=chinese:19850815", `{"id":"C1","birthday":"1985-09-29"}`, ""},
		"both, one preferred":    {"BDAY;ALTID=1:19850929\nBDAY;ALTID=1;PREF=1;CALSCALE=chinese:19850815", `{"id":"C1","birthday":"lunar:1985-08-15"}`, ""},
		"another calendar":       {"BDAY;CALSCALE=hebrew:57450815", "", "no calendar"},
		"a birthday in words":    {"BDAY;VALUE=text:spring of 1985", `{"id":"C1"}`, ""},
		"a date in words":        {"BDAY;VALUE=text:20 Feb 1985", `{"id":"C1","birthday":"1985-02-20"}`, ""},
		"an instant":             {"BDAY;VALUE=date-and-or-time:19850219T160000Z", `{"id":"C1","birthday":"1985-02-20"}`, ""},
		"an offset":              {"BDAY:1985-02-20T00:00:00+08:00", `{"id":"C1","birthday":"1985-02-20"}`, ""},
		"no midnight":            {"BDAY:19850219T133000Z", "", "not midnight"},
		"month and year":         {"BDAY:1985-02", `{"id":"C1"}`, ""},
		"a day alone":            {"BDAY:---20", `{"id":"C1"}`, ""},
		"a time alone":           {"BDAY:T102200", `{"id":"C1"}`, ""},
		"Apple's year":           {"BDAY:1604-06-26", `{"id":"C1","birthday":"--06-26"}`, ""},
		"KIND individual":        {"KIND:Individual\nFN:王", `{"id":"C1","name":"王"}`, ""},
		"KIND group":             {"KIND:group\nFN:VIP", "", ""},
		"KIND org":               {"KIND:org\nFN:VIP", "", ""},
		"KIND location":          {"KIND:location\nFN:VIP", "", ""},
		"KIND application":       {"KIND:application\nFN:VIP", "", ""},
		"KIND of Apple":          {"X-ADDRESSBOOKSERVER-KIND:group\nFN:VIP", "", ""},
		"a firm of Apple":        {"X-ABShowAs:COMPANY\nFN:Acme", "", ""},
		"a zone":                 {"TZ:Asia/Shanghai", `{"id":"C1","time_zone":"Asia/Shanghai"}`, ""},
		"a zone by another name": {"TZ;VALUE=text:Raleigh/North America", `{"id":"C1"}`, ""},
		"an offset for a zone":   {"TZ;VALUE=utc-offset:-0500", `{"id":"C1"}`, ""},
		"Zulu":                   {"TZ:Z", `{"id":"C1"}`, ""},
		"a gender of RFC 6350":   {"FN:王小明\nGENDER:N", `{"id":"C1","name":"王小明"}`, ""},
		"a gender and words":     {"FN:王小明\nGENDER:M;Fellow", `{"id":"C1","name":"王小明","salutation":"王先生"}`, ""},
		"a gender in words":      {"FN:王小明\nGENDER:;it is complicated", `{"id":"C1","name":"王小明"}`, ""},
		"two numbers":            {"TEL;TYPE=home:021-50001234\nTEL;TYPE=cell:13800138001", `{"id":"C1","phone":"+8613800138001","phone_other":"+862150001234"}`, ""},
		"two mobiles":            {"TEL;TYPE=cell:13800138001\nTEL;TYPE=cell;PREF=1:13900139001", `{"id":"C1","phone":"+8613900139001","phone_other":"+8613800138001"}`, ""},
		"a fax":                  {"TEL;TYPE=fax:13800138001", `{"id":"C1"}`, ""},
		"a fax and a mobile":     {"TEL;TYPE=fax:021-50001234\nTEL;CELL:13800138001", `{"id":"C1","phone":"+8613800138001"}`, ""},
		"a pager":                {"TEL;PAGER:13800138001", `{"id":"C1"}`, ""},
		"a uri":                  {"TEL;VALUE=uri;TYPE=\"voice,cell\":tel:+86-138-0013-8001", `{"id":"C1","phone":"+8613800138001"}`, ""},
	} {
		lines := strings.ReplaceAll(tt.lines, "\n", "\r\n")
		got, stats, _ := read(t, "x.vcf", "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:C1\r\n"+lines+"\r\nEND:VCARD\r\n", dealers("CN", "Asia/Shanghai", ""))
		if got["C1"] != tt.want || (tt.reason == "") != (stats.Rejected == 0) || !strings.Contains(why(stats), tt.reason) {
			t.Errorf("%s: got %s (%s), want %s (%s)", name, got["C1"], why(stats), tt.want, tt.reason)
		}
	}
}

// TestCardsWithoutUID: the id is made of the number or the mailbox if that is asked for; else the reason says how.
func TestCardsWithoutUID(t *testing.T) {
	t.Parallel()
	const cards = "BEGIN:VCARD\nVERSION:2.1\nN:;Android;;;\nTEL;CELL:13800138008\nTEL;HOME:021-50001234\nEMAIL:A+b@Example.com\nEND:VCARD\n" +
		"BEGIN:VCARD\nVERSION:2.1\nFN:x\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nUID:C9\nFN:y\nTEL:13800138009\nEND:VCARD\n"
	for from, want := range map[string][2]string{"phone": {"tel:8613800138008", "no customer id"}, "email": {"mail:a_2bb_40example.com", "no customer id"}, "": {"C9", "--id-from"}} {
		got, stats, _ := read(t, "x.vcf", cards, func(o *intake.Options) { o.IDFrom = from })
		if want[0] != "" && got[want[0]] == "" || got["C9"] == "" || !strings.Contains(why(stats), want[1]) {
			t.Errorf("--id-from %q: got %v, %s", from, got, why(stats))
		}
	}
	got, _, _ := read(t, "x.vcf", "BEGIN:VCARD\rVERSION:3.0\rUID:C1\rFN:王\rEND:VCARD\r")
	if got["C1"] != `{"id":"C1","name":"王"}` {
		t.Errorf("CR: got %v", got)
	}
}

// TestAllFaultsOfARecord: a JSON record's faults are told together too.
func TestAllFaultsOfARecord(t *testing.T) {
	t.Parallel()
	_, stats, rejected := read(t, "x.jsonl", `{"id":"C1","dealer":"x x","phone":"12","email":"x","birthday":"1985-02-30","vehicles":[{"id":"V1","delivered_on":"x"}]}`)
	for _, column := range []string{"$.phone", "$.email", "$.birthday", "$.vehicles[0].delivered_on"} {
		if !strings.Contains(rejected, column) {
			t.Errorf("%s is not named: %+v", column, stats)
		}
	}
	if stats.Rejected != 1 {
		t.Errorf("got %+v", stats)
	}
}

// TestRowsInTwoEncodings: a row of a Chinese file that happens to be UTF-8 too is of the file's encoding; one with Chinese in UTF-8 is not.
func TestRowsInTwoEncodings(t *testing.T) {
	t.Parallel()
	gb, err := simplifiedchinese.GB18030.NewEncoder().String("客户编号,姓名\nC1,王小明\nC2,小\n")
	if err != nil {
		t.Fatal(err)
	}
	got, stats, _ := read(t, "x.csv", gb+"C3,小明\n")
	if got["C2"] != `{"id":"C2","name":"小"}` || got["C3"] != "" || stats.Rejected != 1 {
		t.Errorf("got %v, %s", got, why(stats))
	}
}

// TestABrokenCharacter: one broken character costs its row, and makes no other encoding of the file.
func TestABrokenCharacter(t *testing.T) {
	t.Parallel()
	rows := "客户编号,姓名\nC0,王\xe5\x8f\n"
	for i := range 20 {
		rows += fmt.Sprintf("C%d,王小明\n", i+1)
	}
	got, stats, _ := read(t, "x.csv", rows)
	if len(got) != 20 || stats.Rejected != 1 || stats.Encoding != intake.UTF8 || got["C1"] != `{"id":"C1","name":"王小明"}` {
		t.Errorf("got %d, %s in %s", len(got), why(stats), stats.Encoding)
	}
}

// TestSheets: all visible sheets with a header are read, and --sheet picks one, a hidden one too; the others are named.
func TestSheets(t *testing.T) {
	t.Parallel()
	fill := func(f *excelize.File) {
		for i, name := range []string{"一店", "二店", "旧数据", "深藏", "说明"} {
			if _, err := f.NewSheet(name); err != nil {
				t.Fatal(err)
			}
			if name == "说明" {
				row(t, f, name, "A1", "怎么填")
				continue
			}
			row(t, f, name, "A1", "客户编号", "姓名")
			row(t, f, name, "A2", fmt.Sprintf("C%d", i+1), name)
		}
		for name, deep := range map[string]bool{"旧数据": false, "深藏": true} {
			if err := f.SetSheetVisible(name, false, deep); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.DeleteSheet("Sheet1"); err != nil {
			t.Fatal(err)
		}
	}
	for sheet, want := range map[string]struct {
		ids, passed []string
		err         string
	}{
		"":     {[]string{"C1", "C2"}, []string{"旧数据 (hidden)", "深藏 (hidden)", "说明"}, ""},
		"二店":   {[]string{"C2"}, nil, ""},
		"旧数据":  {[]string{"C3"}, nil, ""},
		"深藏":   {[]string{"C4"}, nil, ""},
		"说明":   {nil, []string{"说明"}, "客户编号"},
		"三店":   {nil, nil, `there is no sheet "三店": there are 一店, 二店, 旧数据, 深藏, 说明`},
		" 一店 ": {[]string{"C1"}, nil, ""},
	} {
		opt, store := options(t), records{}
		opt.Sheet = sheet
		stats, err := intake.Read(t.Context(), workbook(t, fill), "x.xlsx", opt, store.apply)
		if want.err != "" {
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: got %v, want %s", sheet, err, want.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		ids := slices.Sorted(maps.Keys(store))
		if !slices.Equal(ids, want.ids) || !slices.Equal(stats.Sheets, want.passed) {
			t.Errorf("%q: got %v, passed by %v, want %+v", sheet, ids, stats.Sheets, want)
		}
	}
	if _, err := intake.Read(t.Context(), strings.NewReader("id\nC1\n"), "x.csv", intake.Options{Sheet: "一店"}, records{}.apply); err == nil || !strings.Contains(err.Error(), "have sheets") {
		t.Errorf("a sheet of a CSV file: got %v", err)
	}
}

// TestBoundsOfWorkbooks: what unpacks to more than any table of customers is refused before it is held in memory.
func TestBoundsOfWorkbooks(t *testing.T) {
	t.Parallel()
	pack := func(part string, write func(io.Writer)) string {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create(part)
		if err != nil {
			t.Fatal(err)
		}
		write(w)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, tt := range map[string]struct{ file, want string }{
		"a cell of a megabyte": {pack("xl/sharedStrings.xml", func(w io.Writer) { _, _ = io.WriteString(w, "<t>"+strings.Repeat("x", 1<<20)+"</t>") }), "larger than any table"},
		"packed one to a thousand": {pack("xl/worksheets/sheet1.xml", func(w io.Writer) {
			for range 10 << 10 {
				_, _ = io.WriteString(w, strings.Repeat("<c/>", 256))
			}
		}), "larger than any table"},
		"cut off": {pack("xl/workbook.xml", func(io.Writer) {})[:40], "cannot be read"},
		"empty":   {pack("x", func(io.Writer) {}), "cannot be read"},
	} {
		if _, err := intake.Read(t.Context(), strings.NewReader(tt.file), "x.xlsx", options(t), records{}.apply); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestFilesAsTheyAre holds further shapes of files: line ends, titles, headers, encodings.
func TestFilesAsTheyAre(t *testing.T) {
	t.Parallel()
	encode := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	const rows = "客户编号,姓名\nC1,王小明\nC2,李红\n"
	cr := strings.ReplaceAll(rows, "\n", "\r")
	for name, tt := range map[string]struct{ text, asked string }{
		"CR":                    {cr, ""},
		"CR, no end":            {strings.TrimSuffix(cr, "\r"), ""},
		"CR of GB18030":         {encode(simplifiedchinese.GB18030, cr), ""},
		"CR of UTF-16":          {encode(utf16, cr), ""},
		"CR with a mark":        {"\ufeff" + cr, ""},
		"CR with tabs":          {strings.ReplaceAll(cr, ",", "\t"), ""},
		"CR with semicolons":    {strings.ReplaceAll(cr, ",", ";"), ""},
		"CR in quotes":          {"\"客户编号\",\"姓名\"\r\"C1\",\"王小明\"\r\"C2\",\"李红\"\r", ""},
		"CR with a title":       {"客户资料\r\r" + cr, ""},
		"CRLF":                  {strings.ReplaceAll(rows, "\n", "\r\n"), ""},
		"nine rows above":       {strings.Repeat("说明\n", 9) + rows, ""},
		"blank rows":            {"\n\n" + strings.ReplaceAll(rows, "\n", "\n\n"), ""},
		"sep with tabs":         {"sep=\t\n" + strings.ReplaceAll(rows, ",", "\t"), ""},
		"a group above":         {"基本信息,\n" + rows, ""},
		"two marks":             {"\ufeff\ufeff" + rows, ""},
		"asked for GBK":         {encode(simplifiedchinese.GBK, rows), "GBK"},
		"asked for gb2312":      {encode(simplifiedchinese.GBK, rows), "gb2312"},
		"asked for UTF-16":      {encode(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), rows), "utf-16"},
		"asked for UTF-16LE":    {encode(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), rows), "UTF-16LE"},
		"asked, and has a mark": {"\ufeff" + rows, "GB18030"},
		"Big5":                  {encode(traditionalchinese.Big5, "客戶編號,姓名\nC1,陳小明\nC2,林紅\n"), ""},
		"asked for Big5":        {encode(traditionalchinese.Big5, "客戶編號,姓名\nC1,陳小明\nC2,林紅\n"), "big5-hkscs"},
		"asked for cp950":       {encode(traditionalchinese.Big5, "客戶編號,姓名\nC1,陳小明\nC2,林紅\n"), "CP950"},
		"ANSI":                  {encode(charmap.Windows1252, "customer id,name\nC1,Jürgen Müller\nC2,François Lévêque\n"), ""},
		"ANSI, German":          {encode(charmap.Windows1252, "Kunden-Nr;Nachname;Vorname\nC1;Weiß;Jörg\nC2;Groß;Käthe\n"), ""},
		"ANSI, asked":           {encode(charmap.Windows1252, "customer id,name\nC1,É\nC2,Ñ\n"), "iso-8859-1"},
	} {
		encoding, err := intake.EncodingNamed(tt.asked)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, stats, _ := read(t, "x.csv", tt.text, func(o *intake.Options) { o.Encoding = encoding })
		if len(got) != 2 || !strings.Contains(got["C2"], "name") || strings.Contains(got["C2"], "\ufffd") || len(stats.Ignored) > 0 {
			t.Errorf("%s: got %v, %s, %v in %s", name, got, why(stats), stats.Ignored, stats.Encoding)
		}
	}
	for _, name := range []string{"utf-7", "shift_jis", "x"} {
		if _, err := intake.EncodingNamed(name); err == nil || !strings.Contains(err.Error(), "GB18030") {
			t.Errorf("--encoding %s: got %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"ids above, names below":  "客户编号,客户信息,,\n,姓名,手机,车架号\nM1,王,13800138001,V1\n",
		"cars below":              "客户编号,姓名,车辆信息,,\n,,车架号,车牌号,车型\nM1,王,V1,x,y\n",
		"semicolons":              "id;customer;;\n;name;phone;vin\nM1;a;1;V\n",
		"English":                 "Customer ID,Vehicle Information,,\n,VIN,Make,Model\nM1,V,a,b\n",
		"the lower one has an id": "客户编号,客户,,\n客户编号,姓名,手机,车架号\nM1,王,13800138001,V1\n",
		"below a title":           "导出\n客户编号,客户信息,,\n,姓名,手机,车架号\nM1,王,13800138001,V1\n",
	} {
		if _, err := intake.Read(t.Context(), strings.NewReader(text), "x.csv", options(t), records{}.apply); err == nil || !strings.Contains(err.Error(), "two rows") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
