package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

// oneCar is the customer record of design A2, twoCars a longer one.
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

// agree holds the reader against encoding/json: what that reads without an error is read the same and without a defect, what it
// reads with one has a defect, and what is no JSON for it is none.
func agree(t failer, raw []byte) {
	t.Helper()
	mine := bytes.Clone(raw)
	got, defects, ok := read(mine)
	if !bytes.Equal(mine, raw) {
		t.Fatalf("%q: the record was changed", raw)
	}
	for i := range mine {
		mine[i] = 'x' // what was read must not lie in it
	}
	trimmed := bytes.Trim(raw, " \t\r\n")
	if valid := json.Valid(raw) && (trimmed[0] == '{' || trimmed[0] == 'n'); ok != valid {
		t.Fatalf("%q: read %t, encoding/json %t", raw, ok, valid)
	}
	if !ok {
		return
	}
	want := new(care.Customer)
	err := json.Unmarshal(raw, want)
	switch {
	case (err == nil) != (len(defects) == 0):
		t.Fatalf("%q: encoding/json: %v, defects %v", raw, err, defects)
	case err == nil && !reflect.DeepEqual(want, got):
		t.Fatalf("%q (-encoding/json +read):\n%s", raw, cmp.Diff(want, got, inside))
	}
}

// TestReadAgreesWithEncodingJSON takes what encoding/json reads in an unusual way, and what it refuses.
func TestReadAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		oneCar, twoCars, ` { } `, "null", " null ",
		`{"id":"C","tags":null,"consent":null,"holds":null,"preferences":null,"birthday":null,"vehicles":[{"id":null,"odometer":null,"sold_on":null,"visits":null,"warranty":null,"appointment_at":null}]}`,
		`{"id":"C","tags":[],"consent":{},"holds":[],"preferences":{"channels":[],"off":[],"quiet":""},"birthday":"","vehicles":[]}`,
		`{"id":"C","tags":[null,"a"],"holds":[null],"vehicles":[null,{"id":"V","odometer":[null],"visits":[null]}],"consent":{"sms":null},"preferences":{"channels":[null]}}`,
		`{"id":"C","x":{"y":[1,-2.5e+10,0,0.1E-2,"\"\u00e9\n",true,false,null,{}]},"vehicles":[{"id":"A","x":[[[]]]}]}`,
		`{"id":"C","customerType":1,"车":2}`, `{"id":"C","closed":true,"Closed":true}`,
		`{"id":"C","name":"\u738b\u5c0f\u660e","salutation":"a\"\\\/\b\f\n\r\tz","tags":["\u0000","\u00E9"]}`,
		`{"id":"C","birthday":"20.2.1985","holds":[{"since":"x","until":"2026-02-30"}],"preferences":{"quiet":"late"}}`,
		`{"id":"C","tags":[` + strings.Repeat(`"tag",`, 40) + `"last"],"vehicles":[` + strings.Repeat(`{"id":"V","visits":[`+strings.Repeat(`{"km":1},`, 12)+`{"km":2}]},`, 9) + `null]}`,
		`{"id":"C","name":"` + strings.Repeat("王", 200) + `","email":"` + strings.Repeat("x", 600) + `","tags":["a","b"]}`,
		`{"id":"C","vehicles":[{"id":"V","odometer":[{"on":"2026-01-01","km":-5}],"model_year":-0}]}`,
		`{"id":"C","consent":{"SMS":{"service":false},"wechat":{"service":true}},"preferences":{"channels":["fax"]}}`,
		"\t{\r\n \"id\" :\t\"C\" ,\n\"tags\" : [ \"a\" , \"b\" ] } \n",
		`{"id":"C","vehicles":[{"id":"V","appointment_at":"2026-12-01T10:00:00.5+05:45"}]}`,
		`{"id":"C","id":"D"}`, `{"id":"C","vehicles":[{"id":"V","sold_on":"2026-01-01","sold_on":null}]}`, `{"id":"C","consent":{"sms":{"service":false},"sms":{"care":true}}}`,
		`{"id":"C","preferences":{"off":["a"]},"preferences":{"max_per_week":1}}`, `{"id":"C","name":"a","name":null}`, `{"id":"C","preferences":{"max_per_week":1,"max_per_week":null}}`,
		`{"ID":"C"}`, `{"id":"C","Holds":[{"reason":"a"}]}`, `{"id":"C","holds":[{"reason":"a"}],"HOLDS":[]}`, `{"id":"C","hold` + "\u017f" + `":[{"reason":"a"}]}`, `{"id":"C","vehicles":[{"id":"V","visits":[{"` + "\u212a" + `ind":"repair"}]}]}`, `{"id":"C","time-zone":"x","timezone":"y"}`,
		`{"i\u0064":"C"}`, `{"id":"\u0043"}`, `{"id":"C","preferences":{"quiet":"\u0032\u0031:00-09:00"}}`, `{"id":"C","birthday":"\u0031985-02-20"}`, `{"id":"C","name":"\ud83d\ude00"}`, `{"id":"C","name":"\ud83d"}`,
		"{\"id\":\"C\",\"name\":\"\xff\"}", "{\"id\":\"C\",\"\xff\":1}", "{\"id\":\"C\",\"consent\":{\"\xff\":{}}}",
		``, ` `, `x`, `[]`, `"C"`, `5`, `true`, `{`, `{}x`, `{} {}`, `nul`, `nullx`, "\x00", "{}\x00", "\xef\xbb\xbf{}", `{"id":"C",}`, `{,"id":"C"}`, `{"id" "C"}`, `{"id":"C"`, `{"id":"C}`,
		`{"id":"C","name":"\x"}`, `{"id":"C","name":"\u12g4"}`, `{"id":"C","name":"\`, `{"id":"C","name":"\u12`, "{\"id\":\"C\",\"name\":\"a\nb\"}", "{\"id\":\"C\",\"x\":\"a\x1fb\"}",
		`{"id":5}`, `{"id":"C","name":5}`, `{"id":"C","tags":"a"}`, `{"id":"C","tags":[5]}`, `{"id":"C","vehicles":{}}`, `{"id":"C","consent":[]}`, `{"id":"C","birthday":5}`, `{"id":"C","preferences":{"quiet":5}}`,
		`{"id":"C","vehicles":[{"id":"V","appointment_at":"tomorrow"}]}`, `{"id":"C","vehicles":[{"id":"V","appointment_at":5}]}`,
		`{"id":"C","preferences":{"max_per_week":1.0}}`, `{"id":"C","preferences":{"max_per_week":1e1}}`, `{"id":"C","preferences":{"max_per_week":01}}`, `{"id":"C","preferences":{"max_per_week":1234567890}}`, `{"id":"C","preferences":{"max_per_week":12345678901234567890}}`, `{"id":"C","preferences":{"max_per_week":-}}`, `{"id":"C","preferences":{"max_per_week":"1"}}`,
		`{"id":"C","x":01}`, `{"id":"C","x":1.}`, `{"id":"C","x":.5}`, `{"id":"C","x":1e}`, `{"id":"C","x":1e+}`, `{"id":"C","x":-}`, `{"id":"C","x":+1}`, `{"id":"C","x":tru}`, `{"id":"C","x":falsy}`, `{"id":"C","x":[1 2]}`, `{"id":"C","x":[1,]}`, `{"id":"C","x":}`, `{"id":"C","x":NaN}`,
		`{"id":"C","tags":["a"`, `{"id":"C","tags":["a",]}`, `{"id":"C","tags":["a",x]}`, `{"id":"C","tags":x}`, `{"id":"C","consent":{"sms":{"service":x}}}`, `{"id":"C","vehicles":[{"sold_on":}]}`,
		`{"id":"C","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, `{"id":"C","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		`{"id":"C","tags":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`, `{"id":"C","tags":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`,
	} {
		agree(t, []byte(raw))
	}
	for i := range len(oneCar) { // each byte of the example left out, and changed
		agree(t, []byte(oneCar[:i]))
		agree(t, []byte(oneCar[:i]+oneCar[i+1:]))
		for _, b := range []string{`"`, `\`, "]", "0", "\xff"} {
			agree(t, []byte(oneCar[:i]+b+oneCar[i+1:]))
		}
	}
}

func TestReadAgreesOnDrawnRecords(t *testing.T) {
	t.Parallel()
	t.Run("plain", rapid.MakeCheck(func(t *rapid.T) { agree(t, []byte(drawRecord(t, 0))) }))
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

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		oneCar, twoCars, `{"id":"C","ID":"D","name":"\u738b\ud83d\ude00","x":[1.5e3,{"y":null}]}`,
		`{"id":"C","vehicles":[1,{"id":"A","sold_on":5}],"holds":[5],"consent":{"sms":5,"SMS":{"at":"x"}}}`,
		`{"id":"C","preferences":{"channels":["fax"],"max_per_week":-1,"quiet":"late","off":[null]},"birthday":"lunar:--L06-30"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { agree(t, raw) })
}

// fill gives every field a sound value that is not zero, and no two texts or numbers the same.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case care.Date:
		v.Set(reflect.ValueOf(care.DateFromDays(20000 + *n)))
		return
	case care.Powertrain:
		v.Set(reflect.ValueOf(care.Powertrains[*n%len(care.Powertrains)]))
		return
	case care.Channel:
		v.Set(reflect.ValueOf(care.Channels[*n%len(care.Channels)]))
		return
	case care.Birthday:
		v.Set(reflect.ValueOf(care.Birthday{Lunar: true, Leap: true, Year: 1985, Month: 6, Day: 7}))
		return
	case care.Window:
		v.Set(reflect.ValueOf(care.Window{From: 1260, To: 540}))
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
		for _, ch := range []care.Channel{care.SMS, care.Email, care.Webhook, "other"} {
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

// TestDecodeReadsEveryField: each field of the types is read, and into its own place.
func TestDecodeReadsEveryField(t *testing.T) {
	t.Parallel()
	var want care.Customer
	n := 0
	fill(reflect.ValueOf(&want).Elem(), &n)
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	agree(t, raw)
	got, defects, err := Decode(raw)
	if diff := cmp.Diff(&want, got, inside); err != nil || len(defects) > 0 || diff != "" {
		t.Errorf("%v %v (-want +got):\n%s", err, defects, diff)
	}
}

// drawSound draws a record without a fault: any field may be missing, ids differ, dates exist.
func drawSound(t *rapid.T) care.Customer {
	var c care.Customer
	n := rapid.IntRange(0, 1e6).Draw(t, "seed")
	fill(reflect.ValueOf(&c).Elem(), &n)
	var thin func(v reflect.Value)
	thin = func(v reflect.Value) {
		switch {
		case v.Kind() == reflect.Slice && v.Len() > 0:
			v.Set(v.Slice(0, rapid.IntRange(1, v.Len()).Draw(t, "items")))
			for i := range v.Len() {
				thin(v.Index(i))
			}
		case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[care.Customer]().PkgPath():
			for f := range v.Type().Fields() {
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				if !f.IsExported() || name == "id" || name == "closed_on" {
					continue
				}
				if options != "" && rapid.Bool().Draw(t, "left out") {
					v.FieldByIndex(f.Index).SetZero()
				} else {
					thin(v.FieldByIndex(f.Index))
				}
			}
		case v.Kind() == reflect.String && v.Type() == reflect.TypeFor[string]():
			v.SetString(rapid.String().Draw(t, "text"))
		}
	}
	thin(reflect.ValueOf(&c).Elem())
	return c
}

// TestDecodeTakesSoundRecords: a record without a fault comes back as it was written, as from encoding/json, and has no defect.
func TestDecodeTakesSoundRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawSound(t)
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		got, defects, err := Decode(raw)
		if err != nil || len(defects) > 0 {
			t.Fatalf("%s: %v %v", raw, defects, err)
		}
		want := new(care.Customer)
		if err := json.Unmarshal(raw, want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, inside); diff != "" {
			t.Fatalf("%s (-encoding/json +Decode):\n%s", raw, diff)
		}
	})
}

// TestDecodeNamesEveryPlace puts a value of each wrong type into each place of a full record: the report has the path of just that
// place, the rest is read, and what fails closed does.
func TestDecodeNamesEveryPlace(t *testing.T) {
	t.Parallel()
	var full care.Customer
	n := 0
	fill(reflect.ValueOf(&full).Elem(), &n)
	raw, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	places := 0
	var walk func(at string, value any, set func(any))
	walk = func(at string, value any, set func(any)) {
		switch v := value.(type) {
		case map[string]any:
			for name, item := range v {
				walk(at+"."+name, item, func(x any) { v[name] = x })
			}
		case []any:
			for i, item := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), item, func(x any) { v[i] = x })
			}
		}
		if at == "$" || at == "$.id" {
			return
		}
		places++
		for _, wrong := range []any{"\x01no such thing", 1.5, true, map[string]any{"a": 1.0}, []any{[]any{}}} {
			if reflect.TypeOf(wrong) == reflect.TypeOf(value) && !strings.HasSuffix(at, "_on") {
				continue
			}
			set(wrong)
			raw, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			c, defects, err := Decode(raw)
			if err != nil || len(defects) == 0 || defects[0].Path != at || defects[0].Message == "" || strings.Contains(defects[0].Message, "no such thing") {
				t.Errorf("%s = %v: %v %v", at, wrong, defects, err)
				continue
			}
			closed := failsClosed(at)
			if c.Closed != closed || defects[0].Closed != closed || c.Name != full.Name && at != "$.name" {
				t.Errorf("%s = %v: closed %t, %+v", at, wrong, c.Closed, defects)
			}
		}
		set(value)
	}
	walk("$", document, nil)
	if places < 100 {
		t.Errorf("only %d places were tried", places)
	}
}

