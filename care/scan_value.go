package care

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text takes a text; null is an empty one.
func (s *scanner) text() string {
	if s.null() {
		return ""
	}
	inside, special := s.quoted()
	if special&wide != 0 && !utf8.Valid(inside) {
		s.giveUp() // encoding/json puts U+FFFD in its place
		return ""
	}
	if special&escaped != 0 {
		return s.unescape(inside)
	}
	return s.keep(inside)
}

// id takes an id into a string of its own: occurrences and queues are named by ids, which outlive the record, and should not
// keep a block of its texts in memory.
func (s *scanner) id() string {
	if s.null() {
		return ""
	}
	inside, special := s.quoted()
	if special != 0 {
		s.giveUp()
	}
	return string(inside)
}

// room makes room for a text of n bytes in one piece. Texts that are already in a full block stay valid.
func (s *scanner) room(n int) {
	if s.block.Cap()-s.block.Len() < n {
		s.block.Reset()
		s.block.Grow(max(n, min(textBlock, len(s.raw))))
	}
}

func (s *scanner) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	s.room(len(b))
	from := s.block.Len()
	s.block.Write(b)
	return s.block.String()[from:]
}

// unescape keeps a text with escapes, which quoted has checked: many programs write all but ASCII as \u738b. Characters that take
// two of those are left to encoding/json.
func (s *scanner) unescape(b []byte) string {
	s.room(len(b)) // no escape is shorter than what it stands for
	from := s.block.Len()
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			s.block.WriteByte(b[i])
			continue
		}
		i++
		switch b[i] {
		case 'b':
			s.block.WriteByte('\b')
		case 'f':
			s.block.WriteByte('\f')
		case 'n':
			s.block.WriteByte('\n')
		case 'r':
			s.block.WriteByte('\r')
		case 't':
			s.block.WriteByte('\t')
		case 'u':
			r, _ := hex4(b[i+1 : i+5])
			if i += 4; utf16.IsSurrogate(r) {
				s.giveUp()
				return ""
			}
			s.block.WriteRune(r)
		default:
			s.block.WriteByte(b[i])
		}
	}
	return s.block.String()[from:]
}

func (s *scanner) texts() []string {
	if s.null() {
		return nil
	}
	list := s.words.open()
	for more := s.begin('['); more; more = s.next(']') {
		list = append(list, s.text())
	}
	return s.words.keep(list)
}

func (s *scanner) channelList() []Channel {
	if s.null() {
		return nil
	}
	list := s.channels.open()
	for more := s.begin('['); more; more = s.next(']') {
		inside, special := s.quoted()
		if special != 0 {
			s.giveUp()
		}
		list = append(list, s.channel(inside))
	}
	return s.channels.keep(list)
}

func (s *scanner) channel(b []byte) Channel {
	switch string(b) {
	case "email":
		return Email
	case "sms":
		return SMS
	case "webhook":
		return Webhook
	}
	return Channel(s.keep(b))
}

// integer takes a whole number; null is 0. A long one may not fit an int and is left to encoding/json; so are 1.0 and 1e3, as nothing
// but a comma or the end may stand behind the digits.
func (s *scanner) integer() int {
	if s.null() {
		return 0
	}
	minus := s.is('-')
	if minus {
		s.at++
	}
	from := s.at
	n := s.digits()
	if n == 0 || n > 9 || n > 1 && s.raw[from] == '0' {
		s.giveUp()
		return 0
	}
	value := 0
	for _, c := range s.raw[from:s.at] {
		value = value*10 + int(c-'0')
	}
	if minus {
		return -value
	}
	return value
}

// count takes a whole number that may be missing.
func (s *scanner) count() *int {
	if s.null() {
		return nil
	}
	n := s.counts.one()
	*n = s.integer()
	return n
}

// flag takes an answer that may be missing.
func (s *scanner) flag() *bool {
	if s.null() {
		return nil
	}
	yes := s.flags.one()
	*yes = s.answer()
	return yes
}

// token takes a string with its quotes, for the types that read themselves; nil for null.
func (s *scanner) token() []byte {
	if s.null() {
		return nil
	}
	s.peek()
	from := s.at
	s.quoted()
	return s.raw[from:s.at]
}

// date takes a date, which is Invalid if it is none.
func (s *scanner) date() (d Date) {
	if s.peek() == '"' && len(s.raw)-s.at >= 12 && s.raw[s.at+11] == '"' {
		if date, err := ParseDate(string(s.raw[s.at+1 : s.at+11])); err == nil {
			s.at += 12
			return date
		}
	}
	if token := s.token(); token != nil {
		_ = d.UnmarshalJSON(token) // never fails
	}
	return d
}

// window takes a span of the day. One with an escape is none, but encoding/json may see it otherwise.
func (s *scanner) window() (w Window) {
	if s.null() {
		return w
	}
	inside, special := s.quoted()
	if special != 0 {
		s.giveUp()
	}
	w, ok := ParseWindow(string(inside))
	w.bad = !ok
	return w
}

func (s *scanner) birthday() (b Birthday) {
	if token := s.token(); token != nil {
		_ = b.UnmarshalJSON(token) // never fails
	}
	return b
}
