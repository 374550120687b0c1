package sms

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/httpclient"
)

// aliyun speaks Dysmsapi SendSms of 2017-05-25 (help.aliyun.com, documents 55284, 101346, 2593177). It is not idempotent: after a
// time-out only the receipt, matched by OutId, tells whether the message went.
type aliyun struct{ provider }

// aliyunCodes are from help.aliyun.com, document 101346.
var aliyunCodes = codes{
	"isv.BUSINESS_LIMIT_CONTROL": care.KindRetry, "isv.DAY_LIMIT_CONTROL": care.KindRetry, "isv.MONTH_LIMIT_CONTROL": care.KindRetry,
	"isp.SYSTEM_ERROR": care.KindRetry, "isp.GATEWAY_ERROR": care.KindRetry, "Throttling*": care.KindRetry,

	"isv.MOBILE_NUMBER_ILLEGAL": care.KindRecipient, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": care.KindRecipient,

	"isv.SMS_TEMPLATE_ILLEGAL": care.KindContent, "isv.SMS_SIGNATURE_ILLEGAL": care.KindContent,
	"isv.SMS_SIGNATURE_SCENE_ILLEGAL": care.KindContent, "isv.SIGN_STATE_ILLEGAL": care.KindContent,
	"isv.SMS_CONTENT_ILLEGAL": care.KindContent, "isv.SMS_SIGN_ILLEGAL": care.KindContent,
	"isv.TEMPLATE_MISSING_PARAMETERS": care.KindContent, "isv.INVALID_PARAMETERS": care.KindContent,
	"isv.INVALID_JSON_PARAM": care.KindContent, "isv.BLACK_KEY_CONTROL_LIMIT": care.KindContent,
	"isv.PARAM_LENGTH_LIMIT": care.KindContent, "isv.PARAM_NOT_SUPPORT_URL": care.KindContent,

	"isp.RAM_PERMISSION_DENY": care.KindOperator, "isv.OUT_OF_SERVICE": care.KindOperator, "isv.AMOUNT_NOT_ENOUGH": care.KindOperator,
	"isv.PRODUCT_UN_SUBSCRIPT": care.KindOperator, "isv.ACCOUNT_NOT_EXISTS": care.KindOperator,
	"isv.ACCOUNT_ABNORMAL": care.KindOperator, "isv.DENY_IP_RANGE": care.KindOperator,
	"InvalidAccessKeyId*": care.KindOperator, "SignatureDoesNotMatch": care.KindOperator, "InvalidTimeStamp*": care.KindOperator,
	"Forbidden*": care.KindOperator, "IncompleteSignature": care.KindOperator,
}

// aliyunWait is how long a limit lasts (delivery clamps it): 5 an hour and 10 a day for one number; the day rolls.
var aliyunWait = map[string]time.Duration{
	"isv.BUSINESS_LIMIT_CONTROL": time.Hour, "isv.DAY_LIMIT_CONTROL": 24 * time.Hour, "isv.MONTH_LIMIT_CONTROL": 24 * time.Hour,
}

func newAliyun(p provider) (gateway, error) {
	if p.User == "" || p.Password == "" {
		return nil, errors.New("set CARE_SMS_USER to the AccessKeyId and CARE_SMS_PASSWORD to its secret")
	}
	if p.URL == "" {
		p.URL = "https://dysmsapi.aliyuncs.com/"
	}
	return &aliyun{p}, nil
}

func (y *aliyun) plain() bool { return false }

func (y *aliyun) send(ctx context.Context, m *care.Message, _ string) (outcome, error) {
	signature := strings.Trim(cmp.Or(y.From, channels.OneLine(m.Signature)), "【】[] ")
	if signature == "" {
		return outcome{}, content("no_signature", "the dealer has no sms_signature, which this gateway demands")
	}
	to, err := y.number(m.To, m.Country)
	if err != nil {
		return outcome{}, err
	}
	t := y.template(m)
	query := url.Values{
		"PhoneNumbers": {to}, "SignName": {signature}, "TemplateCode": {t.Template},
		"OutId": {m.WireID()},
	}
	if len(t.Params) > 0 {
		params, err := json.Marshal(cleaned(t.Params))
		if err != nil {
			return outcome{}, content("bad_params", "the template's parameters cannot be written")
		}
		query.Set("TemplateParam", string(params))
	}
	target := strings.TrimRight(y.URL, "/") + "/?" + acs3Query(query)
	a, err := y.client.Do(ctx, &httpclient.Request{
		Method: http.MethodPost, URL: target, Header: http.Header{"Accept": {"application/json"}},
		Prepare: func(r *http.Request) error { return y.sign(r, "SendSms") },
	})
	if err != nil {
		return outcome{}, err
	}
	return y.read(a)
}

