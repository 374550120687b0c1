package sms

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/httpclient"
)

// tencent speaks Tencent Cloud SMS SendSms of 2021-01-11 (tencentcloud-sdk-go sms/v20210111; documents api/382/59178 and 5809).
type tencent struct{ provider }

var tencentCodes = codes{
	"InternalError.Timeout": care.KindRetry, "InternalError.SendAndRecvFail": care.KindRetry, "InternalError.UnknownError": care.KindRetry,
	"LimitExceeded.PhoneNumber*": care.KindRetry, "LimitExceeded.DeliveryFrequencyLimit": care.KindRetry,
	"FailedOperation.MarketingSendTimeConstraint": care.KindDefer,
	"FailedOperation.PhoneNumberInBlacklist":      care.KindOptedOut,
	"InvalidParameterValue.IncorrectPhoneNumber":  care.KindRecipient,

	"FailedOperation.ContainSensitiveWord":              care.KindContent,
	"InvalidParameterValue.ContentLengthLimit":          care.KindContent,
	"FailedOperation.TemplateIncorrectOrUnapproved":     care.KindContent,
	"FailedOperation.TemplateUnapprovedOrNotExist":      care.KindContent,
	"FailedOperation.TemplateParamSetNotMatchApproved*": care.KindContent,
	"FailedOperation.SignatureIncorrectOrUnapproved":    care.KindContent,
	"InvalidParameterValue.TemplateParameter*":          care.KindContent,
	"UnauthorizedOperation.*":                           care.KindOperator,
	"FailedOperation.InsufficientBalanceInSmsPackage":   care.KindOperator,
	"InternalError.RequestTimeException":                care.KindOperator,
	"AuthFailure.*":                                     care.KindOperator,
}

// tencentWait is how long a limit lasts (delivery clamps it): 30 s, an hour or a day for one number.
var tencentWait = map[string]time.Duration{
	"LimitExceeded.PhoneNumberThirtySecondLimit":     30 * time.Second,
	"LimitExceeded.PhoneNumberOneHourLimit":          time.Hour,
	"LimitExceeded.PhoneNumberDailyLimit":            24 * time.Hour,
	"LimitExceeded.PhoneNumberSameContentDailyLimit": 24 * time.Hour,
	"LimitExceeded.DeliveryFrequencyLimit":           time.Hour,
	"FailedOperation.MarketingSendTimeConstraint":    time.Hour,
	"LimitExceeded.PhoneNumberCountLimit":            time.Hour,
}

func newTencent(p provider) (gateway, error) {
	if p.User == "" || p.Password == "" || p.From == "" {
		return nil, errors.New("set CARE_SMS_USER to the SecretId, CARE_SMS_PASSWORD to the SecretKey and CARE_SMS_FROM to the SmsSdkAppId")
	}
	if p.URL == "" {
		p.URL = "https://sms.tencentcloudapi.com/"
	}
	if p.Region == "" {
		p.Region = "ap-guangzhou"
	}
	return &tencent{p}, nil
}

func (q *tencent) plain() bool { return false }

func (q *tencent) send(ctx context.Context, m *care.Message, _ string) (outcome, error) {
	t := q.template(m)
	body, err := json.Marshal(map[string]any{
		"PhoneNumberSet": []string{m.To}, "SmsSdkAppId": q.From, "TemplateId": t.Template,
		"SignName":         strings.Trim(channels.OneLine(m.Signature), "【】[] "),
		"TemplateParamSet": ordered(t), "SessionContext": m.WireID(),
	})
	if err != nil {
		return outcome{}, content("bad_params", "the template's parameters cannot be written")
	}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	a, err := q.client.Do(ctx, &httpclient.Request{
		Method: http.MethodPost, URL: q.URL, Header: header, Body: body,
		Prepare: func(r *http.Request) error {
			q.sign(r, body)
			return nil
		},
	})
	if err != nil {
		return outcome{}, err
	}
	return q.read(a)
}

// ordered returns the parameters in the template's order, else by their names, which then are numbers.
func ordered(t care.GatewayTemplate) []string {
	order := t.Order
	if len(order) == 0 {
		for name := range t.Params {
			order = append(order, name)
		}
		slices.SortFunc(order, func(a, b string) int {
			x, err1 := strconv.Atoi(a)
			y, err2 := strconv.Atoi(b)
			if err1 == nil && err2 == nil {
				return x - y
			}
			return strings.Compare(a, b)
		})
	}
	out := make([]string, 0, len(order))
	for _, name := range order {
		out = append(out, channels.OneLine(t.Params[name]))
	}
	return out
}

