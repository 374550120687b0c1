package email

import (
	"github.com/carebell/carebell/care"
)

// AppendQuoted is appendQuoted for the tests.
var AppendQuoted = appendQuoted

// QueuedAs is queuedAs for the tests.
var QueuedAs = queuedAs

// PlainDomain, PlainURL and EncodingFor are the short ways for the tests.
var (
	PlainDomain = plainDomain
	PlainURL    = plainURL
	EncodingFor = encodingFor
	Base64Words = base64Words
)

// WriteSkeleton writes a message on its skeleton, without a signature; nil if there is none for it.
func WriteSkeleton(s *Sender, message *care.Message) ([]byte, error) {
	m, err := s.check(message)
	if err != nil {
		return nil, err
	}
	b, ok := s.fill(nil, m)
	if !ok {
		return nil, nil
	}
	return b, nil
}

// WritePlain lets go-mail write a message, without a signature.
func WritePlain(s *Sender, message *care.Message) ([]byte, error) {
	m, err := s.check(message)
	if err != nil {
		return nil, err
	}
	return s.plain(nil, m)
}

// Write writes a message as it goes on the wire, and returns its length.
func Write(s *Sender, message *care.Message) (int, error) {
	m, err := s.check(message)
	if err != nil {
		return 0, err
	}
	if err := s.write(m); err != nil {
		return 0, err
	}
	defer m.release()
	return len(*m.data), nil
}

// Dotted doubles the dots at the beginning of lines.
var Dotted = dotted
