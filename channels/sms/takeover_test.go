package sms

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// A sender that takes over goes on with the connections of the gateways that are the same, and only the others' are closed.
func TestTakeOverKeepsConnections(t *testing.T) {
	t.Parallel()
	var opened, closed [2]atomic.Int64
	var gateways []Gateway
	for i, name := range []string{"kept", "changed"} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte("0: Accepted for delivery"))
		}))
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				opened[i].Add(1)
			case http.StateClosed:
				closed[i].Add(1)
			default:
			}
		}
		server.Start()
		t.Cleanup(server.Close)
		gateways = append(gateways, Gateway{Name: name, Driver: "kannel", URL: server.URL, User: "u", Password: "p", From: "1", Dealers: []string{name}})
	}
	build := func() *Sender {
		s, err := New(Config{Gateways: gateways, Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	send := func(s *Sender) {
		t.Helper()
		for _, dealer := range []string{"kept", "changed"} {
			m := &care.Message{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Channel: care.SMS, To: "+8613800000001", Country: "CN", Dealer: dealer, Text: []byte("hello")}
			if _, err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	old, next := build(), build()
	send(old)
	if err := next.TakeOver(old, func(name string) bool { return name == "kept" }); err != nil {
		t.Fatal(err)
	}
	send(next)
	send(old) // what it has begun
	if err := next.CloseReplaced(old); err != nil {
		t.Fatal(err)
	}
	send(next)
	if opened[0].Load() != 1 || opened[1].Load() != 2 {
		t.Errorf("%d connections to the gateway that is kept, %d to the one that changed; want 1 and 2", opened[0].Load(), opened[1].Load())
	}
	for deadline := time.Now().Add(10 * time.Second); closed[1].Load() != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection of the gateway that changed is still open")
		}
	}
	if closed[0].Load() != 0 {
		t.Error("the connection of the gateway that is kept was closed")
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
}