func (q *tencent) sign(r *http.Request, body []byte) {
	const action = "SendSms"
	at := q.clock().UTC()
	r.Header.Set("X-TC-Action", action)
	r.Header.Set("X-TC-Version", "2021-01-11")
	r.Header.Set("X-TC-Region", q.Region)
	r.Header.Set("X-TC-Timestamp", strconv.FormatInt(at.Unix(), 10))
	host := r.URL.Host
	if r.Host != "" {
		host = r.Host
	}
	r.Header.Set("Authorization", tc3(q.User, q.Password, "sms", host, r.Header.Get("Content-Type"), action, at, body))
}

// tc3 returns the Authorization header of TC3-HMAC-SHA256 for a POST to / (TencentCloud/signature-process-demo).
func tc3(id, secret, service, host, contentType, action string, at time.Time, body []byte) string {
	const headers = "content-type;host;x-tc-action"
	canonical := "POST\n/\n\ncontent-type:" + contentType + "\nhost:" + host + "\nx-tc-action:" + strings.ToLower(action) + "\n\n" +
		headers + "\n" + sha256Hex(body)
	date := at.UTC().Format(time.DateOnly)
	scope := date + "/" + service + "/tc3_request"
	toSign := "TC3-HMAC-SHA256\n" + strconv.FormatInt(at.Unix(), 10) + "\n" + scope + "\n" + sha256Hex([]byte(canonical))
	key := hmac256(hmac256(hmac256([]byte("TC3"+secret), date), service), "tc3_request")
	return "TC3-HMAC-SHA256 Credential=" + id + "/" + scope + ", SignedHeaders=" + headers + ", Signature=" + hex.EncodeToString(hmac256(key, toSign))
}

// read reads the status of the one number. Errors come with HTTP 200 too.
func (q *tencent) read(a *httpclient.Answer) (outcome, error) {
	var answer struct {
		Response struct {
			Error *struct{ Code string }
			Set   []struct{ SerialNo, Code string } `json:"SendStatusSet"`
		}
	}
	err := json.Unmarshal(a.Body, &answer)
	code, serial := "", ""
	switch {
	case err != nil:
	case answer.Response.Error != nil:
		code = answer.Response.Error.Code
	case len(answer.Response.Set) == 1:
		code, serial = answer.Response.Set[0].Code, answer.Response.Set[0].SerialNo
	}
	switch {
	case code == "Ok" && answer.Response.Error == nil && a.Status < 300:
		return outcome{id: serial, tries: a.Tries}, nil
	case code != "" && code != "Ok":
		e := fail(tencentCodes.kind(code), code, a)
		e.RetryAfter = max(tencentWait[code], httpclient.RetryAfter(a.Header, q.clock()))
		return outcome{}, e
	case a.Status < 300:
		return outcome{}, unclear(a)
	}
	return outcome{}, statusError(a, q.clock())
}

// callback reads an array of receipts or a single reply (document 5809).
func (q *tencent) callback(in *inbound) (*Callback, error) {
	if err := q.trusted(in); err != nil {
		return nil, err
	}
	c := &Callback{Answer: []byte(`{"result":0,"errmsg":"OK"}`), ContentType: "application/json"}
	var reports []struct {
		At      string `json:"user_receive_time"`
		Status  string `json:"report_status"`
		Code    string `json:"errmsg"`
		SID     string `json:"sid"`
		Context string `json:"ext"`
		Mobile  string `json:"mobile"`
		Nation  string `json:"nationcode"`
	}
	if err := json.Unmarshal(in.body, &reports); err == nil {
		for _, e := range reports {
			r := q.receipt(e.Context, foreign(e.SID))
			r.At = localTime(e.At, r.At)
			r.Code, r.To = short(e.Code), ofNation(e.Nation, e.Mobile)
			switch e.Status {
			case "SUCCESS":
				r.State = care.StateDelivered
			case "FAIL":
				r.State, r.Kind = care.StateUndelivered, carrierCodes.kind(e.Code)
			default:
				continue
			}
			c.Receipts = append(c.Receipts, r)
		}
		if len(c.Receipts) == 0 {
			return nil, ErrUnreadable
		}
		return c, nil
	}
	var reply struct {
		Mobile string `json:"mobile"`
		Nation string `json:"nationcode"`
		Text   string `json:"text"`
		Extend string `json:"extend"`
		Time   int64  `json:"time"`
	}
	if err := json.Unmarshal(in.body, &reply); err != nil || reply.Mobile == "" {
		return nil, ErrUnreadable
	}
	r := q.reply("", ofNation(reply.Nation, reply.Mobile), reply.Extend, reply.Text)
	if reply.Time > 0 && reply.Time < 1<<33 {
		r.At = time.Unix(reply.Time, 0).UTC()
	}
	c.Replies = []Reply{r}
	return c, nil
}

// ofNation joins a country's calling code and a number of it.
func ofNation(nation, mobile string) string {
	if nation != "" && mobile != "" && mobile[0] != '+' {
		return "+" + strings.TrimPrefix(nation, "+") + mobile
	}
	return chinese(mobile)
}
