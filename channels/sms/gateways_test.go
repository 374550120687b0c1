package sms_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

// recording starts a gateway's server that notes what it is asked.
func recording(t testing.TB, answer http.HandlerFunc) (*httptest.Server, *recorder) {
	t.Helper()
	rec := &recorder{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		rec.note(r, string(b))
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv, rec
}

// fake starts a gateway's server and a sender for it.
func fake(t testing.TB, g sms.Gateway, answer http.HandlerFunc) (*sms.Sender, *recorder) {
	t.Helper()
	srv, rec := recording(t, answer)
	g.URL = srv.URL
	return newSender(t, sms.Config{Gateways: []sms.Gateway{g}, PublicURL: "https://care.example", Secrets: [][]byte{[]byte("secret")}}), rec
}

var accounts = map[string]sms.Gateway{
	"twilio":  {Name: "twilio", User: "AC123", From: "+12125550100"},
	"vonage":  {Name: "vonage", User: "key", From: "Carebell"},
	"aliyun":  {Name: "aliyun", User: "LTAI"},
	"tencent": {Name: "tencent", User: "AKID", From: "1400000000"},
}

func templated() *care.Message {
	m := testMessage()
	m.Gateways = map[string]care.GatewayTemplate{
		"aliyun":  {Template: "SMS_123", Params: map[string]string{"name": canary + "\n", "car": "Regal"}},
		"tencent": {Template: "449739", Params: map[string]string{"1": canary, "2": "Regal", "10": "x"}},
	}
	return m
}

// yes is what each provider says when it takes a message.
var yes = map[string]struct {
	status int
	body   string
	id     string
	parts  int
}{
	"twilio":  {201, `{"sid":"SM1","status":"queued","num_segments":"2","error_code":null}`, "SM1", 2},
	"vonage":  {200, `{"message-count":"2","messages":[{"status":"0","message-id":"V1"},{"status":"0","message-id":"V2"}]}`, "V1", 2},
	"aliyun":  {200, `{"Code":"OK","Message":"OK","BizId":"900619746936498440^0","RequestId":"R"}`, "900619746936498440^0", 0},
	"tencent": {200, `{"Response":{"SendStatusSet":[{"SerialNo":"S1","PhoneNumber":"+8613800138001","Code":"Ok","Message":"send success"}],"RequestId":"R"}}`, "S1", 0},
}

func TestProvidersTakeAMessage(t *testing.T) {
	t.Parallel()
	callback := func(name, query string) string { return "https://care.example/hooks/sms/" + name + "?" + query }
	const wire = "abcdefghijklmnopqrstuvwxyz-sms"
	text := "【浦东别克】" + canary + "，您的车该保养了。"
	form := func(v url.Values) string { return v.Encode() }
	want := map[string]struct{ uri, body string }{
		"twilio": {"/2010-04-01/Accounts/AC123/Messages.json", form(url.Values{
			"To": {number}, "From": {"+12125550100"}, "Body": {text}, "StatusCallback": {callback("twilio", "id="+wire)}, "ValidityPeriod": {"36000"},
		})},
		"vonage": {"/", form(url.Values{
			"api_key": {"key"}, "api_secret": {password}, "from": {"Carebell"}, "to": {"8613800138001"}, "text": {text}, "type": {"unicode"},
			"ttl": {"259200000"}, "client-ref": {wire}, "callback": {callback("vonage", "token="+sms.CallbackToken([]byte("secret"), "vonage"))},
		})},
		"aliyun": {"/?OutId=" + wire + "&PhoneNumbers=13800138001&SignName=" + url.QueryEscape("浦东别克") + "&TemplateCode=SMS_123&TemplateParam=" +
			url.QueryEscape(`{"car":"Regal","name":"`+canary+`"}`), ""},
		"tencent": {"/", `{"PhoneNumberSet":["+8613800138001"],"SessionContext":"` + wire + `","SignName":"浦东别克","SmsSdkAppId":"1400000000","TemplateId":"449739",` +
			`"TemplateParamSet":["` + canary + `","Regal","x"]}`},
	}
	for name, account := range accounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok := yes[name]
			s, rec := fake(t, account, answers(ok.status, ok.body))
			got, err := s.Send(t.Context(), templated())
			if err != nil {
				t.Fatal(err)
			}
			wantReceipt := care.Receipt{
				ID: testMessage().ID, Channel: care.SMS, Gateway: name, ProviderID: ok.id, Parts: ok.parts, State: care.StateSent, At: testClock(),
			}
			if diff := cmp.Diff(wantReceipt, got); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want[name].uri, rec.all[0].RequestURI); diff != "" {
				t.Errorf("uri (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want[name].body, rec.body[0]); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if rec.all[0].Method != http.MethodPost {
				t.Errorf("method %s", rec.all[0].Method)
			}
		})
	}
}

