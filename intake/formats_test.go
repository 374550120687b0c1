package intake_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/intake"
)

func workbook(t *testing.T, fill func(*excelize.File)) io.Reader {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	fill(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return &b
}

func row(t *testing.T, f *excelize.File, sheet, at string, cells ...any) {
	t.Helper()
	if err := f.SetSheetRow(sheet, at, &cells); err != nil {
		t.Fatal(err)
	}
}

// TestWorkbook: dates are serials whatever their format shows, numbers have all their digits, the sheet with a header is found.
func TestWorkbook(t *testing.T) {
	t.Parallel()
	book := workbook(t, func(f *excelize.File) {
		row(t, f, "Sheet1", "A1", "说明", "2026")
		if _, err := f.NewSheet("客户"); err != nil {
			t.Fatal(err)
		}
		row(t, f, "客户", "A1", "客户资料")
		row(t, f, "客户", "A2", "客户编号", "姓名", "手机号", "生日", "车架号", "上次进厂", "上次进厂里程", "备注")
		row(t, f, "客户", "A3", "C1", "王小明", 13800138000, 31098, "V1", 46144, 31000, "x")
		row(t, f, "客户", "A5", "C2", "李", "1.38E+10", "1990年闰五月初三")
		row(t, f, "客户", "A6", "C3", "赵", "+86 139 0013 9000", "1990年闰五月初三")
		style, err := f.NewStyle(&excelize.Style{NumFmt: 14})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.SetCellStyle("客户", "D3", "D3", style); err != nil {
			t.Fatal(err)
		}
	})
	opt, store := options(t), records{}
	var rejected bytes.Buffer
	opt.Rejected = func(int) (io.Writer, error) { return &rejected, nil }
	stats, err := intake.Read(t.Context(), book, "x.xlsx", opt, store.apply)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, r := range store {
		got[id] = string(r)
	}
	want := map[string]string{
		"C1": `{"id":"C1","name":"王小明","phone":"+8613800138000","birthday":"1985-02-20","vehicles":[{"id":"V1","visits":[{"closed_on":"2026-05-02","km":31000}]}]}`,
		"C3": `{"id":"C3","name":"赵","phone":"+8613900139000","birthday":"lunar:1990-L05-03"}`,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	wantRejections := []intake.Rejection{{Line: 5, Customer: "C2", Column: "手机号", Reason: "phone in scientific notation: digits lost"}}
	if diff := gocmp.Diff(wantRejections, stats.Rejections); diff != "" {
		t.Errorf("rejections (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(rejected.String(), "\ufeff客户编号,姓名,手机号,") {
		t.Errorf("rejected rows: %q", rejected.String())
	}
}

// TestWorkbookOf1904: the serials of workbooks from old Macs count from another day.
func TestWorkbookOf1904(t *testing.T) {
	t.Parallel()
	book := workbook(t, func(f *excelize.File) {
		yes := true
		if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}); err != nil {
			t.Fatal(err)
		}
		row(t, f, "Sheet1", "A1", "id", "生日")
		row(t, f, "Sheet1", "A2", "C1", 31098-1462)
	})
	store := records{}
	if _, err := intake.Read(t.Context(), book, "upload", options(t), store.apply); err != nil {
		t.Fatal(err)
	}
	if got := string(store["C1"]); got != `{"id":"C1","birthday":"1985-02-20"}` {
		t.Errorf("got %s", got)
	}
}

func TestNoWorkbook(t *testing.T) {
	t.Parallel()
	if _, err := intake.Read(t.Context(), strings.NewReader("PK\x03\x04nonsense"), "x.xlsx", options(t), records{}.apply); err == nil {
		t.Error("nonsense was read")
	}
	empty := workbook(t, func(*excelize.File) {})
	if _, err := intake.Read(t.Context(), empty, "x.xlsx", options(t), records{}.apply); err == nil || !strings.Contains(err.Error(), "客户编号") {
		t.Errorf("no header: got %v", err)
	}
}

func TestVCard(t *testing.T) {
	t.Parallel()
	card := func(lines ...string) string {
		return "BEGIN:VCARD\r\nVERSION:3.0\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VCARD\r\n"
	}
	tests := map[string]struct{ card, want, reason string }{
		"whole": {
			card("UID:C1", "FN:王小明", "N:王;小明;;;", "TEL;TYPE=HOME:021-50000000", "item1.TEL;TYPE=CELL,VOICE:138 0013 8000", "EMAIL;TYPE=INTERNET:wang@example.com", "BDAY:19850220", "GENDER:M", "CATEGORIES:ev,golf"),
			`{"id":"C1","name":"王小明","salutation":"王先生","email":"wang@example.com","phone":"+8613800138000","phone_other":"+862150000000","birthday":"1985-02-20","tags":["ev","golf"]}`, "",
		},
		"dashes":        {card("UID:C1", "BDAY:1985-02-20"), `{"id":"C1","birthday":"1985-02-20"}`, ""},
		"with time":     {card("UID:C1", "BDAY:19850220T000000Z"), `{"id":"C1","birthday":"1985-02-20"}`, ""},
		"no year":       {card("UID:C1", "BDAY:--0415"), `{"id":"C1","birthday":"--04-15"}`, ""},
		"no year, dash": {card("UID:C1", "BDAY:--04-15"), `{"id":"C1","birthday":"--04-15"}`, ""},
		"Apple":         {card("UID:C1", "BDAY;X-APPLE-OMIT-YEAR=1604:1604-04-14"), `{"id":"C1","birthday":"--04-14"}`, ""},
		"Apple, a year": {card("UID:C1", "BDAY;X-APPLE-OMIT-YEAR=1604:1985-04-14"), `{"id":"C1","birthday":"1985-04-14"}`, ""},
		"a text":        {card("UID:C1", "BDAY;VALUE=text:circa 1800"), `{"id":"C1"}`, ""},
		"a year only":   {card("UID:C1", "BDAY:1985"), `{"id":"C1"}`, ""},
		"no such day":   {card("UID:C1", "BDAY:19850230"), "", "no such date"},
		"no UID":        {card("FN:x"), "", "no customer id: telephones write none, --id-from phone or email makes one"},
		"own id":        {card("UID:1234", "X-CUSTOMER-ID:C1"), `{"id":"C1"}`, ""},
		"uuid":          {card("UID:urn:uuid:C1"), `{"id":"C1"}`, ""},
		"name of parts": {card("UID:C1", "N:Smith;John;;;"), `{"id":"C1","name":"John Smith"}`, ""},
		"Han of parts":  {card("UID:C1", "N:王;小明;;;"), `{"id":"C1","name":"王小明"}`, ""},
		"folded":        {card("UID:C1", "FN:John Fitz", " gerald", "\t Kennedy"), `{"id":"C1","name":"John Fitzgerald Kennedy"}`, ""},
		"escaped":       {card("UID:C1", `FN:Smith\, John`), `{"id":"C1","name":"Smith, John"}`, ""},
		"version 2.1":   {card("UID:C1", "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B=", "=E5=B0=8F=E6=98=8E", "TEL;CELL:13800138000"), `{"id":"C1","name":"王小明","phone":"+8613800138000"}`, ""},
		"GBK":           {card("UID:C1", "FN;CHARSET=GBK;ENCODING=QUOTED-PRINTABLE:=CD=F5"), `{"id":"C1","name":"王"}`, ""},
		"preferred":     {card("UID:C1", "EMAIL:a@example.com", "EMAIL;PREF=1:b@example.com"), `{"id":"C1","email":"b@example.com"}`, ""},
		"version 4.0":   {card("UID:C1", `TEL;VALUE=uri;TYPE="voice,cell":tel:+86-138-0013-8000;ext=1`, "TZ:Asia/Shanghai", "LANG:zh-CN"), `{"id":"C1","phone":"+8613800138000","locale":"zh-CN","time_zone":"Asia/Shanghai"}`, ""},
		"bad phone":     {card("UID:C1", "TEL:12"), "", "not a phone number"},
		"cut off":       {"BEGIN:VCARD\r\nUID:C1\r\nFN:x", "", "the card has no end"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stats, _ := read(t, "x.vcf", tt.card)
			reason := ""
			if stats.Rejected > 0 {
				reason = stats.Rejections[0].Reason
			}
			if got["C1"] != tt.want || reason != tt.reason {
				t.Errorf("got %s (%s), want %s (%s)", got["C1"], reason, tt.want, tt.reason)
			}
		})
	}
	got, stats, _ := read(t, "upload", card("UID:C1")+"\r\n"+card("UID:C2", "FN:李"))
	if len(got) != 2 || stats.Rows != 2 || stats.Customers != 2 {
		t.Errorf("two cards: got %v, %+v", got, stats)
	}
	if _, defects, err := record.Decode([]byte(got["C2"])); err != nil || len(defects) > 0 {
		t.Errorf("got %s: %v %v", got["C2"], defects, err)
	}
}
