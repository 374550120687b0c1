package intake

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// The encodings of files.
const (
	UTF8        = "UTF-8"
	UTF8BOM     = "UTF-8 with BOM"
	UTF16       = "UTF-16"
	UTF16BE     = "UTF-16BE"
	UTF16Bare   = "UTF-16LE without BOM"
	UTF16BEBare = "UTF-16BE without BOM"
	GB18030     = "GB18030"
	Big5        = "Big5"
	Windows1252 = "Windows-1252"
)

const window = 64 << 10

// encodings are those that somebody may ask for, by the names that people write.
var encodings = map[string]string{
	"utf8": UTF8, "utf16": UTF16, "utf16le": UTF16Bare, "utf16be": UTF16BEBare, "gb18030": GB18030, "gbk": GB18030, "gb2312": GB18030,
	"cp936": GB18030, "big5": Big5, "cp950": Big5, "big5hkscs": Big5, "windows1252": Windows1252, "cp1252": Windows1252, "latin1": Windows1252, "iso88591": Windows1252, "ansi": Windows1252,
}

// codecs read and write the encodings. What is not here is UTF-8.
var codecs = map[string]encoding.Encoding{
	GB18030: simplifiedchinese.GB18030, Big5: traditionalchinese.Big5, Windows1252: charmap.Windows1252,
	UTF16: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), UTF16BE: unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	UTF16Bare: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), UTF16BEBare: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
}

// EncodingNamed returns the encoding that a name means.
func EncodingNamed(name string) (string, error) {
	if e := encodings[strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(name))]; e != "" || name == "" {
		return e, nil
	}
	return "", fmt.Errorf("no encoding %q is known: write UTF-8, UTF-16LE, UTF-16BE, GB18030, Big5 or Windows-1252", name)
}

// text gives the lines of a file in any of the encodings, as they are and in UTF-8. It decides at the first bytes beyond ASCII, wherever
// they are: valid UTF-8 is UTF-8, anything else what the bytes look like.
type text struct {
	in       *bufio.Reader
	encoding string
	decided  bool
	decoder  *encoding.Decoder // nil: lines are UTF-8
	end      byte              // of a line
	max      int               // bytes of a line
}

// line is one line without its end: as it is in the file, and in UTF-8; err is what reading it ahead of time failed with.
type line struct {
	raw, text string
	err       error
}

func newText(r io.Reader, asked string, longest int) (*text, error) {
	t := &text{in: bufio.NewReaderSize(r, window), encoding: UTF8, end: '\n', max: longest}
	head, err := t.in.Peek(window)
	if err != nil && len(head) == 0 && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		t.encoding, t.decided = UTF8BOM, true
		_, _ = t.in.Discard(3) // it was peeked at
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		t.wide(UTF16, 2)
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		t.wide(UTF16BE, 2)
	case asked == UTF16Bare || asked == UTF16BEBare:
		t.wide(asked, 0)
	case asked == UTF16:
		t.wide(cmp.Or(nulls(head), UTF16Bare), 0)
	case asked != "":
		t.choose(asked)
	default:
		if name := nulls(head); name != "" {
			t.wide(name, 0)
		}
	}
	head, _ = t.in.Peek(window)
	t.end = lineEnd(head)
	return t, nil
}

// wide reads UTF-16 from here on.
func (t *text) wide(name string, mark int) {
	_, _ = t.in.Discard(mark) // it was peeked at
	plain := UTF16Bare
	if name == UTF16BE || name == UTF16BEBare {
		plain = UTF16BEBare
	}
	t.encoding, t.decided = name, true
	t.in = bufio.NewReaderSize(transform.NewReader(t.in, codecs[plain].NewDecoder()), window)
}

// nulls finds UTF-16 without its mark: every other byte of its ASCII characters is 0.
func nulls(head []byte) string {
	even, odd := 0, 0
	for i, b := range head {
		switch {
		case b != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	switch {
	case odd > 2 && even*10 < odd:
		return UTF16Bare
	case even > 2 && odd*10 < even:
		return UTF16BEBare
	}
	return ""
}

// lineEnd finds how lines end, outside of quotes: CR alone, as old Macs wrote, or LF.
func lineEnd(head []byte) byte {
	quoted := false
	for i, b := range head {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '\n':
			return '\n'
		case b == '\r' && i+1 < len(head) && head[i+1] != '\n':
			return '\r'
		}
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 {
		return '\r'
	}
	return '\n'
}

func (t *text) choose(name string) {
	t.encoding, t.decided = name, true
	if codec := codecs[name]; codec != nil {
		t.decoder = codec.NewDecoder()
	}
}

// readLine returns the next line. Beside errLong, which is about this line only (its beginning is then the line), an error ends the file.
func (t *text) readLine() (line, error) {
	var long []byte
	size := 0
	for {
		part, err := t.in.ReadSlice(t.end)
		size += len(part)
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(long) < t.max {
				long = append(long, part...)
			}
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || size == 0) {
			return line{}, err
		}
		raw := string(part)
		if long != nil {
			raw = string(long) + raw
		}
		raw = strings.TrimSuffix(strings.TrimSuffix(raw, string(t.end)), "\r")
		if t.end == '\r' {
			raw = strings.TrimPrefix(raw, "\n")
		}
		if size > t.max {
			return line{raw: raw[:80], text: strings.ToValidUTF8(raw[:80], "\ufffd")}, errLong
		}
		return t.decode(raw)
	}
}

func (t *text) decode(raw string) (line, error) {
	ascii := true
	for i := 0; i < len(raw) && ascii; i++ {
		ascii = raw[i] < utf8.RuneSelf
	}
	if ascii {
		return line{raw: raw, text: raw}, nil
	}
	if !t.decided {
		ahead, _ := t.in.Peek(window)
		name, err := evidence(raw + "\n" + string(ahead))
		if err != nil {
			return line{}, err
		}
		t.choose(name)
	}
	if t.decoder == nil {
		return line{raw: raw, text: raw}, nil
	}
	if t.encoding != Windows1252 && utf8.ValidString(raw) && strings.ContainsFunc(raw, func(r rune) bool { return r >= 0x800 }) {
		return line{raw: raw, text: strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return utf8.RuneError // a row of another encoding than the file's: taken for the file's it would be other words
			}
			return r
		}, raw)}, nil
	}
	out, err := t.decoder.String(raw)
	if err != nil {
		out = strings.ToValidUTF8(raw, "\ufffd")
	}
	return line{raw: raw, text: out}, nil
}

