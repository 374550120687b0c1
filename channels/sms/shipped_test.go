package sms_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config/yaml"
)

const wire = "abcdefghijklmnopqrstuvwxyz-sms"

// exchange is what a provider's document shows of it.
type exchange struct {
	source  string // of the answers and reports, which are its own but for ids and numbers
	path    string
	headers map[string]string
	body    string // of the request, with CALLBACK for our URL
	yes     string // an answer
	id      string // in it
	parts   int
	no      map[string]refused      // other answers
	reports map[string]care.Receipt // as they are posted; GET ones begin with ?
	balance string
	text    string
}

type refused struct {
	status int
	kind   care.Kind
	code   string
}

var exchanges = map[string]exchange{
	"jasmin": {
		source:  "github.com/jookies/jasmin, misc/doc/sources/apis/http/index.rst and jasmin/protocols/http/endpoints/send.py",
		path:    "/send",
		headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		text:    "Hello [you]",
		body:    "username=care&password=pa55-canary-word&to=8613800138001&from=1069&coding=0&hex-content=48656c6c6f201b3c796f751b3e&dlr=yes&dlr-level=3&dlr-method=POST&dlr-url=CALLBACK",
		yes:     `Success "07033084-5cfd-4812-90a4-e4d24ffb6e3d"`, id: "07033084-5cfd-4812-90a4-e4d24ffb6e3d",
		no: map[string]refused{
			`Error "Authentication failure for username:foo"`:                               {403, care.KindOperator, "http 403"},
			`Error "Cannot charge submit_sm, check RouterPB log file for details"`:          {403, care.KindOperator, "http 403"},
			`Error "User throughput exceeded"`:                                              {403, care.KindRetry, "User throughput exceeded"},
			`Error "No route found"`:                                                        {412, care.KindContent, "http 412"},
			`Error "Argument to has an invalid value: abc."`:                                {400, care.KindContent, "http 400"},
			`Error "Cannot send submit_sm, check SMPPClientManagerPB log file for details"`: {500, care.KindRetry, "http 500"},
			`nothing known`: {200, care.KindUncertain, "http 200"},
		},
		reports: map[string]care.Receipt{
			"id=16fd2706&message_status=ESME_ROK&level=1&connector=demo_cid":                                      {State: care.StateSent, ProviderID: "16fd2706"},
			"id=16fd2706&id_smsc=2567&message_status=DELIVRD&level=2&donedate=1311022338&sub=001&dlvrd=001&err=0": {State: care.StateDelivered, ProviderID: "16fd2706"},
			"id=16fd2706&id_smsc=2567&message_status=UNDELIV&level=2&err=12":                                      {State: care.StateUndelivered, ProviderID: "16fd2706", Kind: care.KindRetry, Code: "UNDELIV"},
			"id=16fd2706&message_status=ESME_RINVDSTADR&level=1":                                                  {State: care.StateUndelivered, ProviderID: "16fd2706", Kind: care.KindRecipient, Code: "ESME_RINVDSTADR"},
		},
		balance: `{"balance": 100.0, "sms_count": "ND"}`,
	},
	"smseagle": {
		source: "smseagle.eu/apiv1; github.com/caronc/apprise, test/test_plugin_smseagle.py",
		path:   "/jsonrpc/sms",
		body:   `{"method": "sms.send_sms", "params": {"access_token": "pa55-canary-word", "to": "+8613800138001", "message": "【浦东别克】您好", "unicode": "1", "responsetype": "extended"}}`,
		text:   "您好",
		yes:    `{"result": {"message_id": "748", "status": "ok"}}`, id: "748",
		no: map[string]refused{
			`{"result": "Invalid login or password"}`:                           {200, care.KindOperator, "Invalid login or password"},
			`{"result": "Invalid access token"}`:                                {200, care.KindOperator, "Invalid access token"},
			`{"result": {"error_text": "Wrong parameters", "status": "error"}}`: {200, care.KindContent, "Wrong parameters"},
		},
	},
	"gammu": {
		source:  "github.com/pajikos/sms-gammu-gateway, README.md and run.py",
		path:    "/sms",
		headers: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("care:"+password))},
		text:    "您好",
		body:    `{"number": "+8613800138001", "text": "【浦东别克】您好"}`,
		yes:     `{"status": 200, "message": "[255]"}`,
		no: map[string]refused{
			`Unauthorized Access`:                  {401, care.KindOperator, "http 401"},
			`{"message": "Internal Server Error"}`: {500, care.KindRetry, "http 500"},
		},
	},
	"messagebird": {
		source:  "github.com/messagebird/go-rest-api, sms/testdata; developers.messagebird.com/api/sms-messaging",
		path:    "/messages",
		headers: map[string]string{"Authorization": "AccessKey " + password},
		text:    "您好",
		body:    `{"originator": "1069", "recipients": ["8613800138001"], "body": "【浦东别克】您好", "datacoding": "auto", "reference": "` + wire + `", "reportUrl": "CALLBACK"}`,
		yes: `{"body":"Hello World","datacoding":"unicode","direction":"mt","gateway":10,"href":"https://rest.messagebird.com/messages/6fe65f90454aa61536e6a88b88972670",
			"id":"6fe65f90454aa61536e6a88b88972670","mclass":1,"originator":"TestName","recipients":{"items":[{"recipient":31612345678,"status":"sent",
			"statusDatetime":"2022-01-05T10:02:59+00:00","messagePartCount":2}],"totalCount":1},"reference":"TestReference","type":"sms","validity":13}`,
		id: "6fe65f90454aa61536e6a88b88972670", parts: 2,
		no: map[string]refused{
			`{"errors":[{"code":2,"description":"Request not allowed (incorrect access_key)","parameter":"access_key"}]}`: {401, care.KindOperator, "2"},
			`{"errors":[{"code":25,"description":"Not enough balance","parameter":null}]}`:                                {402, care.KindOperator, "25"},
			`{"errors":[{"code":9,"description":"no (correct) recipients found","parameter":"recipients"}]}`:              {422, care.KindContent, "9"},
			`{"errors":[{"code":98,"description":"API is temporarily overloaded","parameter":null}]}`:                     {503, care.KindRetry, "98"},
			`<html>`: {201, care.KindUncertain, "http 201"},
		},
		reports: map[string]care.Receipt{
			"?id=e8077d80&reference=" + wire + "&recipient=31612345678&status=delivered&statusDatetime=2016-05-03T14%3A26%3A57%2B00%3A00":        {State: care.StateDelivered, ProviderID: "e8077d80"},
			"?id=e8077d80&reference=" + wire + "&recipient=31612345678&status=delivery_failed&statusErrorCode=1&statusReason=unknown+subscriber": {State: care.StateUndelivered, ProviderID: "e8077d80", Kind: care.KindRecipient, Code: "1"},
			"?id=e8077d80&reference=" + wire + "&recipient=31612345678&status=buffered":                                                          {State: care.StateSent, ProviderID: "e8077d80"},
		},
		balance: `{"payment":"prepaid","type":"credits","amount":100}`,
	},
	"infobip": {
		source:  "infobip.com/docs/developer-resources/quickstart; github.com/infobip/infobip-api-php-client, tests; infobip-error-codes of the essentials",
		path:    "/sms/3/messages",
		headers: map[string]string{"Authorization": "App " + password},
		text:    "您好",
		body:    `{"messages": [{"sender": "1069", "destinations": [{"to": "8613800138001", "messageId": "` + wire + `"}], "content": {"text": "【浦东别克】您好"}, "webhooks": {"delivery": {"url": "CALLBACK"}}}]}`,
		yes: `{"bulkId":"1688025180464000013","messages":[{"messageId":"` + wire + `","status":{"groupId":1,"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED",
			"description":"Message sent to next instance"},"destination":"41793026727","details":{"messageCount":1}}]}`,
		id: wire,
		no: map[string]refused{
			`{"requestError":{"serviceException":{"messageId":"UNAUTHORIZED","text":"Invalid login details"}}}`:                                              {401, care.KindOperator, "http 401"},
			`{"messages":[{"status":{"groupId":5,"groupName":"REJECTED","id":12,"name":"REJECTED_NOT_ENOUGH_CREDITS","description":"Not enough credits"}}]}`: {200, care.KindOperator, "REJECTED_NOT_ENOUGH_CREDITS"},
			`{"messages":[{"status":{"groupId":5,"groupName":"REJECTED","id":14,"name":"REJECTED_DESTINATION","description":"By Destination"}}]}`:            {200, care.KindRecipient, "REJECTED_DESTINATION"},
			`{"messages":[{"status":{"groupId":5,"groupName":"REJECTED","id":8,"name":"REJECTED_DND","description":"Destination is on DND list"}}]}`:         {200, care.KindOptedOut, "REJECTED_DND"},
			`{"messages":[{"status":{"name":"REJECTED_OF_TOMORROW"}}]}`:                                                                                      {200, care.KindRetry, "REJECTED_OF_TOMORROW"},
			`{}`: {200, care.KindUncertain, "http 200"},
		},
		reports: map[string]care.Receipt{
			`{"results":[{"bulkId":"1688025180464000013","price":{"pricePerMessage":0.15,"currency":"EUR"},"status":{"groupId":3,"groupName":"DELIVERED","id":5,
				"name":"DELIVERED_TO_HANDSET","description":"Message delivered to handset"},"error":{"groupId":0,"groupName":"OK","id":0,"name":"NO_ERROR","permanent":false},
				"messageId":"` + wire + `","to":"41793026727","sentAt":"2023-09-26T10:52:15.457+00:00","doneAt":"2023-09-26T10:52:15.799+00:00","messageCount":1}]}`: {State: care.StateDelivered, Parts: 1, Code: "NO_ERROR"},
			`{"results":[{"status":{"groupId":2,"groupName":"UNDELIVERABLE","id":9,"name":"UNDELIVERABLE_NOT_DELIVERED"},"error":{"groupId":1,"groupName":"HANDSET_ERRORS","id":1,
				"name":"EC_UNKNOWN_SUBSCRIBER","permanent":true},"messageId":"` + wire + `"}]}`: {State: care.StateUndelivered, Kind: care.KindRecipient, Code: "EC_UNKNOWN_SUBSCRIBER"},
			`{"results":[{"status":{"groupId":4,"groupName":"EXPIRED","id":15,"name":"EXPIRED_EXPIRED"},"error":{"name":"EC_ABSENT_SUBSCRIBER","permanent":false},
				"messageId":"` + wire + `"}]}`: {State: care.StateUndelivered, Kind: care.KindRetry, Code: "EC_ABSENT_SUBSCRIBER"},
		},
		balance: `{"balance":100,"currency":"EUR"}`,
	},
	"plivo": {
		source:  "github.com/plivo/plivo-go, fixtures; plivo.com/docs/messaging/api/messages",
		path:    "/v1/Account/care/Message/",
		headers: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("care:"+password))},
		text:    "您好",
		body:    `{"src": "1069", "dst": "8613800138001", "text": "【浦东别克】您好", "url": "CALLBACK", "method": "POST"}`,
		yes:     `{"api_id":"948b53a2-3f08-11e7-b6f4-061564b78b75","message":"message(s) queued","message_uuid":["5b40a428-bfc7-4daf-9d06-726c558bf3b8"]}`,
		id:      "5b40a428-bfc7-4daf-9d06-726c558bf3b8",
		no: map[string]refused{
			`{"api_id":"948b53a2","error":"dst parameter is not valid"}`: {400, care.KindContent, "http 400"},
			`Could not verify your access level for that URL.`:           {401, care.KindOperator, "http 401"},
			`{"api_id":"948b53a2","error":"too many requests"}`:          {429, care.KindRetry, "http 429"},
		},
		reports: map[string]care.Receipt{
			"From=14151234567&To=14157654321&Status=delivered&MessageUUID=5b40a428&Units=1&ErrorCode=000": {State: care.StateDelivered, ProviderID: "5b40a428", Parts: 1, Code: "000"},
			"From=14151234567&To=14157654321&Status=queued&MessageUUID=5b40a428":                          {State: care.StateSent, ProviderID: "5b40a428"},
			"From=14151234567&To=14157654321&Status=undelivered&MessageUUID=5b40a428&ErrorCode=70":        {State: care.StateUndelivered, ProviderID: "5b40a428", Kind: care.KindRecipient, Code: "70"},
			"From=14151234567&To=14157654321&Status=failed&MessageUUID=5b40a428&ErrorCode=200":            {State: care.StateUndelivered, ProviderID: "5b40a428", Kind: care.KindOptedOut, Code: "200"},
		},
		balance: `{"account_type":"standard","cash_credits":"100.00","resource_uri":"/v1/Account/MA/"}`,
	},
	"huawei": {
		source:  "support.huaweicloud.com/api-msgsms/sms_05_0001.html, sms_05_0003.html and sms_05_0050.html",
		path:    "/sms/batchSendSms/v1",
		headers: map[string]string{"Authorization": `WSSE realm="SDP",profile="UsernameToken",type="Appkey"`},
		body:    "from=1069&to=%2B8613800138001&templateId=SMS_1&templateParas=%5B%22%E7%8E%8B%22%2C%22%E5%90%9B%E8%B6%8A%22%5D&statusCallback=CALLBACK&extend=" + wire,
		yes: `{"result":[{"total":1,"originTo":"+86155****5678","createTime":"2018-05-25T16:34:34Z","from":"1069********0012",
			"smsMsgId":"d6e3cdd0-522b-4692-8304-a07553cdf591_8539659","status":"000000"}],"code":"000000","description":"Success"}`,
		id: "d6e3cdd0-522b-4692-8304-a07553cdf591_8539659", parts: 1,
		no: map[string]refused{
			`{"code":"E000101","description":"Authentication failed."}`:                                                                          {401, care.KindOperator, "E000101"},
			`{"code":"E000112","description":"The subscriber status is frozen."}`:                                                                {403, care.KindOperator, "E000112"},
			`{"code":"E000620","description":"The app client ip is not in ip white list."}`:                                                      {403, care.KindOperator, "E000620"},
			`{"code":"E000503","description":"Parameter format error."}`:                                                                         {400, care.KindContent, "E000503"},
			`{"result":[{"originTo":"+86155****5678","status":"E200030","total":1}],"code":"E000510","description":"The SMS fails to be sent."}`: {200, care.KindContent, "E200030"},
			`{"code":"E000000","description":"System error."}`:                                                                                   {400, care.KindRetry, "E000000"},
		},
		reports: map[string]care.Receipt{
			"sequence=1&total=1&updateTime=2018-10-31T08%3A43%3A41Z&source=2&smsMsgId=2ea20735-f856-4376-afbf-570bd70a46ee_11840135&status=DELIVRD&extend=" + wire: {State: care.StateDelivered, ProviderID: "2ea20735-f856-4376-afbf-570bd70a46ee_11840135", Parts: 1},
			"sequence=1&total=1&updateTime=2018-10-31T08%3A43%3A41Z&source=2&smsMsgId=2ea20735-f856-4376-afbf-570bd70a46ee_11840135&status=E200027&extend=" + wire: {State: care.StateUndelivered, ProviderID: "2ea20735-f856-4376-afbf-570bd70a46ee_11840135", Parts: 1, Kind: care.KindContent, Code: "E200027"},
			"sequence=1&total=1&source=2&smsMsgId=2ea20735&status=MK%3A0001&extend=" + wire:                                                                        {State: care.StateUndelivered, ProviderID: "2ea20735", Parts: 1, Kind: care.KindRecipient, Code: "MK:0001"},
		},
	},
	"volcengine": {
		source:  "github.com/volcengine/volc-sdk-golang, service/sms and base/sign.go; volcengine.com/docs/6361/171584",
		path:    "/",
		headers: map[string]string{"Content-Type": "application/json; charset=utf-8", "X-Date": "20261122T013000Z"},
		body:    `{"SmsAccount": "1069", "Sign": "浦东别克", "TemplateID": "SMS_1", "TemplateParam": "{\"car\":\"君越\",\"name\":\"王\"}", "PhoneNumbers": "13800138001", "Tag": "` + wire + `"}`,
		yes:     `{"ResponseMetadata":{"RequestId":"202011","Action":"SendSms","Version":"2020-01-01","Service":"volcSMS","Region":"cn-north-1"},"Result":{"MessageID":["bde1b10d-19cf-460f-abcd-26231a82"]}}`,
		id:      "bde1b10d-19cf-460f-abcd-26231a82",
		no: map[string]refused{
			`{"ResponseMetadata":{"RequestId":"2020","Action":"SendSms","Error":{"CodeN":100010,"Code":"SignatureDoesNotMatch","Message":"The request signature we calculated does not match"}}}`: {401, care.KindOperator, "SignatureDoesNotMatch"},
			`{"ResponseMetadata":{"RequestId":"2020","Action":"SendSms","Error":{"Code":"RE:0001","Message":"account error"}}}`:                                                                   {200, care.KindRetry, "RE:0001"},
			`no JSON`: {200, care.KindUncertain, "http 200"},
		},
		reports: map[string]care.Receipt{
			`[{"account":"200","sub_account":"1504","signature":"短信服务","mobile":"188","channel_type":"CN_OTP","send_time":1669171012444,"template_id":"SPT_0fa7","ext":"` + wire + `",
				"message_id":"bde1b10d","recv_time":1669171013000,"status_code":"0","description":"成功","msg_count":1}]`: {State: care.StateDelivered, ProviderID: "bde1b10d", Parts: 1},
			`[{"ext":"` + wire + `","message_id":"bde1b10d","status_code":"MK:0001","description":"空号","msg_count":2}]`: {State: care.StateUndelivered, ProviderID: "bde1b10d", Parts: 2, Kind: care.KindRecipient, Code: "MK:0001"},
		},
	},
}

