package intake

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// The encodings of files.
const (
	UTF8    = "UTF-8"
	UTF8BOM = "UTF-8 with BOM"
	UTF16   = "UTF-16"
	GB18030 = "GB18030"
)

const window = 64 << 10

// text gives the UTF-8 of a file in any of the encodings. It decides at the first bytes beyond ASCII, wherever they are: valid
// UTF-8 is UTF-8, anything else GB18030 (a superset of GBK and GB 2312), in which Chinese text is practically never valid UTF-8.
type text struct {
	in       *bufio.Reader
	encoding string
	decoded  io.Reader // once it is decided
}

func newText(r io.Reader) (*text, error) {
	t := &text{in: bufio.NewReaderSize(r, window), encoding: UTF8}
	head, err := t.in.Peek(3)
	if err != nil && len(head) == 0 && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		t.encoding = UTF8BOM
		t.decoded = t.in
		_, err = t.in.Discard(3)
		return t, err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		t.encoding = UTF16
		t.decoded = transform.NewReader(t.in, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder())
	}
	return t, nil
}

// Read implements io.Reader.
func (t *text) Read(p []byte) (int, error) {
	if t.decoded != nil {
		return t.decoded.Read(p)
	}
	ahead, err := t.in.Peek(window)
	if len(ahead) == 0 {
		return 0, err
	}
	ascii := 0
	for ascii < len(ahead) && ahead[ascii] < utf8.RuneSelf {
		ascii++
	}
	if ascii == 0 {
		t.decide(ahead, err == nil)
		return t.Read(p)
	}
	return t.in.Read(p[:min(len(p), ascii)])
}

func (t *text) decide(ahead []byte, more bool) {
	if more {
		// The window may end inside a character.
		for i := 0; i < utf8.UTFMax-1 && len(ahead) > 0 && !utf8.Valid(ahead); i++ {
			ahead = ahead[:len(ahead)-1]
		}
	}
	t.decoded = t.in
	if !utf8.Valid(ahead) {
		t.encoding = GB18030
		t.decoded = transform.NewReader(t.in, simplifiedchinese.GB18030.NewDecoder())
	}
}

// encodeTo writes text in one of the encodings, beginning with its byte order mark if the encoding has one.
func encodeTo(w io.Writer, name string) (io.Writer, error) {
	var e encoding.Encoding
	switch name {
	case GB18030:
		e = simplifiedchinese.GB18030
	case UTF16:
		e = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case UTF8BOM:
		_, err := io.WriteString(w, "\ufeff")
		return w, err
	default:
		return w, nil
	}
	return transform.NewWriter(w, e.NewEncoder()), nil
}
