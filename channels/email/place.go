package email

import (
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long a mail may hold one of a server's connections before it is counted apart: a server that scans each mail for
// minutes is waited for, and holds up nobody else.
const patience = 30 * time.Second

// place is a mail's place among those that a server takes at a time. After patience it is another mail's; at most as many wait apart as
// there are places.
type place struct {
	up    *upstream
	timer *time.Timer
	gone  atomic.Bool // the place is another's, or left
	alone atomic.Bool // the mail waits apart
}

func (p *place) take(up *upstream) {
	p.up = up
	p.timer = time.AfterFunc(patience, func() {
		if up.waiting.Add(1) > int64(cap(up.slots)) || !p.gone.CompareAndSwap(false, true) {
			up.waiting.Add(-1)
			return
		}
		p.alone.Store(true)
		<-up.slots
	})
}

// apart reports whether the mail has no place any more: then its connection is one too many.
func (p *place) apart() bool { return p.alone.Load() }

func (p *place) leave() {
	p.timer.Stop()
	if p.gone.CompareAndSwap(false, true) {
		<-p.up.slots
		return
	}
	p.up.waiting.Add(-1)
}

// greeting is the name that a mail server is greeted with where no setting says one.
func greeting(sender, server string) string {
	if domain := sender[strings.LastIndexByte(sender, '@')+1:]; fullName(domain) {
		return domain
	}
	if host, err := os.Hostname(); err == nil && fullName(host) {
		return host
	}
	literal := "[127.0.0.1]"
	if conn, err := net.Dial("udp", server); err == nil { //nolint:noctx // it sends nothing
		if at, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			literal = Literal(at.IP)
		}
		conn.Close()
	}
	return literal
}

// Literal writes an address as a greeting has it (RFC 5321 section 4.1.3).
func Literal(ip net.IP) string {
	if ip.To4() != nil {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// fullName reports whether a name is one of the whole network's: of several labels, and no address.
func fullName(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if len(name) > 253 || !strings.Contains(name, ".") || net.ParseIP(name) != nil ||
		strings.HasSuffix(name, ".localdomain") || strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".internal") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// ValidHELO reports whether a setting may stand in EHLO: a full name or an address literal.
func ValidHELO(name string) bool {
	if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
		inner = strings.TrimSuffix(inner, "]")
		ip := net.ParseIP(strings.TrimPrefix(inner, "IPv6:"))
		return ip != nil && Literal(ip) == name
	}
	return fullName(name)
}
