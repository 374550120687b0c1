package record_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

var update = flag.Bool("update", false, "write docs/customer.schema.json anew")

const schemaFile = "../../docs/customer.schema.json"

const (
	idPattern       = `^[A-Za-z0-9._:-]{1,64}$`
	datePattern     = `^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`
	birthdayPattern = `^(([0-9]{4}-|--)[0-9]{2}-[0-9]{2}|lunar:([0-9]{4}-|--)(L?[0-9]{2}-[0-9]{2}|12-eve))?$`
	windowPattern   = `^([0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]|none)?$`
)

// written says in words how the types are written that are one text, by pattern or format.
var written = map[string]string{
	idPattern:   "1 to 64 of A-Z a-z 0-9 . _ : -",
	datePattern: "YYYY-MM-DD",
	birthdayPattern: "YYYY-MM-DD, or --MM-DD if the year is not known; lunar:YYYY-MM-DD and lunar:--MM-DD in the lunar calendar, " +
		"with L06 for a leap month; lunar:--12-eve is the last day of the lunar year",
	windowPattern: "HH:MM-HH:MM, from and to; it may go past midnight",
	"date-time":   "RFC 3339, with its offset",
}

// formats describes the types that are written as one text.
func formats(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[care.Date]():
		return &jsonschema.Schema{Type: "string", Pattern: datePattern}
	case reflect.TypeFor[care.Birthday]():
		return &jsonschema.Schema{Type: "string", Pattern: birthdayPattern}
	case reflect.TypeFor[care.Window]():
		return &jsonschema.Schema{Type: "string", Pattern: windowPattern}
	case reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[care.Powertrain]():
		return &jsonschema.Schema{Type: "string", Enum: []any{"petrol", "diesel", "hybrid", "phev", "ev", ""}}
	case reflect.TypeFor[care.Channel]():
		return &jsonschema.Schema{Type: "string", Enum: []any{care.Email, care.SMS, care.Webhook}}
	}
	return nil
}

// meanings are the words for people who write records, by type and field.
var meanings = map[string]string{
	"Customer.id":                  "the customer's number in your system; part of the Redis key care:customer:ID",
	"Customer.dealer":              "the dealer's name in the care book; may be left out if the book has one dealer only",
	"Customer.salutation":          "how the customer is addressed, such as 王先生",
	"Customer.email":               "one bare address",
	"Customer.phone":               "E.164 (+8613800138000), or a national number of the dealer's country",
	"Customer.locale":              "the customer's language, such as zh-CN or en; else the dealer's",
	"Customer.time_zone":           "an IANA zone such as Asia/Shanghai; else the dealer's",
	"Customer.grade":               "A, B or C: decides how many messages a week at most",
	"Customer.advisor":             "the service advisor's id in the care book, or the name",
	"Customer.household":           "customers with the same household get an invitation once",
	"Customer.consent":             "what the customer allowed, by channel; what is left out was never asked, and the dealer's default decides",
	"Customer.holds":               "reasons to send nothing but safety notices for a while",
	"Preferences.channels":         "in the order the customer likes them",
	"Preferences.max_per_week":     "0 is nothing at all",
	"Preferences.quiet":            "when the customer is not to be disturbed, on the customer's clock: 21:00-09:00",
	"Preferences.off":              "programs, topics or classes the customer does not want",
	"Consent.care":                 "follows service unless it is set",
	"Consent.wording":              "version of the words the customer agreed to",
	"Hold.reason":                  "such as complaint; deceased stops safety notices too",
	"Hold.since":                   "the first day; none: from the beginning",
	"Hold.until":                   "the last day; none: until it is taken out",
	"Vehicle.id":                   "usually the VIN",
	"Vehicle.appointment_at":       "the next workshop appointment",
	"Vehicle.powertrain":           "petrol, diesel, hybrid, phev or ev; a book can have intervals of each",
	"Vehicle.odometer_at_delivery": "of a used car: the kilometres at its handover",
	"Vehicle.sold_on":              "from this day on nothing is sent about the vehicle",
	"Vehicle.service_interval":     "whichever comes first; else the dealer's for the make and model",
	"Visit.order":                  "the repair order's number",
	"Visit.kind":                   "maintenance, repair, …; without one it was a maintenance",
	"Visit.declined":               "work the customer put off",
	"Warranty.km":                  "ends at this mileage or at until, whichever comes first",
}