// shippedSender is a sender through a shipped file to a server that answers everything alike.
func shippedSender(t *testing.T, name, public string, answer func(w http.ResponseWriter, r *http.Request)) (*sms.Sender, *recorder) {
	t.Helper()
	srv, rec := recording(t, answer)
	return newSender(t, sms.Config{
		Gateways:  []sms.Gateway{{Name: name, User: "care", From: "1069", URL: srv.URL}},
		PublicURL: public, Secrets: [][]byte{[]byte("secret")},
	}), rec
}

func shippedMessage(x exchange) *care.Message {
	m := testMessage()
	if m.Text = []byte(x.text); x.text == "Hello [you]" {
		m.Country, m.Signature = "US", ""
	}
	m.Gateways = map[string]care.GatewayTemplate{
		"huawei":     {Template: "SMS_1", Params: map[string]string{"name": "王", "car": "君越"}, Order: []string{"name", "car"}},
		"volcengine": {Template: "SMS_1", Params: map[string]string{"name": "王", "car": "君越"}, Order: []string{"name", "car"}},
	}
	return m
}

func TestEveryShippedFileIsWellAndTried(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("gateways")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/gateways.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".yaml")
		if _, err := sms.ReadGateway(nil, yaml.Decode, name); err != nil {
			t.Error(err)
		}
		if exchanges[name].source == "" {
			t.Errorf("%s: no exchange of its document is tried", name)
		}
		if !strings.Contains(string(docs), "| `"+name+"` |") {
			t.Errorf("%s: docs/gateways.md does not name it", name)
		}
	}
}

