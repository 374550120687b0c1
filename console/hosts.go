package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Hosts says under which names a listener answers. A page of another site can have its own name resolve to this machine (DNS
// rebinding): a browser then takes our answers for that page's own, and the Host header is all that tells the two apart.
type Hosts struct {
	names []string // in lower case, without a port: a listener may be reached through a forwarded one
}

// NewHosts returns the names of a listener at host:port that is also opened under the URLs.
func NewHosts(listen string, urls ...string) Hosts {
	var h Hosts
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		h.names = append(h.names, hostName(host))
	}
	for _, raw := range urls {
		if u, err := url.Parse(raw); err == nil && u.Hostname() != "" {
			h.names = append(h.names, hostName(u.Hostname()))
		}
	}
	return h
}

// hostName writes a name or an address in one way: in lower case, an IPv4 address never as IPv6, a name without the dot of the root.
func hostName(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// Allow reports whether a request may be answered: its Host names this machine's loopback, the address that is listened on, or one
// of the URLs. Where all addresses are listened on, the one that the connection came to counts.
func (h Hosts) Allow(r *http.Request) bool {
	host, ok := hostOf(r.Host)
	if !ok {
		return false
	}
	host = hostName(host)
	if host == "localhost" || slices.Contains(h.names, host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if addr.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	to, err := netip.ParseAddrPort(local.String())
	return err == nil && to.Addr().Unmap().WithZone("") == addr
}

// hostOf takes the port from a Host header. It reports whether what is left is a name or an address at all.
func hostOf(header string) (string, bool) {
	host := header
	if bracketed, rest, ok := strings.Cut(header, "]"); ok {
		if !strings.HasPrefix(bracketed, "[") || rest != "" && !isPort(rest) {
			return "", false
		}
		addr, err := netip.ParseAddr(bracketed[1:])
		return bracketed[1:], err == nil && addr.Is6()
	}
	if i := strings.IndexByte(header, ':'); i >= 0 {
		if !isPort(header[i:]) {
			return "", false
		}
		host = header[:i]
	}
	return host, host != ""
}

// isPort reports whether a text is a colon and digits, or a colon alone (RFC 3986 section 3.2.3).
func isPort(s string) bool {
	return strings.HasPrefix(s, ":") && !strings.ContainsFunc(s[1:], func(r rune) bool { return r < '0' || r > '9' })
}

// Guard answers only requests that Allow lets through, and those for one of the open paths: probes and Prometheus ask a pod by its
// address. 421 says that the connection has come to the wrong server (RFC 9110 section 15.5.20).
func (h Hosts) Guard(next http.Handler, open ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(open, r.URL.Path) && !h.Allow(r) {
			plain(w, http.StatusMisdirectedRequest, "this listener has another name: set CARE_CONSOLE_URL to the address that you open it under\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}