// needed are the fields that must be there.
var needed = map[string][]string{"Customer": {"id"}, "Vehicle": {"id"}, "Reading": {"on", "km"}, "Visit": {"closed_on"}, "Hold": {"reason"}}

// nonNegative are the numbers that cannot be below 0.
var nonNegative = map[string]bool{"Preferences.max_per_week": true, "Reading.km": true, "Visit.km": true, "Interval.km": true, "Interval.months": true, "Warranty.km": true}

func generate(t *testing.T) []byte {
	t.Helper()
	r := jsonschema.Reflector{Mapper: formats, AllowAdditionalProperties: true, RequiredFromJSONSchemaTags: true, ExpandedStruct: true, Anonymous: true}
	s := r.Reflect(&care.Customer{})
	s.Title = "carebell customer record"
	s.Description = "One JSON document per customer, at the Redis key care:customer:ID. Unknown fields are kept and ignored. " +
		"Generated from the Go types of package care by `go test ./care/record -run Schema -update`."
	used := map[string]bool{}
	describe(s, "Customer", used)
	for name, d := range s.Definitions {
		describe(d, name, used)
	}
	for field := range meanings {
		if !used[field] {
			t.Errorf("meanings: there is no field %s", field)
		}
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(raw, '\n')
}

// describe says what a type's fields mean, which are needed, and that all others may be null.
func describe(s *jsonschema.Schema, name string, used map[string]bool) {
	s.Required = needed[name]
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		v, field := p.Value, name+"."+p.Key
		if p.Key == "id" {
			v.Pattern = idPattern
		}
		used[field] = true
		v.Description = strings.Trim(meanings[field]+"; "+written[v.Pattern+v.Format], "; ")
		if nonNegative[field] {
			v.Minimum = "0"
		}
		if slices.Contains(s.Required, p.Key) {
			if v.Pattern == datePattern {
				v.Pattern = strings.Replace(datePattern, "?$", "$", 1) // it may not be blank
			}
			continue
		}
		null := &jsonschema.Schema{Type: "null"}
		switch {
		case v.Ref != "":
			p.Value = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Ref: v.Ref}, null}, Description: v.Description}
		default:
			v.Extras = map[string]any{"type": []string{v.Type, "null"}}
			v.Type = ""
		}
	}
}

// TestSchema holds docs/customer.schema.json against the Go types.
func TestSchema(t *testing.T) {
	t.Parallel()
	want := generate(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/customer.schema.json is not what the types say; run `go test ./care/record -run Schema -update` (-want +got):\n%s", diff)
	}
}

