package email

import (
	"errors"
	netmail "net/mail"

	"github.com/carebell/carebell/care/contact"
)

var errAddress = errors.New("this is no e-mail address")

// address checks a bare address and returns it as it goes on the wire. A local part beyond ASCII stays (RFC 6531): the dealer's own
// address may have one, and the server is asked whether it takes it.
func address(s string) (string, error) {
	addr, _, ok := contact.Address(s)
	if !ok {
		return "", errAddress
	}
	return addr, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// mailbox returns a name and an address for a header. The name is cleaned; go-mail encodes it.
func mailbox(name, addr string) (*netmail.Address, error) {
	a, err := address(addr)
	if err != nil {
		return nil, err
	}
	return &netmail.Address{Name: header(name, 128), Address: a}, nil
}
