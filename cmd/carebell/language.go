package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/carebell/carebell/care/texts"
)

// language returns the language of what is written for a person: the flag's, else the environment's (LC_ALL, LC_MESSAGES, LANG, in
// the order of POSIX), else English. It knows the languages that there is a catalogue of.
func language(flag string) (string, error) {
	if flag != "" {
		var tags []string
		for _, l := range texts.All() {
			base, _, _ := strings.Cut(l.Tag(), "-")
			if strings.EqualFold(flag, l.Tag()) || strings.EqualFold(flag, base) {
				return l.Tag(), nil
			}
			tags = append(tags, l.Tag())
		}
		slices.Reverse(tags) // English, the first, stands last
		return "", fmt.Errorf("--locale %s: it is %s", flag, strings.Join(tags, " or "))
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			// language[_territory][.codeset][@modifier], as in zh_CN.UTF-8
			if i := strings.IndexAny(v, ".@"); i >= 0 {
				v = v[:i]
			}
			return texts.For(v).Tag(), nil
		}
	}
	return texts.For("").Tag(), nil
}
