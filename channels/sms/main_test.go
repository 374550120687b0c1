package sms_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config/yaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	password = "pa55-canary-word"
	number   = "+8613800138001"
	canary   = "王小明canary"
)

func testClock() time.Time { return time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC) }

func testMessage() *care.Message {
	return &care.Message{
		ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.SMS, Customer: "C1", Dealer: "sh-pudong", Program: "maintenance", Step: "due",
		Class: care.Service, Country: "CN", To: number, Text: []byte(canary + "，您的车该保养了。"), Signature: "浦东别克",
		At: testClock(), Expires: testClock().Add(72 * time.Hour),
	}
}

func newSender(t testing.TB, cfg sms.Config) *sms.Sender {
	t.Helper()
	cfg.Clock, cfg.Decode = testClock, yaml.Decode
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	for i := range cfg.Gateways {
		if cfg.Gateways[i].Password == "" {
			cfg.Gateways[i].Password = password
		}
	}
	s, err := sms.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
