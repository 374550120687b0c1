package channels

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// errBlocked is the guard's answer.
var errBlocked = errors.New("the address lies inside a network that may not be called; allow its host by name")

// Guard refuses connections into the inside of a network: to loopback, private, link-local (cloud metadata) and other special
// addresses, and to IPv6 addresses that carry such an IPv4 address. It looks at the address that is really dialled, after
// resolution, so that a name that resolves differently the second time gains nothing. A nil Guard allows everything.
type Guard struct {
	allowed map[string]bool
}

// NewGuard returns a guard that lets the named hosts (names or IP addresses, without port) be dialled wherever they are.
func NewGuard(allowed []string) *Guard {
	g := &Guard{allowed: make(map[string]bool, len(allowed))}
	for _, h := range allowed {
		if h = hostKey(h); h != "" {
			g.allowed[h] = true
		}
	}
	return g
}

func hostKey(h string) string {
	return strings.ToLower(strings.Trim(strings.TrimSuffix(strings.TrimSpace(h), "."), "[]"))
}

// Allows reports whether a host may be dialled whatever its address is.
func (g *Guard) Allows(host string) bool { return g == nil || g.allowed[hostKey(host)] }

// dial makes a connection, if the address may be called.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !g.Allows(host) {
		d.Control = refuseInside
	}
	return d.DialContext(ctx, network, address)
}

// refuseInside is called with the resolved address before the connection is made.
func refuseInside(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !Public(ap.Addr()) {
		return errBlocked
	}
	return nil
}

// special are the ranges of the IANA registries of special-purpose addresses that are not globally reachable, and those that
// clouds use for their own services: 100.100.100.200 lies in 100.64/10, 168.63.129.16 is Azure's.
var special = parsePrefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"::/96", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "64:ff9b:1::/48",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// nat64 carries an IPv4 address in its last 32 bits (RFC 6052): in a network of IPv6 only it is the way to the world.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func parsePrefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, s := range all {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public reports whether an address belongs to the public internet.
func Public(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsValid() || (!a.IsGlobalUnicast() && !a.Is4()) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	// ISATAP (RFC 5214) carries an IPv4 address behind 0:5efe or 200:5efe.
	if b := a.As16(); a.Is6() && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return true
}