// TestSchemaAgrees: what the schema takes and refuses, Decode takes and finds defects in.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(exampleCustomer())
	if err != nil {
		t.Fatal(err)
	}
	car := func(fields string) string { return `{"id":"C","vehicles":[{"id":"V",` + fields + `}]}` }
	for text, want := range map[string]bool{
		example: true, string(written): true, `{"id":"C"}`: true, `{"id":"C","x":{"y":[1]}}`: true,
		`{"id":"C","birthday":null,"consent":null,"holds":null,"vehicles":null,"preferences":null,"tags":null}`: true,
		`{"id":"C","birthday":"--02-29"}`: true, `{"id":"C","birthday":"lunar:--L06-01"}`: true, `{"id":"C","birthday":"lunar:--12-eve"}`: true,
		`{"id":"C","birthday":"20.2.1985"}`: false, `{"id":"C","birthday":5}`: false,
		`{}`: false, `[]`: false, `{"id":5}`: false, `{"id":"{x}"}`: false, `{"id":"C","name":5}`: false,
		car(`"sold_on":null`): true, car(`"sold_on":"2026-01-01"`): true, car(`"sold_on":""`): true, car(`"sold_on":"soon"`): false,
		car(`"model_year":2024`): true, car(`"model_year":"2024"`): false, car(`"model_year":2024.5`): false,
		car(`"odometer":[{"on":"2026-01-01","km":5}]`): true, car(`"odometer":[{"on":"2026-01-01","km":-5}]`): false, car(`"odometer":[{"km":5}]`): false, car(`"odometer":{}`): false,
		car(`"visits":[{"closed_on":"2026-01-01","km":null}]`): true, car(`"visits":[{"order":"R"}]`): false, car(`"visits":[{"closed_on":""}]`): false,
		car(`"service_interval":{"km":-1}`): false, car(`"service_interval":null`): true,
		`{"id":"C","vehicles":[{"plate":"x"}]}`:         false,
		`{"id":"C","consent":{"sms":{"service":true}}}`: true, `{"id":"C","consent":{"sms":{"service":null}}}`: true, `{"id":"C","consent":{"sms":{"service":"yes"}}}`: false, `{"id":"C","consent":true}`: false,
		`{"id":"C","preferences":{"max_per_week":0,"quiet":"21:00-09:00"}}`: true, `{"id":"C","preferences":{"max_per_week":-1}}`: false,
		`{"id":"C","preferences":{"quiet":"late"}}`: false, `{"id":"C","preferences":{"channels":["fax"]}}`: false,
		`{"id":"C","holds":[{"reason":"complaint","since":"2026-11-01","until":null}]}`: true, `{"id":"C","holds":["complaint"]}`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		err := validate(schema, schema, v, "$")
		if (err == nil) != want {
			t.Errorf("schema: %s: %v, want valid %t", text, err, want)
		}
		_, defects, decoding := record.Decode([]byte(text))
		if (decoding == nil && len(defects) == 0) != want {
			t.Errorf("Decode: %s: %v %v, want valid %t", text, defects, decoding, want)
		}
	}
}

// validate checks a value against the parts of JSON Schema that ours uses, and fails on any other part.
func validate(root, s map[string]any, v any, path string) error {
	for word, rule := range s {
		var err error
		switch word {
		case "$schema", "$defs", "description", "title", "format":
		case "$ref":
			at := root
			for _, p := range strings.Split(strings.TrimPrefix(rule.(string), "#/"), "/") {
				at = at[p].(map[string]any)
			}
			err = validate(root, at, v, path)
		case "anyOf":
			for _, other := range rule.([]any) {
				if err = validate(root, other.(map[string]any), v, path); err == nil {
					break
				}
			}
		case "type":
			kinds, ok := rule.([]any)
			if !ok {
				kinds = []any{rule}
			}
			err = fmt.Errorf("%s is no %v", path, kinds)
			for _, k := range kinds {
				if is(k.(string), v) {
					err = nil
				}
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(text) {
				err = fmt.Errorf("%s does not match", path)
			}
		case "minimum":
			if n, ok := v.(float64); ok && n < rule.(float64) {
				err = fmt.Errorf("%s is too small", path)
			}
		case "enum":
			if raw, _ := json.Marshal(rule); !bytes.Contains(raw, []byte(fmt.Sprintf("%q", v))) {
				err = fmt.Errorf("%s is none of %s", path, raw)
			}
		case "items":
			list, _ := v.([]any)
			for i, item := range list {
				if err = validate(root, rule.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
					break
				}
			}
		case "required":
			if object, ok := v.(map[string]any); ok {
				for _, name := range rule.([]any) {
					if _, ok := object[name.(string)]; !ok {
						err = fmt.Errorf("%s.%s is missing", path, name)
					}
				}
			}
		case "properties", "additionalProperties":
			object, _ := v.(map[string]any)
			for name, item := range object {
				rule, ok := rule.(map[string]any)
				if word == "properties" && ok {
					rule, ok = rule[name].(map[string]any)
				}
				if ok && err == nil {
					err = validate(root, rule, item, path+"."+name)
				}
			}
		default:
			err = fmt.Errorf("the schema says %q, which this check does not know", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func is(kind string, v any) bool {
	switch x := v.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && x == float64(int64(x))
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}
