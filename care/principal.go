package care

import "slices"

// Principal is who asks a question about customers or changes something about them: a person at the console, a program with a token,
// or the operator at the command line. The services show and change only what a principal may see; whether a role may ask at all is
// decided at the door, by whoever makes the principal.
type Principal struct {
	Name    string   // as it stands in the audit trail
	Role    string   // what they are: advisor, marketer, operator, admin
	Dealers []string // whose customers they see and change; empty = every dealer's
}

// CommandLine returns the operator at the command line of the machine: they see every dealer's customers.
func CommandLine() Principal { return Principal{Name: "command line", Role: "operator"} }

// All reports whether the principal sees every dealer's customers. One without a name is nobody and sees nothing.
func (p Principal) All() bool { return p.Name != "" && len(p.Dealers) == 0 }

// Sees reports whether the principal sees and changes the customers of a dealer.
func (p Principal) Sees(dealer string) bool {
	return p.All() || p.Name != "" && slices.Contains(p.Dealers, dealer)
}
