package httpclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// errBlocked is the guard's answer.
var errBlocked = errors.New("the address lies inside a network that may not be called; allow its host by name")

// Guard refuses connections into the inside of a network: to loopback, private, link-local (cloud metadata) and other special
// addresses, and to IPv6 addresses that carry such an IPv4 address. It looks at the address that is really dialled, after
// resolution, so that a name that resolves differently the second time gains nothing. A proxy resolves names itself: there the guard
// judges what it can see of the target before the proxy is asked. A nil Guard allows everything.
type Guard struct {
	allowed map[string]bool
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// NewGuard returns a guard that lets the named hosts (names or IP addresses, without port) be dialled wherever they are.
func NewGuard(allowed []string) *Guard {
	g := &Guard{allowed: make(map[string]bool, len(allowed)), resolve: net.DefaultResolver.LookupNetIP}
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

// resolveLimit is how long a name is looked up before a proxy is asked for it: behind some proxies no name resolves.
const resolveLimit = 2 * time.Second

// judge refuses a host that a proxy is to be asked for. An address must be public, and so must all addresses of a name. A name that does
// not resolve here is left to the proxy, unless it is one that names the inside of a network.
func (g *Guard) judge(ctx context.Context, host string) error {
	if g.Allows(host) {
		return nil
	}
	name := hostKey(host)
	for i := range len(name) {
		if name[i] < utf8.RuneSelf {
			continue
		}
		ascii, err := idna.Lookup.ToASCII(name) // as net/http does: １２７.0.0.1 is 127.0.0.1
		if err != nil {
			return errBlocked
		}
		name = ascii
		break
	}
	if a, err := netip.ParseAddr(name); err == nil {
		if !Public(a) {
			return errBlocked
		}
		return nil
	}
	if inside(name) {
		return errBlocked
	}
	limited, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	addresses, err := g.resolve(limited, "ip", name)
	if err != nil {
		return ctx.Err() // nil: the proxy may know the name
	}
	for _, a := range addresses {
		if !Public(a) {
			return errBlocked
		}
	}
	return nil
}

// insideZones are names that no public zone has: RFC 6761, 6762, 8375, ICANN's .internal, and those that ICANN keeps out of the root because
// networks use them. metadata.google.internal is one.
var insideZones = []string{"localhost", "local", "internal", "home.arpa", "localdomain", "lan", "intranet", "private", "corp", "home", "mail"}

// inside reports whether a name is of the inside of a network: one without a dot, one of those zones, or a number in a spelling that
// inet_aton takes for an IPv4 address (127.1, 0x7f000001).
func inside(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return true
	}
	last := name[dot+1:]
	if last == "" || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return true
	}
	for _, zone := range insideZones {
		if strings.HasSuffix(name, "."+zone) {
			return true
		}
	}
	return false
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