func TestShippedRequests(t *testing.T) {
	t.Parallel()
	for name, x := range exchanges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rec := shippedSender(t, name, "https://care.example", answers(200, x.yes))
			got, err := s.Send(t.Context(), shippedMessage(x))
			if err != nil {
				t.Fatal(err)
			}
			if got.ProviderID != x.id || got.Parts != x.parts {
				t.Errorf("id %q and %d parts, want %q and %d", got.ProviderID, got.Parts, x.id, x.parts)
			}
			r := rec.all[0]
			if r.Method != http.MethodPost || r.URL.Path != x.path {
				t.Errorf("%s %s, want %s", r.Method, r.URL, x.path)
			}
			for header, want := range x.headers {
				if r.Header.Get(header) != want {
					t.Errorf("%s: %s, want %s", header, r.Header.Get(header), want)
				}
			}
			callback := "https://care.example/hooks/sms/" + name + "?carebell=" + wire + "&token=" + sms.CallbackToken([]byte("secret"), name)
			if strings.Contains(r.Header.Get("Content-Type"), "form") {
				callback = url.QueryEscape(callback)
			}
			if strings.HasPrefix(x.body, "{") {
				callback = strings.ReplaceAll(callback, "&", `\u0026`)
			}
			if diff := cmp.Diff(strings.Replace(x.body, "CALLBACK", callback, 1), rec.body[0]); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// Where customers' pages and callbacks are not reachable, no gateway is told an address that is none.
func TestShippedRequestsWithoutACallback(t *testing.T) {
	t.Parallel()
	for name, x := range exchanges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rec := shippedSender(t, name, "", answers(200, x.yes))
			if _, err := s.Send(t.Context(), shippedMessage(x)); err != nil {
				t.Fatal(err)
			}
			for _, field := range []string{"callback", "Callback", "dlr-url", "reportUrl", "webhooks", `"url"`, "hooks/sms"} {
				if strings.Contains(rec.body[0], field) {
					t.Errorf("%s is in %s", field, rec.body[0])
				}
			}
		})
	}
}

