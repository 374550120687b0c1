package sms

import (
	_ "embed"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

//go:embed words.txt
var wordsText string

var optWords = readOptWords(wordsText)

// optPatterns are the sections of words.txt, each a pattern for a whole clause; politeFirst and politeLast take a clause's ends off.
type optPatterns struct{ politeFirst, politeLast, weak, stop, start *regexp.Regexp }

func readOptWords(text string) optPatterns {
	sections := map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch head, section := strings.CutSuffix(line, "]"); {
		case line == "" || line[0] == '#':
		case section && line[0] == '[':
			name = head[1:]
		default:
			sections[name] += "|" + line
		}
	}
	group := func(name string) string { return "(?:" + sections[name][1:] + ")" }
	zh := group("polite zh")
	words := strings.NewReplacer("<what>", group("what"), "<now>", group("now"), "<物>", "(?:"+group("物")+"|"+zh+")")
	whole := func(name string) *regexp.Regexp { return regexp.MustCompile("^" + words.Replace(group(name)) + "$") }
	en := group("polite en")
	return optPatterns{
		politeFirst: regexp.MustCompile("^(?:" + en + "(?: |$)|" + zh + ")"), politeLast: regexp.MustCompile("(?:(?:^| )" + en + "|" + zh + ")$"),
		weak: whole("weak"), stop: whole("stop"), start: whole("start"),
	}
}

// said is what a clause says of texts.
type said int

const (
	other said = iota
	polite
	weakStop  // a stop when nothing else is said
	bareStop  // the word alone
	plainStop // a request that cannot mean anything else
	startAgain
)

// The longest text that is read as a whole, and the longest in which a request counts that stands among other words.
const readWhole, readAmong = 400, 160

// OptWord reads a text for words against further texts, and for those that want them again. more says that there is something else in it,
// for a person to read. Politeness, punctuation and a signature change nothing. "Please stop by tomorrow" and "the car does not stop" are
// neither: what counts is a whole clause, alone, in the first sentence, or plain beyond doubt. In doubt a person reads it.
func OptWord(text string) (out, in, more bool) {
	clauses, first := optClauses(text)
	var count [startAgain + 1]int
	opening := true // the first sentence is a stop, and nothing else
	for i, c := range clauses {
		s := optWords.read(c)
		count[s]++
		opening = opening && (i >= first || s == polite || s == bareStop || s == plainStop)
	}
	stops := count[weakStop] + count[bareStop] + count[plainStop]
	runes := utf8.RuneCountInString(text)
	switch {
	case count[other] == 0 && runes <= readWhole && count[startAgain] == 0:
		return stops > 0, false, false
	case count[other] == 0 && runes <= readWhole && stops == 0:
		return false, true, false
	case opening && stops > count[weakStop] && optStarts(clauses, first):
		return true, false, true
	}
	return count[plainStop] > 0 && runes <= readAmong, false, count[plainStop] > 0 && runes <= readAmong
}

// optStarts reports whether a stop is in the first sentence.
func optStarts(clauses []string, first int) bool {
	for _, c := range clauses[:min(first, len(clauses))] {
		if s := optWords.read(c); s == bareStop || s == plainStop {
			return true
		}
	}
	return false
}

// read says what a clause means, as it stands or without politeness at its ends.
func (p optPatterns) read(clause string) said {
	if len(clause) > 200 {
		return other
	}
	for front := clause; ; {
		for c := front; ; {
			switch {
			case c == "":
				return polite
			case p.start.MatchString(c):
				return startAgain
			case p.weak.MatchString(c):
				return weakStop
			case p.stop.MatchString(c) && (c == "td" || !strings.Contains(c, " ") && c[0] < utf8.RuneSelf && strings.Trim(c, "abcdefghijklmnopqrstuvwxyz") == ""):
				return bareStop
			case p.stop.MatchString(c):
				return plainStop
			}
			at := p.politeLast.FindStringIndex(c)
			if at == nil {
				break
			}
			c = strings.TrimSpace(c[:at[0]])
		}
		at := p.politeFirst.FindStringIndex(front)
		if at == nil {
			return other
		}
		front = strings.TrimSpace(front[at[1]:])
	}
}

// signatures begin what telephones write below a text.
var signatures = []string{"\n--", "\nsent from ", "\nget outlook for ", "\n发自我的", "\n发送自", "\n來自我的", "\n从我的"}

// optClauses splits a text at its punctuation, as words.txt wants clauses; first is how many make the first sentence.
func optClauses(text string) (clauses []string, first int) {
	text = strings.ToLower(width.Fold.String(strings.ReplaceAll(text, "\r", "\n")))
	for _, s := range signatures {
		text, _, _ = strings.Cut(text, s)
	}
	if rest, ok := strings.CutPrefix(strings.TrimSpace(text), "【"); ok { // what an app puts in front
		if _, after, ok := strings.Cut(rest, "】"); ok {
			text = after
		}
	}
	var b strings.Builder
	first = -1
	end := func(sentence bool) {
		if c := tidyClause(b.String()); c != "" {
			clauses = append(clauses, c)
		}
		if b.Reset(); sentence && first < 0 && len(clauses) > 0 {
			first = len(clauses)
		}
	}
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			b.WriteRune(simplified(r))
		case strings.ContainsRune("'’‘`", r) || unicode.Is(unicode.Cf, r):
		case r == ' ' || r == '\t' || r == '\u3000' || r == '\u00a0' || r == '-' && i > 0 && unicode.IsLetter(runes[i-1]):
			b.WriteByte(' ')
		default:
			end(strings.ContainsRune(".!;:\n。…", r))
		}
	}
	end(true)
	if spelled := strings.Join(clauses, " "); len(spelled) > 1 && len(spelled) < 40 && strings.Trim(spelled, "abcdefghijklmnopqrstuvwxyz ") == "" {
		if letters := strings.Fields(spelled); len(spelled) == 2*len(letters)-1 { // s t o p
			return []string{strings.Join(letters, "")}, 1
		}
	}
	return clauses, max(first, 0)
}

// tidyClause leaves single spaces, and none beside Chinese.
func tidyClause(c string) string {
	words := strings.Fields(c)
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			before, _ := utf8.DecodeLastRuneInString(words[i-1])
			after, _ := utf8.DecodeRuneInString(w)
			if !unicode.Is(unicode.Han, before) && !unicode.Is(unicode.Han, after) {
				b.WriteByte(' ')
			}
		}
		b.WriteString(w)
	}
	return b.String()
}

// The traditional characters of words.txt, each before its simplified one.
const traditional = "訂订閱阅發发請请謝谢別别擾扰煩烦騷骚絕绝關关閉闭給给這这種种條条們们為为斷断傳传簡简訊讯號号碼码廣广務务業业嗎吗麼么對对說说過过" +
	"聯联絡络東东類类貴贵許许準准總总從从還还後后個个來来銷销營营幫帮復复繼继續续開开無无終终電电郵邮內内資资機机訴诉馬马趕赶緊紧現现勞劳"

var simple = func() map[rune]rune {
	m := map[rune]rune{}
	r := []rune(traditional)
	for i := 0; i < len(r); i += 2 {
		m[r[i]] = r[i+1]
	}
	return m
}()

func simplified(r rune) rune {
	if s, ok := simple[r]; ok {
		return s
	}
	return r
}