// cleaned makes parameters fit for one line of a text message.
func cleaned(params map[string]string) map[string]string {
	out := make(map[string]string, len(params))
	for k, v := range params {
		out[k] = channels.OneLine(v)
	}
	return out
}

func (y *aliyun) sign(r *http.Request, action string) error {
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	host := r.URL.Host
	if r.Host != "" {
		host = r.Host
	}
	signed := map[string]string{
		"host": host, "x-acs-action": action, "x-acs-version": "2017-05-25", "x-acs-date": y.clock().UTC().Format("2006-01-02T15:04:05Z"),
		"x-acs-signature-nonce": hex.EncodeToString(nonce[:]), "x-acs-content-sha256": sha256Hex(nil),
	}
	for name, value := range signed {
		if name != "host" {
			r.Header.Set(name, value)
		}
	}
	r.Header.Set("Authorization", acs3(y.User, y.Password, r.Method, "/", r.URL.RawQuery, signed, sha256Hex(nil)))
	return nil
}

// acs3 returns the Authorization header of Aliyun's signature version 3 (help.aliyun.com, document 2593177). query is canonical
// already; headers has lower-case names.
func acs3(id, secret, method, uri, query string, headers map[string]string, bodyHash string) string {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var canonical strings.Builder
	canonical.WriteString(method + "\n" + uri + "\n" + query + "\n")
	for _, name := range names {
		canonical.WriteString(name + ":" + strings.TrimSpace(headers[name]) + "\n")
	}
	signedHeaders := strings.Join(names, ";")
	canonical.WriteString("\n" + signedHeaders + "\n" + bodyHash)
	toSign := "ACS3-HMAC-SHA256\n" + sha256Hex([]byte(canonical.String()))
	return "ACS3-HMAC-SHA256 Credential=" + id + ",SignedHeaders=" + signedHeaders + ",Signature=" + hex.EncodeToString(hmac256([]byte(secret), toSign))
}

// acs3Query writes a query in canonical order and encoding (RFC 3986).
func acs3Query(v url.Values) string { return strings.ReplaceAll(v.Encode(), "+", "%20") }

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func hmac256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func (y *aliyun) read(a *httpclient.Answer) (outcome, error) {
	var answer struct{ Code, BizId string }
	err := json.Unmarshal(a.Body, &answer)
	switch {
	case err == nil && answer.Code == "OK" && a.Status < 300:
		return outcome{id: answer.BizId, tries: a.Tries}, nil
	case err == nil && answer.Code != "" && answer.Code != "OK":
		kind, known := aliyunCodes[answer.Code]
		if !known {
			kind = aliyunCodes.kind(answer.Code)
		}
		e := fail(kind, answer.Code, a)
		e.RetryAfter = max(aliyunWait[answer.Code], httpclient.RetryAfter(a.Header, y.clock()))
		return outcome{}, e
	case a.Status < 300:
		return outcome{}, unclear(a)
	}
	return outcome{}, statusError(a, y.clock())
}

// ask calls QuerySendDetails, which lists what went to a number on a day of Aliyun's clock, with our OutId, for 30 days (help.aliyun.com,
// api-dysmsapi-2017-05-25-querysenddetails). One number hears at most ten texts a day, so that the first page has them all.
func (y *aliyun) ask(ctx context.Context, q *Question) (care.Receipt, error) {
	to, err := y.number(q.To, q.Country)
	if err != nil {
		return care.Receipt{}, ErrUnknown // nothing was ever sent to it
	}
	at := q.At.In(shanghai)
	days := []string{at.Format("20060102")}
	if next := at.Add(askedLate).Format("20060102"); next != days[0] {
		days = append(days, next) // it may have gone after midnight
	}
	for _, day := range days {
		if r, err := y.askDay(ctx, q, to, day); !errors.Is(err, ErrUnknown) {
			return r, err
		}
	}
	return care.Receipt{}, ErrUnknown
}