func TestShippedRefusals(t *testing.T) {
	t.Parallel()
	for name, x := range exchanges {
		for body, want := range x.no {
			s, _ := shippedSender(t, name, "", answers(want.status, body))
			_, err := s.Send(t.Context(), shippedMessage(x))
			var e *care.Error
			if !errors.As(err, &e) || e.Kind != want.kind || e.Code != want.code {
				t.Errorf("%s: %s: %v, want %s %s", name, body, err, want.kind, want.code)
			}
		}
	}
}

func TestShippedReports(t *testing.T) {
	t.Parallel()
	for name, x := range exchanges {
		s, _ := shippedSender(t, name, "https://care.example", answers(200, x.yes))
		for report, want := range x.reports {
			target := "/hooks/sms/" + name + "?carebell=" + wire + "&token=" + sms.CallbackToken([]byte("secret"), name)
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(report))
			if query, get := strings.CutPrefix(report, "?"); get {
				r = httptest.NewRequest(http.MethodGet, target+"&"+query, http.NoBody)
			} else if !strings.ContainsAny(report[:1], "[{") {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			want.ID, want.Channel, want.Gateway, want.At = strings.TrimSuffix(wire, "-sms"), care.SMS, name, testClock()
			got, err := s.ParseReceipts(name, r)
			if err != nil {
				t.Errorf("%s: %s: %v", name, report, err)
				continue
			}
			if want.ProviderID == "" {
				got[0].ProviderID = ""
			}
			if diff := cmp.Diff([]care.Receipt{want}, got); diff != "" {
				t.Errorf("%s: %s\n-want +got:\n%s", name, report, diff)
			}
		}
	}
}