func TestProvidersAuthorize(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"twilio":  "Basic QUMxMjM6cGE1NS1jYW5hcnktd29yZA==",
		"aliyun":  "ACS3-HMAC-SHA256 Credential=LTAI,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=",
		"tencent": "TC3-HMAC-SHA256 Credential=AKID/2026-11-22/sms/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature=",
	} {
		s, rec := fake(t, accounts[name], answers(yes[name].status, yes[name].body))
		if _, err := s.Send(t.Context(), templated()); err != nil {
			t.Fatal(err)
		}
		if got := rec.all[0].Header.Get("Authorization"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// codeAnswers builds an answer of each provider that carries a code.
var codeAnswers = map[string]func(code string) (int, string){
	"twilio": func(c string) (int, string) {
		return 400, `{"code":` + c + `,"message":"to ` + number + ` refused","more_info":"https://x","status":400}`
	},
	"vonage": func(c string) (int, string) {
		return 200, `{"message-count":"1","messages":[{"status":"` + c + `","error-text":"` + number + `"}]}`
	},
	"aliyun": func(c string) (int, string) {
		return 200, `{"Code":"` + c + `","Message":"` + number + `","RequestId":"R"}`
	},
	"tencent": func(c string) (int, string) {
		if strings.HasPrefix(c, "AuthFailure") || strings.HasPrefix(c, "Unauthorized") {
			return 200, `{"Response":{"Error":{"Code":"` + c + `","Message":"m"},"RequestId":"R"}}`
		}
		return 200, `{"Response":{"SendStatusSet":[{"SerialNo":"","PhoneNumber":"` + number + `","Code":"` + c + `","Message":"m"}],"RequestId":"R"}}`
	},
}

// TestProviderCodes holds every code of the providers' documents to its class.
func TestProviderCodes(t *testing.T) {
	t.Parallel()
	tests := map[string]map[care.Kind]string{
		"twilio": {
			care.KindRetry: "20429 30001 21730 30003 21611", care.KindRecipient: "21211 21614 21635 30005 30006", care.KindOptedOut: "21610",
			care.KindContent: "21612 21408 30007",
			care.KindDefer:   "30610", care.KindOperator: "20003 20404 10001 21606 21608 30034",
		},
		"vonage": {
			care.KindRetry: "1 5 10 77", care.KindOperator: "4 8 9 11 14 15 29 32", care.KindContent: "2 3 6 7 12 22 23 33",
		},
		"aliyun": {
			care.KindRetry:     "isv.BUSINESS_LIMIT_CONTROL isv.DAY_LIMIT_CONTROL isv.MONTH_LIMIT_CONTROL isp.SYSTEM_ERROR isp.GATEWAY_ERROR Throttling Throttling.User what",
			care.KindRecipient: "isv.MOBILE_NUMBER_ILLEGAL isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
			care.KindContent: "isv.SMS_TEMPLATE_ILLEGAL isv.SMS_SIGNATURE_ILLEGAL isv.SMS_SIGNATURE_SCENE_ILLEGAL isv.SIGN_STATE_ILLEGAL " +
				"isv.SMS_CONTENT_ILLEGAL isv.SMS_SIGN_ILLEGAL isv.TEMPLATE_MISSING_PARAMETERS isv.INVALID_PARAMETERS isv.INVALID_JSON_PARAM " +
				"isv.BLACK_KEY_CONTROL_LIMIT isv.PARAM_LENGTH_LIMIT isv.PARAM_NOT_SUPPORT_URL",
			care.KindOperator: "isp.RAM_PERMISSION_DENY isv.OUT_OF_SERVICE isv.AMOUNT_NOT_ENOUGH isv.PRODUCT_UN_SUBSCRIPT isv.ACCOUNT_NOT_EXISTS " +
				"isv.ACCOUNT_ABNORMAL isv.DENY_IP_RANGE SignatureDoesNotMatch",
		},
		"tencent": {
			care.KindRetry: "InternalError.Timeout InternalError.SendAndRecvFail InternalError.UnknownError LimitExceeded.PhoneNumberDailyLimit " +
				"LimitExceeded.DeliveryFrequencyLimit OK",
			care.KindDefer: "FailedOperation.MarketingSendTimeConstraint", care.KindOptedOut: "FailedOperation.PhoneNumberInBlacklist",
			care.KindRecipient: "InvalidParameterValue.IncorrectPhoneNumber",
			care.KindContent: "FailedOperation.ContainSensitiveWord InvalidParameterValue.ContentLengthLimit " +
				"FailedOperation.TemplateIncorrectOrUnapproved FailedOperation.SignatureIncorrectOrUnapproved",
			care.KindOperator: "UnauthorizedOperation.SmsSdkAppIdVerifyFail FailedOperation.InsufficientBalanceInSmsPackage " +
				"InternalError.RequestTimeException AuthFailure.SignatureFailure",
		},
	}
	for name, kinds := range tests {
		for kind, list := range kinds {
			for _, code := range strings.Fields(list) {
				t.Run(name+" "+code, func(t *testing.T) {
					t.Parallel()
					s, rec := fake(t, accounts[name], answers(codeAnswers[name](code)))
					_, err := s.Send(t.Context(), templated())
					var e *care.Error
					if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
						t.Errorf("got %v, want %s %s", err, kind, code)
					}
					if strings.Contains(fmt.Sprint(err), number) {
						t.Errorf("the number is in %v", err)
					}
					if rec.count() != 1 {
						t.Errorf("%d requests", rec.count())
					}
				})
			}
		}
	}
}

func TestLimitsSayHowLongToWait(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]time.Duration{"isv.BUSINESS_LIMIT_CONTROL": time.Hour, "isv.DAY_LIMIT_CONTROL": 24 * time.Hour, "isp.SYSTEM_ERROR": 0} {
		s, _ := fake(t, accounts["aliyun"], answers(codeAnswers["aliyun"](code)))
		_, err := s.Send(t.Context(), templated())
		var e *care.Error
		if !errors.As(err, &e) || e.RetryAfter != want {
			t.Errorf("%s: %v, want %v", code, e, want)
		}
	}
}

