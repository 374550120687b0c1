package sms

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// The signatures below were computed from the providers' documents, byte for byte.

func TestTwilioVector(t *testing.T) {
	t.Parallel()
	form := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"},
	}
	const want = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
	if got := twilioSignature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestACS3Vector(t *testing.T) {
	t.Parallel()
	query := acs3Query(url.Values{"RegionId": {"cn-shanghai"}, "ImageId": {"win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}})
	headers := map[string]string{
		"host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26",
		"x-acs-date": "2023-10-26T10:22:32Z", "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d", "x-acs-content-sha256": sha256Hex(nil),
	}
	got := acs3("YourAccessKeyId", "YourAccessKeySecret", "POST", "/", query, headers, sha256Hex(nil))
	const want = "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;" +
		"x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if q := acs3Query(url.Values{"a": {"b c*~/你"}}); q != "a=b%20c%2A~%2F%E4%BD%A0" {
		t.Errorf("encoding %s", q)
	}
}

func TestTC3Vector(t *testing.T) {
	t.Parallel()
	body := []byte(`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`)
	if got := sha256Hex(body); got != "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064" {
		t.Errorf("payload %s", got)
	}
	got := tc3("AKID", strings.Repeat("*", 32), "cvm", "cvm.tencentcloudapi.com", "application/json; charset=utf-8", "DescribeInstances", time.Unix(1551113065, 0), body)
	const want = "TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host;x-tc-action, " +
		"Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
