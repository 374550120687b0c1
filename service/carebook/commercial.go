package carebook

import (
	"fmt"
	"slices"

	"github.com/carebell/carebell/care"
)

// WithoutOptOut names the programs whose commercial e-mail would have no way to unsubscribe, because there is no CARE_PUBLIC_URL: none of it
// is sent.
func (c *Compiled) WithoutOptOut() []string {
	if c.links.public != "" {
		return nil
	}
	var names []string
	for _, p := range c.Book.Programs {
		mails := slices.Contains(p.Channels, string(care.Email)) || slices.Contains(p.Channels, "preferred")
		if p.Enabled && p.Class == care.Commercial && mails {
			names = append(names, p.Program)
		}
	}
	return names
}

// ErrOptOut says why a book is not served.
func ErrOptOut(programs []string) error {
	return fmt.Errorf("commercial e-mail needs a way to unsubscribe: set CARE_PUBLIC_URL (with CARE_PUBLIC_LISTEN and CARE_SECRET_KEY), or disable %v", programs)
}
