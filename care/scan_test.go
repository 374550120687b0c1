package care

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	oneCar = `{"id":"C100001","dealer":"sh-pudong","name":"王小明","salutation":"王先生","email":"wang@example.com","phone":"+8613800138000",
 "locale":"zh-CN","time_zone":"Asia/Shanghai","birthday":"1985-02-20","grade":"A","advisor":"chen","household":"H77","tags":["ev"],
 "preferences":{"channels":["sms","email"],"max_per_week":2,"quiet":"21:00-09:00","off":["seasonal"]},
 "consent":{"sms":{"service":true,"commercial":false},"email":{"service":true,"commercial":true,"source":"contract","at":"2024-03-01"}},
 "holds":[{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}],
 "vehicles":[{"id":"LSGHXRT911E8RM77M","plate":"沪A12345","make":"Buick","model":"Regal","model_year":2024,"delivered_on":"2024-03-01",
   "odometer":[{"on":"2026-05-02","km":31000}],
   "visits":[{"order":"RO-889","closed_on":"2026-05-02","km":31000,"kind":"maintenance","technician":"Li","declined":["brake pads"]}],
   "service_interval":{"km":10000,"months":12},"first_service":{"km":5000,"months":6},
   "warranty":{"until":"2027-03-01","km":60000},"insurance_until":"2027-02-28","inspection_due":"2030-03-31",
   "appointment_at":"2026-12-01T10:00:00+08:00","sold_on":null}]}`

	twoCars = `{"id":"C100001","dealer":"sh","name":"王小明","email":"wang@example.com","phone":"+8613800138000","locale":"zh-CN",
 "time_zone":"Asia/Shanghai","birthday":"lunar:1985-12-30","grade":"A","preferences":{"channels":["sms","email"],"max_per_week":2,"quiet":"21:00-09:00"},
 "consent":{"sms":{"service":true,"commercial":false},"email":{"service":true,"commercial":true,"source":"contract","at":"2024-03-01"}},
 "holds":[{"reason":"complaint","since":"2027-05-30","until":"2027-06-02"}],
 "vehicles":[{"id":"LSGHXRT911E8RM77M","make":"Buick","model":"Regal","model_year":2024,"delivered_on":"2024-02-29",
   "odometer":[{"on":"2026-05-02","km":31000},{"on":"2026-08-02","km":34680}],
   "visits":[{"order":"RO-889","closed_on":"2026-05-02","km":31000,"kind":"maintenance"}],
   "service_interval":{"km":10000,"months":12},"warranty":{"until":"2027-03-01","km":60000},"insurance_until":"2027-02-28","inspection_due":"2027-02-10"},
  {"id":"LSGHXRT911E8RM88N","make":"Buick","model":"GL8","delivered_on":"2026-12-24"}]}`
)

var inside = cmp.Exporter(func(reflect.Type) bool { return true })

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree holds the scanner against encoding/json, and Decode against what it was. It reports whether the scanner took the record.
func agree(t failer, raw []byte) bool {
	t.Helper()
	mine := bytes.Clone(raw)
	var got, want Customer
	took := scan(mine, &got)
	if !bytes.Equal(mine, raw) {
		t.Fatalf("%q: the record was changed", raw)
	}
	for i := range mine {
		mine[i] = 'x' // what was read must not lie in it
	}
	if took {
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("%q: the scanner took it, encoding/json says %v", raw, err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%q (-encoding/json +scanner):\n%s", raw, cmp.Diff(want, got, inside))
		}
	}
	oldCustomer, oldDefects, oldErr := oldDecode(raw)
	customer, defects, err := Decode(raw)
	if err != oldErr { //nolint:errorlint // the very same, not one that wraps it
		t.Fatalf("%q: error %v, was %v", raw, err, oldErr)
	}
	if !reflect.DeepEqual(oldCustomer, customer) || !reflect.DeepEqual(oldDefects, defects) {
		t.Fatalf("%q (-was +is):\n%s\n%s", raw, cmp.Diff(oldCustomer, customer, inside), cmp.Diff(oldDefects, defects))
	}
	return took
}