func TestVonageTakesOnlySomeParts(t *testing.T) {
	t.Parallel()
	s, _ := fake(t, accounts["vonage"], answers(200, `{"messages":[{"status":"0","message-id":"1"},{"status":"1"}]}`))
	_, err := s.Send(t.Context(), testMessage())
	if care.KindOf(err) != care.KindUncertain {
		t.Errorf("got %v, want uncertain", err)
	}
}

func TestUnreadableYesIsUncertain(t *testing.T) {
	t.Parallel()
	for name, account := range accounts {
		for _, body := range []string{"", "<html>", "{}", "[]", `{"Response":{}}`, `{"messages":[]}`} {
			s, _ := fake(t, account, answers(200, body))
			if _, err := s.Send(t.Context(), templated()); care.KindOf(err) != care.KindUncertain {
				t.Errorf("%s %q: got %v, want uncertain", name, body, err)
			}
		}
	}
}

func TestTemplateGatewaysWantATemplate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"aliyun", "tencent"} {
		s, rec := fake(t, accounts[name], answers(200, "{}"))
		_, err := s.Send(t.Context(), testMessage())
		var e *care.Error
		if !errors.As(err, &e) || e.Kind != care.KindContent || e.Code != "no_template" || rec.count() != 0 {
			t.Errorf("%s: %v after %d requests", name, err, rec.count())
		}
	}
}

