package email

import (
	"io"

	"github.com/carebell/carebell/care"
)

// AppendQuoted is appendQuoted for the tests.
var AppendQuoted = appendQuoted

// QueuedAs is queuedAs for the tests.
var QueuedAs = queuedAs

// PlainLink and EncodingFor are the short ways for the tests.
var (
	PlainLink   = plainLink
	EncodingFor = encodingFor
	Base64Words = base64Words
)

// WriteForm writes a message on its form and returns its length.
func WriteForm(s *Sender, m *care.Message) (int, error) {
	l, err := s.check(m)
	if err != nil {
		return 0, err
	}
	l.data = s.fill(l)
	defer s.giveBack(l)
	return len(*l.data), nil
}

// WritePlain lets go-mail write a message and returns its length.
func WritePlain(s *Sender, m *care.Message) (int, error) {
	l, err := s.check(m)
	if err != nil {
		return 0, err
	}
	if err := s.compose(l); err != nil {
		return 0, err
	}
	n, err := l.msg.WriteTo(io.Discard)
	return int(n), err
}