// evidence finds the encoding that a text beyond ASCII is likeliest in, and refuses to guess.
func evidence(sample string) (string, error) {
	cut := sample
	for i := 0; i < utf8.UTFMax-1 && cut != "" && !utf8.ValidString(cut); i++ {
		cut = cut[:len(cut)-1] // it may end inside a character
	}
	if utf8.ValidString(cut) {
		return UTF8, nil
	}
	if utf8Share(sample) > 0.9 {
		return UTF8, nil // a few bytes of it are broken: that costs their rows
	}
	names := []string{GB18030, Big5, Windows1252}
	scores := []float64{doubleScore(sample, gbWeight), doubleScore(sample, big5Weight), singleScore(sample)}
	best := 0
	for i := range scores {
		if scores[i] > scores[best] {
			best = i
		}
	}
	second := (best + 1) % 3
	if other := (best + 2) % 3; scores[other] > scores[second] {
		second = other
	}
	if scores[best] >= 0.6 && scores[best]-scores[second] >= 0.2 {
		return names[best], nil
	}
	from := strings.IndexFunc(sample, func(r rune) bool { return r >= utf8.RuneSelf })
	word := sample[strings.LastIndexAny(sample[:from], ",;\t\n")+1:]
	if i := strings.IndexAny(word, ",;\t\r\n"); i >= 0 {
		word = word[:i]
	}
	reading := func(name string) string {
		s, _ := codecs[name].NewDecoder().String(word[:min(len(word), 40)])
		return fmt.Sprintf("%s reads %q", name, s)
	}
	return "", fmt.Errorf("the encoding is in doubt: %s, %s: say which with --encoding, or save the file as UTF-8", reading(names[best]), reading(names[second]))
}

// utf8Share is how many of the bytes beyond ASCII are of whole characters in UTF-8.
func utf8Share(s string) float64 {
	good, all := 0, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if i += n; s[i-n] >= utf8.RuneSelf {
			if all += n; r != utf8.RuneError {
				good += n
			}
		}
	}
	return float64(good) / float64(max(all, 1))
}

// doubleScore is how much a text looks like one of two bytes a character: the share of pairs that such a text often has.
func doubleScore(s string, weight func(lead, trail byte) float64) float64 {
	sum, n := 0.0, 0
	for i := 0; i < len(s); i++ {
		if s[i] < utf8.RuneSelf {
			continue
		}
		n++
		if i+1 == len(s) {
			n--
			break
		}
		w := weight(s[i], s[i+1])
		if sum += w; w > -1 {
			i++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// gbWeight knows the usual characters of GB 2312, its punctuation, and the rest of GBK and GB18030, which is rare.
func gbWeight(lead, trail byte) float64 {
	switch {
	case lead >= 0xb0 && lead <= 0xd7 && trail >= 0xa1, (lead == 0xa1 || lead == 0xa3) && trail >= 0xa1:
		return 1
	case lead >= 0xd8 && lead <= 0xf7 && trail >= 0xa1:
		return 0.5
	case lead >= 0x81 && lead <= 0xfe && (trail >= 0x30 && trail <= 0x39 || trail >= 0x40 && trail != 0x7f && trail != 0xff):
		return 0
	}
	return -1
}

// big5Weight knows the usual characters of Big5, its punctuation, and the rest, which is rare.
func big5Weight(lead, trail byte) float64 {
	isTrail := trail >= 0x40 && trail <= 0x7e || trail >= 0xa1 && trail <= 0xfe
	switch {
	case isTrail && (lead >= 0xa4 && lead <= 0xc6 || lead == 0xa1):
		return 1
	case isTrail && lead >= 0xc9 && lead <= 0xf9:
		return 0.25
	case isTrail && lead >= 0x81 && lead <= 0xfe:
		return 0
	}
	return -1
}

// singleScore is how much a text looks like Windows-1252: letters with accents are in words, beside plain letters.
func singleScore(s string) float64 {
	sum, n := 0.0, 0
	letter := func(i int) bool { return i >= 0 && i < len(s) && (s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z') }
	for i := 0; i < len(s); i++ {
		if s[i] < utf8.RuneSelf {
			continue
		}
		from := i
		for i+1 < len(s) && s[i+1] >= utf8.RuneSelf {
			i++
		}
		run := i - from + 1
		n += run
		accents := 0
		for _, b := range []byte(s[from : i+1]) {
			if b >= 0xc0 && b != 0xd7 && b != 0xf7 {
				accents++
			}
		}
		switch {
		case run <= 2 && accents == run && (letter(from-1) || letter(i+1)):
			sum += float64(run)
		case run == 1 && strings.IndexByte("\x80\x91\x92\x93\x94\x96\x97\xa0\xb0\xb4\xb7", s[from]) >= 0:
			sum += 0.7
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
