package httpclient_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	inside := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254", "168.63.129.16",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.1.2.3", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2a00:1450::5efe:127.0.0.1", "2a00:1450:0:0:200:5efe:10.0.0.1",
	}
	for _, s := range inside {
		if httpclient.Public(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as public", s)
		}
	}
	for _, s := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "193.0.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2a00:1450::5efe:8.8.8.8"} {
		if !httpclient.Public(netip.MustParseAddr(s)) {
			t.Errorf("%s does not count as public", s)
		}
	}
	if httpclient.Public(netip.Addr{}) {
		t.Error("no address counts as public")
	}
}

// TestPublicKnowsEmbeddedIPv4 holds that an IPv6 address is not better than the IPv4 address inside of it.
func TestPublicKnowsEmbeddedIPv4(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], rapid.Uint32().Draw(t, "v4"))
		v4 := netip.AddrFrom4(b)
		mapped := netip.AddrFrom16(v4.As16())
		nat := netip.MustParseAddr("64:ff9b::").As16()
		copy(nat[12:], b[:])
		if want := httpclient.Public(v4); httpclient.Public(mapped) != want || httpclient.Public(netip.AddrFrom16(nat)) != want {
			t.Fatalf("%v and its IPv6 forms differ", v4)
		}
	})
}

func TestGuardLooksAtWhatIsDialled(t *testing.T) {
	t.Parallel()
	hits := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	call := func(guard *httpclient.Guard, host string) error {
		c := httpclient.New(httpclient.Config{Guard: guard})
		defer c.Close()
		_, err := c.Do(context.Background(), &httpclient.Request{Method: http.MethodGet, URL: "http://" + net.JoinHostPort(host, port) + "/canary"})
		return err
	}
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1"} {
		err := call(httpclient.NewGuard([]string{"hooks.example"}), host)
		if care.KindOf(err) != care.KindContent {
			t.Errorf("%s: %v", host, err)
		}
	}
	if hits != 0 {
		t.Fatalf("%d connections came through", hits)
	}
	for _, allowed := range []string{"localhost", "LOCALHOST.", " localhost "} {
		if err := call(httpclient.NewGuard([]string{allowed}), "localhost"); err != nil {
			t.Errorf("allowed as %q: %v", allowed, err)
		}
	}
	if err := call(nil, "127.0.0.1"); err != nil {
		t.Error(err)
	}
}