// TestScanTakes says what has to go the fast way.
func TestScanTakes(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"example":           oneCar,
		"two cars":          twoCars,
		"no field":          ` { } `,
		"null":              "null",
		"nulls":             `{"id":"C","tags":null,"consent":null,"holds":null,"preferences":null,"birthday":null,"vehicles":[{"id":null,"odometer":null,"sold_on":null,"visits":null,"warranty":null,"appointment_at":null}]}`,
		"empty":             `{"id":"C","tags":[],"consent":{},"holds":[],"preferences":{"channels":[],"off":[],"quiet":""},"birthday":"","vehicles":[]}`,
		"nulls in lists":    `{"id":"C","tags":[null,"a"],"holds":[null],"vehicles":[null,{"id":"V","odometer":[null],"visits":[null]}],"consent":{"sms":null}}`,
		"unknown fields":    `{"id":"C","x":{"y":[1,-2.5e+10,0,0.1E-2,"\"\u00e9\n",true,false,null,{}]},"vehicles":[{"id":"A","x":[[[]]]}]}`,
		"unknown capitals":  `{"id":"C","customerType":1,"车":2}`,
		"escapes":           `{"id":"C","name":"\u738b\u5c0f\u660e","salutation":"a\"\\\/\b\f\n\r\tz","tags":["\u0000","\u00E9"]}`,
		"bad dates":         `{"id":"C","birthday":"20.2.1985","holds":[{"since":"x","until":"2026-02-30"}],"preferences":{"quiet":"late"}}`,
		"many of all":       `{"id":"C","tags":[` + strings.Repeat(`"tag",`, 40) + `"last"],"vehicles":[` + strings.Repeat(`{"id":"V","visits":[`+strings.Repeat(`{"km":1},`, 12)+`{"km":2}]},`, 9) + `null]}`,
		"long texts":        `{"id":"C","name":"` + strings.Repeat("王", 200) + `","email":"` + strings.Repeat("x", 600) + `","tags":["a","b"]}`,
		"negative":          `{"id":"C","vehicles":[{"id":"V","odometer":[{"on":"2026-01-01","km":-5}],"model_year":-0}]}`,
		"unknown channel":   `{"id":"C","consent":{"SMS":{"service":false},"wechat":{"service":true}},"preferences":{"channels":["fax"]}}`,
		"white space":       "\t{\r\n \"id\" :\t\"C\" ,\n\"tags\" : [ \"a\" , \"b\" ] } \n",
		"time of an offset": `{"id":"C","vehicles":[{"id":"V","appointment_at":"2026-12-01T10:00:00.5+05:45"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !agree(t, []byte(raw)) {
				t.Error("the scanner gave up")
			}
		})
	}
}

// TestScanGivesUp says what must be left to encoding/json, or to the tolerant way.
func TestScanGivesUp(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		``, ` `, `x`, `[]`, `"C"`, `5`, `{`, `{}x`, `{} {}`, `nul`, `nullx`, "\x00", "{}\x00", "\xef\xbb\xbf{}", `{"id":"C",}`, `{,"id":"C"}`, `{"id" "C"}`, `{"id":"C"`, `{"id":"C}`,
		`{"id":"C","id":"C"}`, `{"id":"C","vehicles":[{"id":"V","sold_on":null,"sold_on":null}]}`, `{"id":"C","consent":{"sms":null,"sms":null}}`,
		`{"ID":"C"}`, `{"id":"C","Holds":[]}`, `{"id":"C","hold` + "\u017f" + `":[]}`, `{"id":"C","vehicles":[{"id":"V","` + "\u212a" + `ind":1}]}`,
		`{"i\u0064":"C"}`, `{"id":"\u0043"}`, `{"id":"C","preferences":{"quiet":"\u0032\u0031:00-09:00"}}`, `{"id":"C","name":"\ud83d\ude00"}`, `{"id":"C","name":"\ud83d"}`, `{"id":"C","name":"\x"}`, `{"id":"C","name":"\u12g4"}`, `{"id":"C","name":"\`, `{"id":"C","name":"\u12`,
		"{\"id\":\"C\",\"name\":\"\xff\"}", "{\"id\":\"C\",\"\xff\":1}", "{\"id\":\"C\",\"name\":\"a\nb\"}", "{\"id\":\"C\",\"x\":\"a\x1fb\"}",
		`{"id":5}`, `{"id":"C","name":5}`, `{"id":"C","tags":"a"}`, `{"id":"C","tags":[5]}`, `{"id":"C","vehicles":{}}`, `{"id":"C","consent":[]}`, `{"id":"C","birthday":5}`, `{"id":"C","preferences":{"quiet":5}}`,
		`{"id":"C","vehicles":[{"id":"V","appointment_at":"tomorrow"}]}`, `{"id":"C","preferences":{"channels":[null]}}`,
		`{"id":"C","preferences":{"max_per_week":1.0}}`, `{"id":"C","preferences":{"max_per_week":1e1}}`, `{"id":"C","preferences":{"max_per_week":01}}`, `{"id":"C","preferences":{"max_per_week":1234567890}}`, `{"id":"C","preferences":{"max_per_week":-}}`,
		`{"id":"C","x":01}`, `{"id":"C","x":1.}`, `{"id":"C","x":.5}`, `{"id":"C","x":1e}`, `{"id":"C","x":1e+}`, `{"id":"C","x":-}`, `{"id":"C","x":+1}`, `{"id":"C","x":tru}`, `{"id":"C","x":falsy}`, `{"id":"C","x":[1 2]}`, `{"id":"C","x":[1,]}`, `{"id":"C","x":}`, `{"id":"C","x":NaN}`,
		`{"id":"C","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, `{"id":"C","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
	} {
		if agree(t, []byte(raw)) {
			t.Errorf("the scanner took %.80q", raw)
		}
	}
}

// TestFieldNames: a field that is added to the record must be added to the scanner too.
func TestFieldNames(t *testing.T) {
	t.Parallel()
	var want []string
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Pointer, reflect.Map:
			walk(typ.Elem())
		case reflect.Struct:
			for f := range typ.Fields() {
				if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
					want = append(want, name)
					walk(f.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[Customer]())
	slices.Sort(want)
	if diff := cmp.Diff(slices.Compact(want), slices.Sorted(slices.Values(fieldNames))); diff != "" {
		t.Errorf("names (-types +scanner):\n%s", diff)
	}
}

// fill gives every field of a record a value that is not zero, and no two texts or numbers the same.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case Date:
		v.Set(reflect.ValueOf(DateFromDays(20000 + *n)))
		return
	case Channel:
		v.Set(reflect.ValueOf(Channels[*n%len(Channels)]))
		return
	case Birthday:
		v.Set(reflect.ValueOf(Birthday{Lunar: true, Leap: true, Year: 1985, Month: 6, Day: 7}))
		return
	case Window:
		v.Set(reflect.ValueOf(Window{From: 1260, To: 540}))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1e9+int64(*n), 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case reflect.Int:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, ch := range []Channel{SMS, Email, Webhook, "other"} {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(e, n)
			v.SetMapIndex(reflect.ValueOf(ch), e)
		}
	case reflect.Struct:
		for f := range v.Type().Fields() {
			if f.Tag.Get("json") != "-" {
				fill(v.FieldByIndex(f.Index), n)
			}
		}
	default:
		panic(v.Type())
	}
}

// TestScanEveryField: each field of the types is read, and into its own place.
func TestScanEveryField(t *testing.T) {
	t.Parallel()
	var want Customer
	n := 0
	fill(reflect.ValueOf(&want).Elem(), &n)
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !agree(t, raw) {
		t.Fatal("the scanner gave up")
	}
	got, defects, err := Decode(raw)
	if diff := cmp.Diff(&want, got, inside); err != nil || len(defects) > 0 || diff != "" {
		t.Errorf("%v %v (-want +got):\n%s", err, defects, diff)
	}
}

func TestScanAgrees(t *testing.T) {
	t.Parallel()
	t.Run("plain", rapid.MakeCheck(func(t *rapid.T) {
		raw := drawRecord(t, 0)
		if !agree(t, []byte(raw)) {
			t.Fatalf("the scanner gave up: %s", raw)
		}
	}))
	t.Run("odd", rapid.MakeCheck(func(t *rapid.T) { agree(t, []byte(drawRecord(t, 30))) }))
	t.Run("very odd", rapid.MakeCheck(func(t *rapid.T) { agree(t, []byte(drawRecord(t, 6))) }))
	t.Run("damaged", rapid.MakeCheck(func(t *rapid.T) {
		raw := []byte(drawRecord(t, 60))
		for range rapid.IntRange(1, 4).Draw(t, "hits") {
			at := rapid.IntRange(0, len(raw)).Draw(t, "at")
			b := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\"\\{}[]:,0-.eEnuKs \x00\xff"))).Draw(t, "byte")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				raw = slices.Insert(raw, at, b)
			case 1:
				raw = slices.Delete(raw, at, min(at+1, len(raw)))
			default:
				raw = slices.Replace(raw, at, min(at+1, len(raw)), b)
			}
		}
		agree(t, raw)
	}))
}

