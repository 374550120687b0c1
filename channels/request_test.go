package channels

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWritesWhatNetHTTPWrites holds our way of writing a request to that of the standard library, byte by byte.
func TestWritesWhatNetHTTPWrites(t *testing.T) {
	t.Parallel()
	pick := func(t *rapid.T, label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	rapid.Check(t, func(rt *rapid.T) {
		u := &url.URL{
			Scheme: pick(rt, "scheme", "http", "https"),
			Host:   pick(rt, "host", "a.example", "a.example:8080", "汽车.example", "汽车.example:81", "[2001:db8::1]:80", "[fe80::1%25eth0]", "[fe80::1%eth0]:80", "a b", "a\r\nb", "a/b", "\xff", ""),
			Path:   pick(rt, "path", "", "/", "/a b", "/a/../b", "/汽车", "//x", "/%2f"), RawQuery: pick(rt, "query", "", "a=b", "a=b%20c&d", "q=\x7f", "q=\n"),
			ForceQuery: rapid.Bool().Draw(rt, "force"), Fragment: pick(rt, "fragment", "", "x"), Opaque: pick(rt, "opaque", "", "", "//x/y"),
		}
		if rapid.Bool().Draw(rt, "user") {
			u.User = url.UserPassword("a", "b")
		}
		h := http.Header{}
		for range rapid.IntRange(0, 20).Draw(rt, "fields") {
			name := pick(rt, "name", "X-A", "X-B", "x-c", "Content-Type", "User-Agent", "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Webhook-Id", "Connection")
			name += strings.Repeat("z", rapid.IntRange(0, 3).Draw(rt, "more")*rapid.IntRange(0, 1).Draw(rt, "or none"))
			h[name] = append(h[name], pick(rt, "value", "", "1", " 1 ", "\t王小明\t", "a  b", "\u00a0x\u00a0"))
		}
		if rapid.IntRange(0, 9).Draw(rt, "no agent") == 0 {
			h["User-Agent"] = nil
		}
		r := &http.Request{Method: pick(rt, "method", "", "GET", "HEAD", "DELETE", "POST", "PUT", "PATCH"), URL: u, Host: pick(rt, "Host", "", "b.example", "汽车"), Header: h}
		body := strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 1, 100, 5000}).Draw(rt, "length"))
		set := func() {
			r.Body = http.NoBody
			if body != "" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			}
		}
		var theirs, ours bytes.Buffer
		set()
		failed := r.Write(&theirs) != nil
		set()
		w := bufio.NewWriter(&ours)
		err := writeRequest(w, r)
		if failed {
			// It refuses hosts that are no UTF-8, which we leave empty, and URLs.
			if err == nil && !strings.Contains(ours.String(), "\r\nHost: \r\n") {
				rt.Errorf("written although it cannot be:\n%q", ours.String())
			}
			return
		}
		if diff := cmp.Diff(theirs.String(), ours.String()); diff != "" || err != nil {
			rt.Errorf("%v (-net/http +ours):\n%s", err, diff)
		}
	})
}

func TestABodyOfAnotherLengthIsNoRequest(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{1, 5, 7, 9000} {
		r := newRequest(t.Context(), t, http.MethodPost, "http://a.example/", "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abcdef")), n
		if err := writeRequest(bufio.NewWriter(io.Discard), r); !errors.Is(err, errBody) {
			t.Errorf("%d: %v", n, err)
		}
	}
}
