package redisurl

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url  string
		want Target
		tls  bool
	}{
		{"redis://localhost", Target{Kind: Single, Addresses: []string{"localhost:6379"}}, false},
		{"redis://u:p%40ss@h:1/3", Target{Kind: Single, Addresses: []string{"h:1"}, Username: "u", Password: "p@ss", DB: 3}, false},
		{"redis://:secret@h", Target{Kind: Single, Addresses: []string{"h:6379"}, Password: "secret"}, false},
		{"redis://secret@h", Target{Kind: Single, Addresses: []string{"h:6379"}, Password: "secret"}, false},
		{"rediss://h?timeout=5s", Target{Kind: Single, Addresses: []string{"h:6379"}, Timeout: 5 * time.Second}, true},
		{"redis://[::1]:7/1", Target{Kind: Single, Addresses: []string{"[::1]:7"}, DB: 1}, false},
		{"redis-sentinel://a,b:5/main", Target{Kind: Sentinel, Addresses: []string{"a:26379", "b:5"}, Master: "main"}, false},
		{"redis-sentinel://a/main/2?sentinel_password=x", Target{Kind: Sentinel, Addresses: []string{"a:26379"}, Master: "main", DB: 2, SentinelPassword: "x"}, false},
		{"redis-cluster://a,b", Target{Kind: Cluster, Addresses: []string{"a:6379", "b:6379"}}, false},
		{"rediss-cluster://a", Target{Kind: Cluster, Addresses: []string{"a:6379"}}, true},
	} {
		got, err := Parse(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if (got.TLS != nil) != tt.tls {
			t.Errorf("%s: TLS is %v", tt.url, got.TLS != nil)
		}
		got.TLS = nil
		if tt.want.Timeout == 0 {
			tt.want.Timeout = 3 * time.Second
		}
		if diff := cmp.Diff(tt.want, *got, cmpopts.IgnoreFields(Target{}, "TLS")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.url, diff)
		}
	}
	const secret = "hunter2"
	for _, bad := range []string{
		"", "localhost:6379", "http://h", "redis://", "redis://" + secret + "@", "redis-sentinel://u:" + secret + "@a", "redis://u:" + secret + "%zz@h",
		"redis://:" + secret + "@h/x", "redis-cluster://a/1", "redis://h?colour=" + secret, "redis://h?timeout=" + secret, "redis://h?skip_verify=true",
	} {
		_, err := Parse(bad)
		if err == nil {
			t.Errorf("%q is taken", bad)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error shows the Password: %v", bad, err)
		}
	}
}