func twilioCallback(t *testing.T, token string, form url.Values, change func(*http.Request)) *http.Request {
	t.Helper()
	const query = "id=abcdefghijklmnopqrstuvwxyz-sms"
	r := httptest.NewRequest(http.MethodPost, "/hooks/sms/twilio?"+query, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", twilioSign(token, "https://care.example/hooks/sms/twilio?"+query, form))
	if change != nil {
		change(r)
	}
	return r
}

func TestTwilioCallbacks(t *testing.T) {
	t.Parallel()
	s, _ := fake(t, accounts["twilio"], answers(201, "{}"))
	status := func(status, code string) url.Values {
		return url.Values{"MessageSid": {"SM1"}, "MessageStatus": {status}, "ErrorCode": {code}, "From": {"+1"}, "To": {number}, "AccountSid": {"AC123"}, "New": {"x"}}
	}
	receipt := func(state care.State, kind care.Kind, code string) *sms.Callback {
		return &sms.Callback{Receipts: []care.Receipt{{
			ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.SMS, Gateway: "twilio", ProviderID: "SM1", State: state, Kind: kind, Code: code, At: testClock(), To: number,
		}}, Answer: []byte("<Response></Response>"), ContentType: "text/xml"}
	}
	tests := map[string]struct {
		form url.Values
		want *sms.Callback
	}{
		"sent":      {status("sent", ""), receipt(care.StateSent, "", "")},
		"delivered": {status("delivered", ""), receipt(care.StateDelivered, "", "")},
		"dead":      {status("undelivered", "30005"), receipt(care.StateUndelivered, care.KindRecipient, "30005")},
		"soft":      {status("undelivered", "30003"), receipt(care.StateUndelivered, care.KindRetry, "30003")},
		"failed":    {status("failed", "21610"), receipt(care.StateFailed, care.KindOptedOut, "21610")},
		"reply": {url.Values{"MessageSid": {"SM9"}, "From": {number}, "To": {"+1"}, "Body": {"ｓｔｏｐ"}}, &sms.Callback{
			Replies: []sms.Reply{{Gateway: "twilio", ID: "SM9", From: number, To: "+1", Text: "ｓｔｏｐ", OptOut: true, At: testClock()}},
			Answer:  []byte("<Response></Response>"), ContentType: "text/xml",
		}},
		"reply that Twilio took as stop": {url.Values{"MessageSid": {"SM9"}, "From": {number}, "To": {"+1"}, "Body": {"arret"}, "OptOutType": {"STOP"}}, &sms.Callback{
			Replies: []sms.Reply{{Gateway: "twilio", ID: "SM9", From: number, To: "+1", Text: "arret", OptOut: true, At: testClock()}},
			Answer:  []byte("<Response></Response>"), ContentType: "text/xml",
		}},
	}
	for name, tt := range tests {
		got, err := s.Callback("twilio", twilioCallback(t, password, tt.form, nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	forged := map[string]*http.Request{
		"other token":  twilioCallback(t, "other", status("delivered", ""), nil),
		"other id":     twilioCallback(t, password, status("delivered", ""), func(r *http.Request) { r.URL.RawQuery = "id=bbcdefghijklmnopqrstuvwxyz-sms" }),
		"no signature": twilioCallback(t, password, status("delivered", ""), func(r *http.Request) { r.Header.Del("X-Twilio-Signature") }),
		"body changed": twilioCallback(t, password, status("delivered", ""), func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(status("delivered", "").Encode(), "delivered", "failed", 1)))
		}),
		"json": twilioCallback(t, password, status("delivered", ""), func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
	}
	for name, r := range forged {
		if _, err := s.Callback("twilio", r); !errors.Is(err, sms.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPushedCallbacks(t *testing.T) {
	t.Parallel()
	const (
		id   = "abcdefghijklmnopqrstuvwxyz"
		wire = id + "-sms"
	)
	at := time.Date(2026, 11, 22, 9, 31, 0, 0, time.FixedZone("", 8*3600)).UTC()
	tests := map[string]struct {
		gateway, body string
		want          *sms.Callback
	}{
		"aliyun receipts": {"aliyun", `[{"phone_number":"13800138001","send_time":"2026-11-22 09:30:00","report_time":"2026-11-22 09:31:00","success":true,"err_code":"DELIVERED","err_msg":"","sms_size":"2","biz_id":"900619746936498440^0","out_id":"` + wire + `"},
			{"phone_number":"13800138001","send_time":"x","report_time":"2026-11-22 09:31:00","success":false,"err_code":"MK:0001","sms_size":1,"biz_id":"901","out_id":"other"}]`, &sms.Callback{
			Receipts: []care.Receipt{
				{ID: id, Channel: care.SMS, Gateway: "aliyun", ProviderID: "900619746936498440^0", State: care.StateDelivered, Code: "DELIVERED", Parts: 2, At: at, To: number},
				{Channel: care.SMS, Gateway: "aliyun", ProviderID: "901", State: care.StateUndelivered, Kind: care.KindRecipient, Code: "MK:0001", Parts: 1, At: at, To: number},
			}, Answer: []byte(`{"code":0,"msg":"接收成功"}`), ContentType: "application/json",
		}},
		"aliyun reply": {"aliyun", `[{"phone_number":"13800138001","content":"ＴＤ","send_time":"2026-11-22 09:31:00","dest_code":"1069","sequence_id":1234}]`, &sms.Callback{
			Replies: []sms.Reply{{Gateway: "aliyun", ID: "1234", From: number, To: "1069", Text: "ＴＤ", OptOut: true, At: at}},
			Answer:  []byte(`{"code":0,"msg":"接收成功"}`), ContentType: "application/json",
		}},
		"tencent receipts": {"tencent", `[{"user_receive_time":"2026-11-22 09:31:00","nationcode":"86","mobile":"13800138001","report_status":"SUCCESS","errmsg":"DELIVRD","description":"ok","sid":"S1","ext":"` + wire + `"},
			{"user_receive_time":"2026-11-22 09:31:00","nationcode":"86","mobile":"13800138001","report_status":"FAIL","errmsg":"MK:0023","sid":"S2","ext":""}]`, &sms.Callback{
			Receipts: []care.Receipt{
				{ID: id, Channel: care.SMS, Gateway: "tencent", ProviderID: "S1", State: care.StateDelivered, Code: "DELIVRD", At: at, To: number},
				{Channel: care.SMS, Gateway: "tencent", ProviderID: "S2", State: care.StateUndelivered, Kind: care.KindRetry, Code: "MK:0023", At: at, To: number},
			}, Answer: []byte(`{"result":0,"errmsg":"OK"}`), ContentType: "application/json",
		}},
		"tencent reply": {"tencent", `{"extend":"01","mobile":"13800138001","nationcode":"86","sign":"浦东别克","text":"回访请打我","time":1795311060}`, &sms.Callback{
			Replies: []sms.Reply{{Gateway: "tencent", From: number, To: "01", Text: "回访请打我", At: at}},
			Answer:  []byte(`{"result":0,"errmsg":"OK"}`), ContentType: "application/json",
		}},
		"vonage receipt": {"vonage", `{"msisdn":"8613800138001","to":"Carebell","messageId":"V1","status":"failed","err-code":"9","scts":"2611220931","client-ref":"` + wire + `"}`, &sms.Callback{
			Receipts:    []care.Receipt{{ID: id, Channel: care.SMS, Gateway: "vonage", ProviderID: "V1", State: care.StateUndelivered, Kind: care.KindOptedOut, Code: "9", At: testClock(), To: number}},
			ContentType: "text/plain; charset=utf-8",
		}},
		"vonage delivered": {"vonage", `{"msisdn":"8613800138001","messageId":"V1","status":"delivered","err-code":"0","client-ref":"` + wire + `"}`, &sms.Callback{
			Receipts:    []care.Receipt{{ID: id, Channel: care.SMS, Gateway: "vonage", ProviderID: "V1", State: care.StateDelivered, At: testClock(), To: number}},
			ContentType: "text/plain; charset=utf-8",
		}},
		"vonage reply from America": {"vonage", `{"msisdn":"13105550100","to":"1069","messageId":"V8","text":"stop"}`, &sms.Callback{
			Replies:     []sms.Reply{{Gateway: "vonage", ID: "V8", From: "+13105550100", To: "1069", Text: "stop", OptOut: true, At: testClock()}},
			ContentType: "text/plain; charset=utf-8",
		}},
		"vonage reply": {"vonage", `{"msisdn":"8613800138001","to":"1069","messageId":"V7","text":"start","keyword":"START"}`, &sms.Callback{
			Replies:     []sms.Reply{{Gateway: "vonage", ID: "V7", From: number, To: "1069", Text: "start", OptIn: true, At: testClock()}},
			ContentType: "text/plain; charset=utf-8",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := fake(t, accounts[tt.gateway], answers(200, ""))
			token := sms.CallbackToken([]byte("secret"), tt.gateway)
			post := func(token, body string) (*sms.Callback, error) {
				r := httptest.NewRequest(http.MethodPost, "/hooks/sms/"+tt.gateway+"?token="+token, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				return s.Callback(tt.gateway, r)
			}
			got, err := post(token, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("callback (-want +got):\n%s", diff)
			}
			for _, bad := range []string{"", "x", strings.ToUpper(token)} {
				if _, err := post(bad, tt.body); !errors.Is(err, sms.ErrForged) {
					t.Errorf("token %q: %v", bad, err)
				}
			}
			for _, bad := range []string{"", "{", "[]", "{}", `"x"`, "[{}]", "null"} {
				if _, err := post(token, bad); !errors.Is(err, sms.ErrUnreadable) {
					t.Errorf("body %q: %v", bad, err)
				}
			}
			if _, err := post(token, strings.Repeat(" ", 300<<10)+tt.body); !errors.Is(err, sms.ErrUnreadable) {
				t.Errorf("large: %v", err)
			}
		})
	}
}

func TestGenericCallbacks(t *testing.T) {
	t.Parallel()
	s, _ := generic(t, acme, answers(200, ""))
	token := sms.CallbackToken([]byte("secret"), "acme")
	post := func(body any) (*sms.Callback, error) {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return s.Callback("acme", httptest.NewRequest(http.MethodPost, "/hooks/sms/acme?token="+token, strings.NewReader(string(b))))
	}
	type obj = map[string]any
	got, err := post(obj{"reports": []obj{
		{"ref": "abcdefghijklmnopqrstuvwxyz-sms", "id": "M1", "status": "DELIVRD"},
		{"ref": "zzz", "id": "M2", "status": "UNDELIV", "err": 21},
		{"id": "M3", "status": "ACCEPTD"},
		{"id": "M4", "status": "SOMETHING"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := &sms.Callback{Receipts: []care.Receipt{
		{ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.SMS, Gateway: "acme", ProviderID: "M1", State: care.StateDelivered, At: testClock()},
		{Channel: care.SMS, Gateway: "acme", ProviderID: "M2", State: care.StateUndelivered, Kind: care.KindRecipient, Code: "21", At: testClock()},
		{Channel: care.SMS, Gateway: "acme", ProviderID: "M3", State: care.StateSent, At: testClock()},
	}, Answer: []byte(`{"code":0}`), ContentType: "text/plain; charset=utf-8"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	got, err = post(obj{"messages": []obj{{"mobile": "8613800138001", "dest": "1069", "content": "回T退订", "id": 5}, {"mobile": "8613800138001", "content": "R"}}})
	if err != nil {
		t.Fatal(err)
	}
	wantReplies := []sms.Reply{
		{Gateway: "acme", ID: "5", From: number[1:], To: "1069", Text: "回T退订", OptOut: true, At: testClock()},
		{Gateway: "acme", From: number[1:], Text: "R", OptOut: true, At: testClock()},
	}
	if diff := cmp.Diff(wantReplies, got.Replies); diff != "" || string(got.Answer) != "OK" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
}