// askedLate is how long after an attempt its message may have gone at most.
const askedLate = 10 * time.Minute

func (y *aliyun) askDay(ctx context.Context, q *Question, to, day string) (care.Receipt, error) {
	query := url.Values{
		"PhoneNumber": {to}, "SendDate": {day}, "PageSize": {"50"}, "CurrentPage": {"1"},
	}
	a, err := y.client.Do(ctx, &httpclient.Request{
		Method: http.MethodPost, URL: strings.TrimRight(y.URL, "/") + "/?" + acs3Query(query), Header: http.Header{"Accept": {"application/json"}},
		Repeat: true, Prepare: func(r *http.Request) error { return y.sign(r, "QuerySendDetails") },
	})
	if err != nil {
		return care.Receipt{}, err
	}
	var answer struct {
		Code string
		DTOs struct {
			All []struct {
				OutID  string `json:"OutId"`
				Status int    `json:"SendStatus"`
				Code   string `json:"ErrCode"`
				Date   string `json:"ReceiveDate"`
			} `json:"SmsSendDetailDTO"`
		} `json:"SmsSendDetailDTOs"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || answer.Code == "" {
		return care.Receipt{}, statusError(a, y.clock())
	}
	if answer.Code != "OK" {
		return care.Receipt{}, fail(aliyunCodes.kind(answer.Code), answer.Code, a)
	}
	for _, e := range answer.DTOs.All {
		if occurrence(e.OutID) != q.ID || q.ID == "" {
			continue
		}
		r := y.receipt(e.OutID, "")
		r.To, r.Code, r.At = q.To, short(e.Code), localTime(e.Date, r.At)
		switch e.Status {
		case 1: // it waits for the operator's word
			r.State = care.StateSent
		case 2:
			r.State, r.Kind = care.StateUndelivered, carrierCodes.kind(e.Code)
		case 3:
			r.State = care.StateDelivered
		default:
			continue
		}
		return r, nil
	}
	return care.Receipt{}, ErrUnknown
}

// shanghai is the zone of the times in callbacks, which name none.
var shanghai = time.FixedZone("+08:00", 8*3600)

// localTime reads "2006-01-02 15:04:05"; fallback if it is none.
func localTime(s string, fallback time.Time) time.Time {
	at, err := time.ParseInLocation(time.DateTime, s, shanghai)
	if err != nil {
		return fallback
	}
	return at.UTC()
}

// callback reads a push of SmsReport or SmsUp, each an array (document 101867).
func (y *aliyun) callback(in *inbound) (*Callback, error) {
	if err := y.trusted(in); err != nil {
		return nil, err
	}
	var all []struct {
		Phone   string          `json:"phone_number"`
		Report  string          `json:"report_time"`
		Sent    string          `json:"send_time"`
		Success *bool           `json:"success"`
		Code    string          `json:"err_code"`
		Size    json.RawMessage `json:"sms_size"`
		Biz     string          `json:"biz_id"`
		Out     string          `json:"out_id"`
		Content string          `json:"content"`
		Dest    string          `json:"dest_code"`
		Seq     json.RawMessage `json:"sequence_id"`
	}
	if err := json.Unmarshal(in.body, &all); err != nil || len(all) == 0 {
		return nil, ErrUnreadable
	}
	c := &Callback{Answer: []byte(`{"code":0,"msg":"接收成功"}`), ContentType: "application/json"}
	for _, e := range all {
		if e.Success == nil {
			if e.Phone == "" {
				return nil, ErrUnreadable
			}
			r := y.reply(rawText(e.Seq), chinese(e.Phone), e.Dest, e.Content)
			r.At = localTime(e.Sent, r.At)
			c.Replies = append(c.Replies, r)
			continue
		}
		r := y.receipt(e.Out, foreign(e.Biz))
		r.To = chinese(e.Phone)
		r.At, r.Parts, r.Code = localTime(e.Report, r.At), number(rawText(e.Size)), short(e.Code)
		r.State = care.StateDelivered
		if !*e.Success {
			r.State, r.Kind = care.StateUndelivered, carrierCodes.kind(e.Code)
		}
		c.Receipts = append(c.Receipts, r)
	}
	return c, nil
}

// rawText returns a JSON string or number as text.
func rawText(raw json.RawMessage) string { return strings.Trim(string(raw), `" `) }
