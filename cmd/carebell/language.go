package main

import (
	"fmt"
	"os"
	"strings"
)

// language returns the language of what is written for a person: the flag's, else the environment's (LC_ALL, LC_MESSAGES, LANG, in
// the order of POSIX), else English.
func language(flag string) (string, error) {
	switch strings.ToLower(flag) {
	case "en":
		return "en", nil
	case "zh", "zh-cn":
		return "zh-CN", nil
	case "":
	default:
		return "", fmt.Errorf("--locale %s: it is zh-CN or en", flag)
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return "zh-CN", nil
			}
			break
		}
	}
	return "en", nil
}
