package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"text/template"

	"github.com/kelseyhightower/envconfig"

	"github.com/carebell/carebell/care/problem"
)

const prefix = "CARE"

// maxSecretFile is more than any key or list of servers needs.
const maxSecretFile = 64 << 10

// Mistake is a fault of a setting, or of what it names: another try with the same settings would say the same.
type Mistake struct{ Err error }

func (m *Mistake) Error() string { return m.Err.Error() }

// Unwrap returns what is wrong.
func (m *Mistake) Unwrap() error { return m.Err }

// AsMistake marks an error as a Mistake; nil stays nil.
func AsMistake(err error) error {
	if err == nil {
		return nil
	}
	return &Mistake{err}
}

// FromEnv reads the settings from the environment, where an empty variable is as good as none. Every fault is a Mistake, names its variable
// and says what to write; no error shows a variable's value, because it may be a secret or an address.
func FromEnv() (*Settings, error) {
	if err := unsetEmpty(); err != nil {
		return nil, err
	}
	s, err := fromEnv()
	if err != nil {
		return nil, AsMistake(err)
	}
	return s, nil
}

// unsetEmpty takes empty variables of ours off the environment: envconfig would read them as values.
func unsetEmpty() error {
	for _, env := range os.Environ() {
		if name, value, _ := strings.Cut(env, "="); value == "" && strings.HasPrefix(name, prefix+"_") {
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("settings: %w", err)
			}
		}
	}
	return nil
}

func fromEnv() (*Settings, error) {
	s := new(Settings)
	if err := envconfig.CheckDisallowed(prefix, s); err != nil {
		return nil, unknown(s)
	}
	if err := envconfig.Process(prefix, s); err != nil {
		if p, ok := errors.AsType[*envconfig.ParseError](err); ok {
			// ParseError's own text shows the value.
			return nil, fmt.Errorf("%s: %s", p.KeyName, remedy(p))
		}
		return nil, fmt.Errorf("settings: %w", err)
	}
	if err := readFiles(prefix, reflect.ValueOf(s).Elem()); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

func remedy(p *envconfig.ParseError) string {
	switch p.TypeName {
	case "bool":
		return "write true or false"
	case "int":
		return "write a whole number"
	case "float64":
		return "write a number"
	}
	return p.Err.Error()
}

// unknown names all variables that are none of ours, each with the nearest that is.
func unknown(s *Settings) error {
	known, err := names(s)
	if err != nil {
		return err
	}
	var all []error
	for _, env := range slices.Sorted(slices.Values(os.Environ())) {
		name, _, _ := strings.Cut(env, "=")
		if !strings.HasPrefix(name, prefix+"_") || slices.Contains(known, name) {
			continue
		}
		hint := "`carebell serve -h` lists all settings"
		if near := problem.Nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		all = append(all, fmt.Errorf("unknown setting %s: %s", name, hint))
	}
	return errors.Join(all...)
}

// names asks envconfig for the variables it knows.
func names(s *Settings) ([]string, error) {
	var b strings.Builder
	if err := envconfig.Usaget(prefix, s, &b, template.Must(template.New("").Parse("{{range .}}{{.Key}} {{end}}"))); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return strings.Fields(b.String()), nil
}

// readFiles sets each secret whose …_FILE variable was set.
func readFiles(name string, v reflect.Value) error {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		target := field.Tag.Get("file")
		if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[Secret]() {
			if err := readFiles(name+"_"+strings.ToUpper(field.Name), value); err != nil {
				return err
			}
			continue
		}
		if target == "" || value.String() == "" {
			continue
		}
		variable := name + "_" + snake(target)
		if os.Getenv(variable) != "" {
			return fmt.Errorf("%s and %s_FILE are both set: keep one", variable, variable)
		}
		text, err := secretFile(value.String())
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", variable, err)
		}
		setter, ok := v.FieldByName(target).Addr().Interface().(envconfig.Setter)
		if !ok {
			return fmt.Errorf("%s_FILE has no secret to fill", variable)
		}
		if err := setter.Set(text); err != nil {
			return fmt.Errorf("%s_FILE: %w", variable, err)
		}
	}
	return nil
}

func secretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(b), "\r\n")
	switch {
	case len(b) > maxSecretFile:
		return "", fmt.Errorf("%s is larger than 64 KiB: is it the right file?", path)
	case strings.TrimSpace(text) == "":
		return "", fmt.Errorf("%s is empty: put the secret into it", path)
	}
	return text, nil
}

// snake writes a field's name as envconfig does: SecretKey → SECRET_KEY, RedisURL → REDIS_URL.
func snake(field string) string {
	var b strings.Builder
	for i, r := range field {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 && (field[i-1] < 'A' || field[i-1] > 'Z') {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// Usage writes every setting with its default and one line of meaning.
func Usage(w io.Writer) error {
	const layout = `SETTING	DEFAULT	MEANING
{{range .}}{{if not (.Tags.Get "file")}}{{.Key}}	{{with .Tags.Get "default"}}{{.}}{{else}}-{{end}}	{{.Tags.Get "desc"}}
{{end}}{{end}}
A secret may stand in a file instead, named by {{range $i, $v := files .}}{{if $i}}, {{end}}{{$v}}{{end}}.
`
	files := func(infos any) []string {
		var found []string
		v := reflect.ValueOf(infos)
		for i := range v.Len() {
			if tags, ok := v.Index(i).FieldByName("Tags").Interface().(reflect.StructTag); ok && tags.Get("file") != "" {
				found = append(found, v.Index(i).FieldByName("Key").String())
			}
		}
		return found
	}
	t, err := template.New("usage").Funcs(template.FuncMap{"files": files}).Parse(layout)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := envconfig.Usaget(prefix, new(Settings), table, t); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return table.Flush()
}
