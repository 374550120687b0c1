package webhook

import (
	"testing"
	"time"
)

// TestVectors holds the signatures to values that were computed from the providers' own documents.
func TestVectors(t *testing.T) {
	t.Parallel()
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ got, want string }{
		"standard webhooks": {
			signature([]*signer{newSigner(key)}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)),
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
		"dingtalk": {dingTalkSign("SEC000000000000000000000", time.UnixMilli(1700000000000)), "1zJ/w34EOSVAYr7cu7Vo8LnebmK2/GrCgegtr8mQrqM="},
		"feishu":   {feishuSign("demo", time.Unix(1700000000, 0)), "8oT2n3SMKFfEnDoiwer8BUM/SjKLwe9SqoEIHlhDTKo="},
	}
	for name, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", name, tt.got, tt.want)
		}
	}
}

func TestSecretsAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!"} {
		if _, err := parseSecret(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
