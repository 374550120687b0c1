package cell

import (
	"strings"
	"unicode"

	caretext "github.com/carebell/carebell/care/text"
)

// Salutation makes 王先生 of 王小明 and a man, 欧阳女士 of 欧阳超 and a woman, "Mr. Smith" of John Smith. "" if the gender is not
// known, the name is a firm's, or it is in doubt what the surname is. last is the surname if the file has it in a column of its own.
func Salutation(name, last, gender string) string {
	name = strings.TrimSpace(withoutNote(strings.Map(caretext.Narrow, name)))
	if name == "" || gender != "man" && gender != "woman" || strings.ContainsAny(name, "0123456789/;、&+@#*") {
		return ""
	}
	latin, han := 0, 0
	for _, r := range name {
		switch {
		case unicode.Is(unicode.Latin, r):
			latin++
		case unicode.Is(unicode.Han, r):
			han++
		case unicode.IsLetter(r):
			return "" // a script whose surnames we do not know
		}
	}
	switch {
	case latin > 0 && han > 0, latin+han == 0:
		return ""
	case latin > 0:
		return latinSalutation(name, last, gender)
	}
	return hanSalutation([]rune(Fold(name)), []rune(strings.Join(strings.Fields(name), "")), gender)
}

// hanSalutation takes a name in simplified characters, by which words are known, and as it is written.
func hanSalutation(simple, name []rune, gender string) string {
	known := string(simple)
	if vocabulary["gender"][known] != "" || isFirm(known, len(simple)) {
		return ""
	}
	titles, surnames := vocabulary["title"], vocabulary["surname"]
	for n := 1; n < len(simple) && n <= 4; n++ { // the longest title
		rest, title := string(simple[:len(simple)-n]), string(simple[len(simple)-n:])
		if titles[title] == "han" && (len(simple)-n == 1 || surnames[rest] == "han" || len(simple)-n <= 3 && n > 1) {
			return string(name) // the title is there already
		}
	}
	surname := string(name[:1])
	switch {
	case len(name) <= 3 && strings.ContainsAny(surname, "小老阿"):
		return "" // 小王, 老李: by what they are called
	case len(name) >= 2 && len(simple) >= 2 && surnames[string(simple[:2])] == "han":
		surname = string(name[:2])
	case len(name) == 4 && !strings.ContainsAny(string(name), "·•"):
		return "" // 山田太郎: where the surname ends is in doubt
	case len(name) > 4 || strings.ContainsAny(string(name), "·•"):
		surname = string(name) // a name of another tradition, such as 阿依古丽·买买提: it has no surname to cut off
	}
	if gender == "man" {
		return surname + "先生"
	}
	return surname + "女士"
}

// isFirm reports whether a word for a firm stands in a name of so many characters.
func isFirm(name string, characters int) bool {
	firms := vocabulary["firm"]
	for from := range name {
		for to := range name[from:] {
			if kind := firms[name[from:from+to]]; kind == "han" {
				return true
			}
		}
		switch kind := firms[name[from:]]; {
		case kind == "han", kind == "end" && characters > 3:
			return true
		}
	}
	return false
}

func latinSalutation(name, last, gender string) string {
	title := "Ms. "
	if gender == "man" {
		title = "Mr. "
	}
	bare := func(w string) string { return strings.ToLower(strings.Trim(strings.ReplaceAll(w, ".", ""), ",")) }
	kept, titled := false, false
	if family, given, found := strings.Cut(name, ","); found && last == "" && vocabulary["title"][bare(strings.TrimSpace(given))] != "suffix" {
		last = family
		name = given + " " + family
	}
	words := strings.Fields(strings.ReplaceAll(name, ",", " "))
	for _, w := range words {
		if vocabulary["firm"][bare(w)] == "latin" {
			return ""
		}
	}
	for len(words) > 0 && (vocabulary["title"][bare(words[0])] == "prefix" || vocabulary["title"][bare(words[0])] == "keep") {
		keep := vocabulary["title"][bare(words[0])] == "keep"
		if w := strings.TrimSuffix(words[0], "."); !kept && (keep || len(words) > 1) {
			if title = w + " "; len(w) < 4 || keep {
				title = w + ". "
			}
		}
		kept, titled, words = kept || keep, true, words[1:]
	}
	if last != "" {
		words = strings.Fields(strings.ReplaceAll(last, ",", " "))
	}
	for len(words) > 1 && vocabulary["title"][bare(words[len(words)-1])] == "suffix" {
		words = words[:len(words)-1]
	}
	n := len(words)
	switch {
	case n == 0 || len(bare(words[n-1])) < 2 || vocabulary["title"][bare(words[n-1])] != "":
		return ""
	case last != "":
		return title + strings.Join(words, " ")
	case n > 1 && vocabulary["surname"][bare(words[0])] == "first":
		return "" // WANG XIAOMING: which is the surname?
	case n == 1 && !titled:
		return "" // John, or Smith?
	}
	from := n - 1
	for i := n - 2; i > 0 && vocabulary["particle"][bare(words[i])] != ""; i-- {
		from = i
	}
	return title + strings.Join(words[from:], " ")
}

// Joined makes one name of two columns: given name first, but not in Chinese.
func Joined(first, last string) string {
	if caretext.HasHan(last) {
		return last + first
	}
	return strings.TrimSpace(first + " " + last)
}
