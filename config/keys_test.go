package config_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/carebell/carebell/config"
)

func settings(t *testing.T, keys, address string) *config.Settings {
	t.Helper()
	s := &config.Settings{AddressKey: config.NewSecret(address)}
	if err := s.SecretKey.Set(keys); err != nil {
		t.Fatal(err)
	}
	return s
}

const one, two = "zZ0-first-key-of-a-test-8Qw3Er5Ty7U", "yY1-other-key-of-a-test-9Aa2Ss4Dd6F"

// TestTheAddressKeyStays: whatever is rotated, the key with the fingerprint in Redis is used, or the process is refused.
func TestTheAddressKeyStays(t *testing.T) {
	t.Parallel()
	began := settings(t, one, "")
	key, fingerprint := began.HashKey(), began.Fingerprint()
	for name, tt := range map[string]struct {
		keys, address string
		found         bool
	}{
		"the same": {one, "", true}, "a new one in front": {two + "," + one, "", true}, "behind": {one + "," + two, "", true}, "apart": {two, one, true}, "apart, and there": {two + "," + one, one, true},
		"gone": {two, "", false}, "never there": {"", "", false}, "another apart": {one, two, false},
	} {
		s := settings(t, tt.keys, tt.address)
		err := s.UseHashKey(fingerprint)
		if (err == nil) != tt.found || err == nil && !bytes.Equal(s.HashKey(), key) || err != nil && (!strings.Contains(err.Error(), "CARE_ADDRESS_KEY") || strings.Contains(err.Error(), one)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A state that began without a key goes on with none.
	s := settings(t, one, "")
	if err := s.UseHashKey(settings(t, "", "").Fingerprint()); err != nil || bytes.Equal(s.HashKey(), key) {
		t.Errorf("a state without a key: %v", err)
	}
}

func TestCallbackKeysAreThoseOfAllKeys(t *testing.T) {
	t.Parallel()
	s := settings(t, two+","+one, one)
	if len(s.CallbackKeys()) != 2 || len(s.BounceSecrets()) != 2 || len(s.LinkKeys()) != 2 {
		t.Error("a key is missing")
	}
	if !bytes.Equal(s.CallbackKeys()[1], settings(t, one, "").CallbackKeys()[0]) || s.BounceSecrets()[1] != settings(t, one, "").BounceSecrets()[0] {
		t.Error("the old key makes another token")
	}
}

// TestGuessableSecrets: what can be guessed is refused, with the way to a good one; what carebell makes is taken.
func TestGuessableSecrets(t *testing.T) {
	for value, good := range map[string]bool{
		"": true, "x7": false, "changeme": false, strings.Repeat("changeme", 5): false, "0123456789abcdef0123456789abcdef": false, strings.Repeat("a", 40): false, strings.Repeat("abc", 20): false,
		"this-is-my-very-secret-signing-key-2026": false, "REPLACE-with-the-output-of-carebell-token-new-key": false, "correct horse battery staple moon": true, config.NewKey(): true, config.NewKey()[:31]: false,
		"3f786850e387550fdab836ed7e6dc881de23001b": true, one: true,
	} {
		for _, name := range []string{"CARE_SECRET_KEY", "CARE_ADDRESS_KEY", "CARE_CONSOLE_TOKEN"} {
			if name == "CARE_CONSOLE_TOKEN" && len(value) == 31 {
				continue
			}
			environment(t, map[string]string{name: value})
			_, err := config.FromEnv()
			if (err == nil) != good || err != nil && (!strings.HasPrefix(err.Error(), name) || !strings.Contains(err.Error(), "carebell token new-key") || strings.Contains(err.Error(), value)) {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
}
