package intake

import (
	"slices"
	"strings"
	"unicode"
)

// compound are the surnames of two characters that are still in use.
var compound = strings.Fields(`欧阳 司马 上官 诸葛 东方 皇甫 尉迟 公孙 慕容 令狐 长孙 宇文 司徒 司空 夏侯 端木 轩辕 独孤 南宫 西门 东郭 百里 呼延
	闻人 澹台 公冶 宗政 濮阳 淳于 太叔 申屠 仲孙 钟离 鲜于 闾丘 赫连 万俟 拓跋 第五 公羊 公西 漆雕 乐正 壤驷 亓官 司寇 梁丘 左丘 东门 谷梁 宰父 歐陽 司馬 諸葛`)

// firms are the words by which a name shows that it is no person's.
var firms = []string{"公司", "集团", "有限", "事务所", "医院", "学校", "银行", "中心", "委员会"}

// salutation makes 王先生 of 王小明 and a man, 欧阳女士 of 欧阳超 and a woman, "Mr. Smith" of John Smith. "" if the gender is not
// known, or the name is a firm's.
func salutation(name, gender string) string {
	gender = strings.ToLower(gender)
	man := slices.Contains([]string{"男", "男性", "先生", "m", "male"}, gender)
	woman := slices.Contains([]string{"女", "女性", "女士", "f", "female"}, gender)
	if name == "" || !man && !woman || slices.ContainsFunc(firms, func(f string) bool { return strings.Contains(name, f) }) {
		return ""
	}
	runes := []rune(name)
	if !unicode.Is(unicode.Han, runes[0]) {
		words := strings.Fields(name)
		if man {
			return "Mr. " + words[len(words)-1]
		}
		return "Ms. " + words[len(words)-1]
	}
	surname := string(runes[:1])
	switch {
	case len(runes) > 2 && slices.Contains(compound, string(runes[:2])):
		surname = string(runes[:2])
	case len(runes) > 4 || strings.ContainsAny(name, "·•"):
		surname = name // a name of another tradition, such as 阿依古丽·买买提: it has no surname to cut off
	}
	if man {
		return surname + "先生"
	}
	return surname + "女士"
}