// TestDecodeFailsClosedInAnyLetterCase: a name in capitals is read, so a defect in it must count as well.
func TestDecodeFailsClosedInAnyLetterCase(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"id":"C","HOLDS":5}`:                           "$.holds",
		`{"id":"C","Consent":{"sms":{"SERVICE":"yes"}}}`: "$.consent.sms.service",
		`{"id":"C","PREFERENCES":{"Quiet":"late"}}`:      "$.preferences.quiet",
		`{"id":"C","Vehicles":[{"id":"V","Sold_On":5}]}`: "$.vehicles[0].sold_on",
		`{"id":"C","hold` + "\u017f" + `":{}}`:           "$.holds",
		`{"id":"C","holds":[],"holds":5}`:                "$.holds",
		`{"id":"C","holds":5,"holds":[]}`:                "$.holds",
		`{"id":"C","consent":{"a/b~c":5}}`:               "$.consent.a/b~c",
	} {
		c, defects, err := Decode([]byte(raw))
		if err != nil || len(defects) != 1 || defects[0].Path != want || !c.Closed {
			t.Errorf("%s: %v %v", raw, defects, err)
		}
	}
}

// TestDecodeTakesTheLastValueThatCanBeRead: what stands in a record twice is reported only where it cannot be read.
func TestDecodeTakesTheLastValueThatCanBeRead(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"id":"C","name":"a","name":"b"}`: "b []",
		`{"id":"C","name":"a","NAME":"b"}`: "b []",
		`{"id":"C","NAME":"a","name":"b"}`: "b []",
		`{"id":"C","name":"a","name":5}`:   "a [{$.name should be a text false}]",
		`{"id":"C","name":5,"name":"b"}`:   "b [{$.name should be a text false}]",
	} {
		c, defects, err := Decode([]byte(raw))
		if got := fmt.Sprint(c.Name, " ", defects); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", raw, got, err, want)
		}
	}
}