func TestShippedBalances(t *testing.T) {
	t.Parallel()
	for name, x := range exchanges {
		s, _ := shippedSender(t, name, "", answers(200, x.balance))
		all := s.Balances(t.Context())
		if x.balance == "" != (len(all) == 0) || len(all) == 1 && (all[0].Err != nil || all[0].Value != 100) {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

// Infobip finds messages by our id, Plivo and MessageBird by theirs.
func TestShippedQuestions(t *testing.T) {
	t.Parallel()
	log := `{"results":[{"messageId":"` + wire + `","status":{"groupId":3,"groupName":"DELIVERED","id":5,"name":"DELIVERED_TO_HANDSET"},"to":"41793026727","messageCount":1}]}`
	message := `{"api_id":"95747262","error_code":null,"from_number":"911231231230","message_direction":"outbound","message_state":"delivered","message_uuid":"5b40a428","units":1}`
	bird := `{"id":"6fe65f90","recipients":{"items":[{"recipient":31612345678,"status":"delivered","statusDatetime":"2022-01-05T10:02:59+00:00"}]}}`
	for name, tt := range map[string]struct{ id, answer, uri string }{
		"infobip":     {"", log, "/sms/3/logs?messageId=" + wire},
		"plivo":       {"5b40a428", message, "/v1/Account/care/Message/5b40a428/"},
		"messagebird": {"6fe65f90", bird, "/messages/6fe65f90"},
	} {
		s, rec := shippedSender(t, name, "", answers(200, tt.answer))
		got, err := s.Ask(t.Context(), sms.Question{ID: strings.TrimSuffix(wire, "-sms"), Gateway: name, To: "+8613800138001", ProviderID: tt.id})
		if err != nil || got.State != care.StateDelivered || rec.all[0].URL.RequestURI() != tt.uri {
			t.Errorf("%s: %+v %v %v", name, got, err, rec.all)
		}
	}
}

// Huawei's PasswordDigest is Base64(hex(SHA-256(Nonce + Created + Password))): the document's example decodes to 64 hexadecimal digits.
func TestHuaweiSigns(t *testing.T) {
	t.Parallel()
	x := exchanges["huawei"]
	s, rec := shippedSender(t, "huawei", "", answers(200, x.yes))
	for range 2 {
		if _, err := s.Send(t.Context(), shippedMessage(x)); err != nil {
			t.Fatal(err)
		}
	}
	var nonces []string
	for _, r := range rec.all {
		field := func(name string) string {
			_, rest, _ := strings.Cut(r.Header.Get("X-WSSE"), name+`="`)
			value, _, _ := strings.Cut(rest, `"`)
			return value
		}
		sum := sha256.Sum256([]byte(field("Nonce") + "2026-11-22T01:30:00Z" + password))
		want := base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
		if field("Username") != "care" || field("Created") != "2026-11-22T01:30:00Z" || field("PasswordDigest") != want {
			t.Errorf("X-WSSE: %s", r.Header.Get("X-WSSE"))
		}
		nonces = append(nonces, field("Nonce"))
	}
	if nonces[0] == nonces[1] || len(nonces[0]) < 20 {
		t.Errorf("nonces %v", nonces)
	}
}

// TestVolcengineSigns signs what was sent as the provider's SDK does.
func TestVolcengineSigns(t *testing.T) {
	t.Parallel()
	x := exchanges["volcengine"]
	s, rec := shippedSender(t, "volcengine", "", answers(200, x.yes))
	if _, err := s.Send(t.Context(), shippedMessage(x)); err != nil {
		t.Fatal(err)
	}
	r := rec.all[0]
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	mac := func(key []byte, s string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(s))
		return m.Sum(nil)
	}
	canonical := strings.Join([]string{
		r.Method, r.URL.Path, r.URL.Query().Encode(), "content-type:" + r.Header.Get("Content-Type"), "host:" + r.Host,
		"x-content-sha256:" + hash(rec.body[0]), "x-date:" + r.Header.Get("X-Date"), "", "content-type;host;x-content-sha256;x-date", hash(rec.body[0]),
	}, "\n")
	key := mac(mac(mac(mac([]byte(password), "20261122"), "cn-north-1"), "volcSMS"), "request")
	signature := hex.EncodeToString(mac(key, "HMAC-SHA256\n20261122T013000Z\n20261122/cn-north-1/volcSMS/request\n"+hash(canonical)))
	want := "HMAC-SHA256 Credential=care/20261122/cn-north-1/volcSMS/request, SignedHeaders=content-type;host;x-content-sha256;x-date, Signature=" + signature
	if got := r.Header.Get("Authorization"); got != want || r.Header.Get("X-Content-Sha256") != hash(rec.body[0]) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
