package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Secret is a setting that is never printed: as text, JSON, Go syntax or log value it is "…". Only Reveal tells it.
type Secret struct{ value string }

// NewSecret wraps a secret that does not come from the environment.
func NewSecret(value string) Secret { return Secret{value} }

const hidden = "…"

// Reveal returns the secret itself. It must not reach a log line, an error or a page.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether no secret was set.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns "…", or "" for no secret.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return hidden
}

// GoString returns the same as String, for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalJSON writes the same as String.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue logs the same as String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Set reads the secret from a variable.
func (s *Secret) Set(value string) error {
	s.value = value
	return nil
}

// Secrets is a list of secrets, written with commas (in a file also on lines of their own): the first is used, for keys the
// others still verify.
type Secrets []Secret

// Set reads the list from a variable.
func (s *Secrets) Set(value string) error {
	*s = nil
	for _, v := range split(value) {
		*s = append(*s, Secret{v})
	}
	return nil
}

// String returns "…" for each secret.
func (s Secrets) String() string {
	return strings.Join(strings.Split(strings.Repeat(hidden, len(s)), ""), ",")
}

// split parts a list at commas and line ends; blanks around a word do not count, empty words are left out.
func split(value string) []string {
	var words []string
	for v := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == '\n' }) {
		if v = strings.TrimSpace(v); v != "" {
			words = append(words, v)
		}
	}
	return words
}

// List is a list of words, written with commas.
type List []string

// Set reads the list from a variable.
func (l *List) Set(value string) error {
	*l = split(value)
	return nil
}

// Limits are numbers by name, written name=number with commas. The name * stands for whatever has none of its own.
type Limits map[string]float64

// Set reads the limits from a variable.
func (l *Limits) Set(value string) error {
	*l = Limits{}
	for _, word := range split(value) {
		name, number, ok := strings.Cut(word, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if !ok || name == "" || err != nil || !(n > 0 && n < 1e9) {
			return errors.New("write names and numbers over 0 with commas, such as qq.com=20, *=100")
		}
		(*l)[name] = n
	}
	return nil
}

// Warmup is how many mails a day may go to each domain while a sender is new, written 2026-12-01:50,x1.5.
type Warmup struct {
	From   time.Time
	First  int
	Growth float64
}

// Set reads the warm-up from a variable.
func (w *Warmup) Set(value string) error {
	day, numbers, _ := strings.Cut(value, ":")
	first, growth, grows := strings.Cut(numbers, ",")
	growth, times := strings.CutPrefix(strings.TrimSpace(growth), "x")
	var errs [3]error
	w.From, errs[0] = time.Parse(time.DateOnly, strings.TrimSpace(day))
	w.First, errs[1] = strconv.Atoi(strings.TrimSpace(first))
	w.Growth, errs[2] = strconv.ParseFloat(growth, 64)
	if errors.Join(errs[:]...) != nil || !grows || !times || w.First < 1 || w.First > 1e6 || !(w.Growth >= 1.01 && w.Growth <= 10) {
		return errors.New("write the first day, its mails to each domain, and the growth from day to day (1.01 to 10): 2026-12-01:50,x1.5")
	}
	return nil
}

// Duration is a span of time that may also be written in days and weeks: 180d, 2w, 36h, 1m30s.
type Duration time.Duration

// errDuration is the remedy for what is no duration.
var errDuration = errors.New("write a span such as 30s, 15m, 36h, 180d or 2w")

// Set reads the span from a variable.
func (d *Duration) Set(value string) error {
	day := 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if number, ok := strings.CutSuffix(value, suffix); ok {
			n, err := strconv.ParseUint(number, 10, 32)
			if err != nil || n > 36500 {
				return errDuration
			}
			*d = Duration(time.Duration(n) * unit)
			return nil
		}
	}
	span, err := time.ParseDuration(value)
	if err != nil {
		return errDuration
	}
	*d = Duration(span)
	return nil
}

// String returns the span as it could be written: 180d, 36h0m0s.
func (d Duration) String() string {
	if day := Duration(24 * time.Hour); d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return time.Duration(d).String()
}

// Prefixes is a list of networks or single addresses.
type Prefixes []netip.Prefix

// Set reads the list from a variable.
func (p *Prefixes) Set(value string) error {
	*p = nil
	for _, word := range split(value) {
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			addr, err := netip.ParseAddr(word)
			if err != nil {
				return errors.New("write addresses or networks with commas, such as 127.0.0.1, 10.0.0.0/8")
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

// Level is a level of the log.
type Level slog.Level

// Set reads debug, info, warn or error.
func (l *Level) Set(value string) error {
	for word, level := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if strings.EqualFold(word, value) {
			*l = Level(level)
			return nil
		}
	}
	return fmt.Errorf("write debug, info, warn or error")
}

// Level makes it a slog.Leveler.
func (l Level) Level() slog.Level { return slog.Level(l) }
