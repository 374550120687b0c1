package sms_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

func TestAliyunIsAsked(t *testing.T) {
	t.Parallel()
	const (
		id   = "abcdefghijklmnopqrstuvwxyz"
		list = `{"Code":"OK","TotalCount":"2","SmsSendDetailDTOs":{"SmsSendDetailDTO":[{"OutId":"bbcdefghijklmnopqrstuvwxyz-sms","SendStatus":3},%s]}}`
	)
	entry := func(status int, code string) string {
		return fmt.Sprintf(list, fmt.Sprintf(`{"OutId":%q,"SendStatus":%d,"ErrCode":%q,"ReceiveDate":"2026-11-22 09:31:00"}`, id+"-sms", status, code))
	}
	at := time.Date(2026, 11, 22, 9, 31, 0, 0, time.FixedZone("", 8*3600)).UTC()
	told := care.Receipt{ID: id, Channel: care.SMS, Gateway: "aliyun", At: at, To: "+8613800138001"}
	with := func(state care.State, kind care.Kind, code string) care.Receipt {
		r := told
		r.State, r.Kind, r.Code = state, kind, code
		return r
	}
	tests := map[string]struct {
		status int
		body   string
		want   care.Receipt
		kind   care.Kind // of the error; "" = ErrUnknown
	}{
		"delivered":     {200, entry(3, "DELIVERED"), with(care.StateDelivered, "", "DELIVERED"), ""},
		"on its way":    {200, entry(1, ""), with(care.StateSent, "", ""), ""},
		"dead number":   {200, entry(2, "MK:0001"), with(care.StateUndelivered, care.KindRecipient, "MK:0001"), ""},
		"only others":   {200, fmt.Sprintf(list, `{"OutId":"","SendStatus":3}`), care.Receipt{}, ""},
		"nothing":       {200, `{"Code":"OK","TotalCount":"0","SmsSendDetailDTOs":{"SmsSendDetailDTO":[]}}`, care.Receipt{}, ""},
		"no permission": {403, `{"Code":"isp.RAM_PERMISSION_DENY","Message":"x"}`, care.Receipt{}, care.KindOperator},
		"no JSON":       {502, `<html>`, care.Receipt{}, care.KindRetry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rec := fake(t, accounts["aliyun"], answers(tt.status, tt.body))
			got, err := s.Ask(t.Context(), sms.Question{ID: id, Gateway: "aliyun", To: "+8613800138001", At: at})
			var e *care.Error
			switch {
			case tt.want.ID != "":
				if err != nil {
					t.Fatal(err)
				}
			case tt.kind == "" && !errors.Is(err, sms.ErrUnknown), tt.kind != "" && (!errors.As(err, &e) || e.Kind != tt.kind):
				t.Errorf("error %v, want %q", err, tt.kind)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			r := rec.all[0]
			if r.Header.Get("X-Acs-Action") != "QuerySendDetails" || !strings.HasPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 Credential=LTAI,") {
				t.Errorf("asked with %v", r.Header)
			}
			if want := "CurrentPage=1&PageSize=50&PhoneNumber=13800138001&SendDate=20261122"; r.URL.RawQuery != want {
				t.Errorf("asked for %s, want %s", r.URL.RawQuery, want)
			}
		})
	}
}

// What was tried just before midnight may have gone after it: Aliyun lists by the day of its own clock.
func TestAliyunIsAskedForBothDays(t *testing.T) {
	t.Parallel()
	s, rec := fake(t, accounts["aliyun"], answers(200, `{"Code":"OK","SmsSendDetailDTOs":{"SmsSendDetailDTO":[]}}`))
	late := time.Date(2026, 11, 22, 15, 58, 0, 0, time.UTC) // 23:58 in China
	if _, err := s.Ask(t.Context(), sms.Question{ID: "abcdefghijklmnopqrstuvwxyz", To: "+8613800138001", Country: "CN", At: late}); !errors.Is(err, sms.ErrUnknown) {
		t.Error(err)
	}
	var days []string
	for _, r := range rec.all {
		days = append(days, r.URL.Query().Get("SendDate"))
	}
	if diff := cmp.Diff([]string{"20261122", "20261123"}, days); diff != "" {
		t.Error(diff)
	}
}

func TestOthersCannotBeAsked(t *testing.T) {
	t.Parallel()
	for name, g := range accounts {
		if name == "aliyun" {
			continue
		}
		s, rec := fake(t, g, answers(http.StatusOK, "{}"))
		for _, gateway := range []string{name, "", "nobody"} {
			if _, err := s.Ask(t.Context(), sms.Question{ID: "abcdefghijklmnopqrstuvwxyz", Gateway: gateway, To: "+8613800138001", At: time.Now()}); !errors.Is(err, sms.ErrUnknown) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if rec.count() != 0 {
			t.Errorf("%s was asked", name)
		}
	}
}
