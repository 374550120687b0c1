package email_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"sync/atomic"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/email"
)

// BenchmarkSend writes and sends mails over 16 connections to a server in the same process.
func BenchmarkSend(b *testing.B) {
	peer := channeltest.NewSMTPPeer(b)
	servers, err := email.ParseServers(peer.URL())
	if err != nil {
		b.Fatal(err)
	}
	s, err := email.New(email.Config{Servers: servers, Clock: testClock, HELO: "carebell.test"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	m := benchMessage()
	b.SetParallelism(8)
	b.ReportAllocs()
	var failed atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Send(b.Context(), m); err != nil {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 || peer.Received() < b.N {
		b.Fatalf("%d of %d failed, %d arrived", n, b.N, peer.Received())
	}
}

func benchMessage() *care.Message {
	m := testMessage()
	for len(m.HTML) < 4000 {
		m.HTML = append(m.HTML, "<p>您的爱车预计在下周需要保养，点这里预约一个时间。</p>\r\n"...)
	}
	return m
}

// BenchmarkWrite writes a mail in the two ways, and signed as it goes on the wire.
func BenchmarkWrite(b *testing.B) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	s := newSender(b, email.Config{}, "smtp://127.0.0.1:1")
	signing := newSender(b, email.Config{DKIM: []email.DKIM{{Domain: "pudong.example", Selector: "e1", Key: key}}}, "smtp://127.0.0.1:1")
	length := func(mail []byte, err error) (int, error) { return len(mail), err }
	for way, write := range map[string]func(*care.Message) (int, error){
		"skeleton": func(m *care.Message) (int, error) { return length(email.WriteSkeleton(s, m)) },
		"go-mail":  func(m *care.Message) (int, error) { return length(email.WritePlain(s, m)) },
		"wire":     func(m *care.Message) (int, error) { return email.Write(s, m) },
		"signed":   func(m *care.Message) (int, error) { return email.Write(signing, m) },
	} {
		b.Run(way, func(b *testing.B) {
			m := benchMessage()
			b.ReportAllocs()
			for b.Loop() {
				n, err := write(m)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(n))
			}
		})
	}
}