// TestScanEveryByte: each byte of the example left out, and changed.
func TestScanEveryByte(t *testing.T) {
	t.Parallel()
	for i := range len(oneCar) {
		agree(t, []byte(oneCar[:i]))
		agree(t, []byte(oneCar[:i]+oneCar[i+1:]))
		for _, b := range []string{`"`, `\`, "]", "0", "\xff"} {
			agree(t, []byte(oneCar[:i]+b+oneCar[i+1:]))
		}
	}
}

// TestValidJSON holds what the scanner takes for JSON against encoding/json.
func TestValidJSON(t *testing.T) {
	t.Parallel()
	same := func(t failer, raw string) {
		if got, want := ValidJSON([]byte(raw)), json.Valid([]byte(raw)); got != want {
			t.Fatalf("%q: %t, want %t", raw, got, want)
		}
	}
	for _, raw := range []string{"", " ", "null", "nul", "true", "tru", "-", "-0", "01", "1.", "1e", " 5 ", "5 5", `""`, `"`, `"\`, `"\u12"`, "\"\xff\"", "{\"\xff\":1}", "\"\x1f\"", "{}{}", "{}\x00", "[1,]", `{"a":1,"a":2}`, `{"a":}`, `{a:1}`, strings.Repeat("[", 40) + strings.Repeat("]", 40), strings.Repeat("[", 20000) + strings.Repeat("]", 20000)} {
		same(t, raw)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(drawRecord(t, rapid.SampledFrom([]int{0, 6, 30}).Draw(t, "odd")))
		same(t, string(raw))
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw[at] = rapid.SampledFrom([]byte("\"\\{}[]:,0-.eEn \x00\xff")).Draw(t, "byte")
		same(t, string(raw))
		same(t, string(raw[:at]))
	})
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		oneCar, twoCars, `{"id":"C","ID":"D","name":"\u738b\ud83d\ude00","x":[1.5e3,{"y":null}]}`,
		`{"id":"C","vehicles":[1,{"id":"A","sold_on":5}],"holds":[5],"consent":{"sms":5,"SMS":{"at":"x"}}}`,
		`{"id":"C","preferences":{"channels":["fax"],"max_per_week":-1,"quiet":"late","off":[null]},"birthday":"lunar:--L06-30"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { agree(t, raw) })
}

// TestDecodeAllocations keeps the hot path of a sweep from getting slow unseen: encoding/json needs 75.
func TestDecodeAllocations(t *testing.T) { //nolint:paralleltest // it counts what the whole process allocates
	for name, text := range map[string]string{"example": oneCar, "two cars": twoCars} {
		raw := []byte(text)
		if n := testing.AllocsPerRun(100, func() { _, _, _ = Decode(raw) }); n > 12 { // a few, and what the race detector takes out of the pool
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestDecodeKeepsLittle: a large field that is not read is not kept in memory by the texts that are.
func TestDecodeKeepsLittle(t *testing.T) { //nolint:paralleltest // it measures the memory of the whole process
	const n = 100
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	raw := []byte(`{"photo":"` + strings.Repeat("x", 100_000) + `",` + oneCar[1:])
	kept := make([]*Customer, n)
	before := heap()
	for i := range kept {
		kept[i], _, _ = Decode(raw)
	}
	if after := heap(); after > before+n*8000 {
		t.Errorf("a record keeps %d bytes", (after-before)/n)
	}
	runtime.KeepAlive(kept)
}