// TestDecodeGivesEachCustomerItsOwn: customers that say the same share nothing, and a defect of one is no defect of the next.
func TestDecodeGivesEachCustomerItsOwn(t *testing.T) {
	t.Parallel()
	decode := func() *care.Customer {
		c, _, err := Decode([]byte(`{"id":"C","consent":{"sms":{"service":true,"at":"never"}},"tags":["a"]}`))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := decode(), decode()
	if !first.Closed || !second.Closed {
		t.Error("a defect was reported once only")
	}
	*first.Consent[care.SMS].Service = false
	first.Consent[care.Email] = care.Consent{}
	first.Tags[0] = "b"
	if diff := cmp.Diff(decode(), second, inside); diff != "" {
		t.Errorf("one customer's change reached the other (-fresh +second):\n%s", diff)
	}
}

// TestDecodeAllocations keeps the hot path of a sweep from getting slow unseen.
func TestDecodeAllocations(t *testing.T) { //nolint:paralleltest // it counts what the whole process allocates
	for name, text := range map[string]string{"example": oneCar, "two cars": twoCars} {
		raw := []byte(text)
		fewest := math.Inf(1) // of many: the race detector takes readers out of the pool, which are made anew
		for range 50 {
			fewest = min(fewest, testing.AllocsPerRun(1, func() { _, _, _ = Decode(raw) }))
		}
		if fewest > 70 {
			t.Errorf("%s: %v allocations", name, fewest)
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
	kept := make([]*care.Customer, n)
	before := heap()
	for i := range kept {
		kept[i], _, _ = Decode(raw)
	}
	if after := heap(); after > before+n*8000 {
		t.Errorf("a record keeps %d bytes", (after-before)/n)
	}
	runtime.KeepAlive(kept)
}

// BenchmarkDecode has the customer of the bar: 840 bytes, one car.
func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"example": oneCar, "two cars": twoCars,
		"usual":    strings.Join(strings.Fields(twoCars[:strings.LastIndex(twoCars, ",\n")]+"]}"), ""),
		"defect":   strings.Replace(oneCar, `"sold_on":null`, `"sold_on":5`, 1),
		"tolerant": strings.Replace(oneCar, `"王先生"`, `5`, 1),
	} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, _, err := Decode(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
