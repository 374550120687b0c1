package events_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/events"
)

var now = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)

const (
	id    = "cabcdefghijklmnopqrstuvwxy"
	topic = "arn:aws:sns:eu-west-1:123456789012:bounces"
)

var (
	proofs = email.NewProofs([]byte("a key of this test"))
	wireID = id + "-email-" + proofs.Of(id+"-email")
)

// amazon signs as SNS does, and keeps what was fetched.
type amazon struct {
	key     *rsa.PrivateKey
	cert    []byte
	fetched []string
}

func newAmazon(t *testing.T, until time.Time) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(-1, 0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &amazon{key: key, cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *amazon) get(_ context.Context, url string) ([]byte, error) {
	a.fetched = append(a.fetched, url)
	return a.cert, nil
}

// post makes a message of SNS. Fields that are given replace the usual ones; those of after are put in when it is signed.
func (a *amazon) post(t *testing.T, version string, fields, after map[string]string) []byte {
	t.Helper()
	m := map[string]string{
		"Type": "Notification", "MessageId": "1", "TopicArn": topic, "Timestamp": "2026-11-30T08:00:00.000Z", "SignatureVersion": version,
		"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
	}
	maps.Copy(m, fields)
	names := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	text := ""
	for _, name := range names {
		if v, ok := m[name]; ok {
			text += name + "\n" + v + "\n"
		}
	}
	one, two := sha1.Sum([]byte(text)), sha256.Sum256([]byte(text))
	hash, sum := crypto.SHA1, one[:]
	if version == "2" {
		hash, sum = crypto.SHA256, two[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, hash, sum)
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	maps.Copy(m, after)
	body, _ := json.Marshal(m)
	return body
}

func bounceOf(said string) string {
	return fmt.Sprintf(`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General","timestamp":"2026-11-30T07:59:00.000Z","bouncedRecipients":
		[{"emailAddress":"wang@customer.example","action":"failed","status":"5.1.1","diagnosticCode":%q}]},"mail":{"messageId":"0102","source":"care@dealer.example","headers":[{"name":"X-Carebell-Id","value":%q}]}}`, said, wireID)
}

func take(t *testing.T, r *events.Reader, provider string, header http.Header, body []byte) (events.Events, error) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/email/"+provider, nil)
	req.Header = header
	if err := r.Admits(provider, req, header.Get("X-Given")); err != nil {
		return events.Events{}, err
	}
	return r.Read(t.Context(), provider, header, body)
}

// Only what Amazon signed for our topic counts, in both versions; nothing is fetched from elsewhere.
func TestSNS(t *testing.T) {
	t.Parallel()
	aws := newAmazon(t, now.AddDate(1, 0, 0))
	message := map[string]string{"Message": bounceOf("smtp; 550 5.1.1 user unknown")}
	header := http.Header{"X-Amz-Sns-Topic-Arn": {topic}}
	for name, tt := range map[string]struct {
		version       string
		fields, after map[string]string
		header        http.Header
		receipts      int
		err           error
	}{
		"version 1":             {"1", message, nil, header, 1, nil},
		"version 2":             {"2", message, nil, header, 1, nil},
		"with a subject":        {"2", map[string]string{"Message": message["Message"], "Subject": "s"}, nil, header, 1, nil},
		"China":                 {"2", message, map[string]string{"SigningCertURL": "https://sns.cn-north-1.amazonaws.com.cn/x.pem"}, header, 1, nil},
		"a word for people":     {"2", map[string]string{"Message": "Successfully validated SNS topic"}, nil, header, 0, nil},
		"changed":               {"2", message, map[string]string{"Message": bounceOf("550 mailbox full")}, header, 0, events.ErrForged},
		"another version":       {"3", message, nil, header, 0, events.ErrForged},
		"no signature":          {"2", message, map[string]string{"Signature": ""}, header, 0, events.ErrForged},
		"another topic":         {"2", map[string]string{"Message": message["Message"], "TopicArn": "arn:x"}, nil, header, 0, events.ErrForged},
		"another topic's head":  {"2", message, nil, http.Header{"X-Amz-Sns-Topic-Arn": {"arn:x"}}, 0, events.ErrForged},
		"a stranger's host":     {"2", message, map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"}, header, 0, events.ErrForged},
		"a bucket":              {"2", message, map[string]string{"SigningCertURL": "https://evil.s3.amazonaws.com/x.pem"}, header, 0, events.ErrForged},
		"in the clear":          {"2", message, map[string]string{"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/x.pem"}, header, 0, events.ErrForged},
		"with a user":           {"2", message, map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem"}, header, 0, events.ErrForged},
		"another port":          {"2", message, map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com:8443/x.pem"}, header, 0, events.ErrForged},
		"no certificate's name": {"2", message, map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x"}, header, 0, events.ErrForged},
		"subscription": {"2", map[string]string{
			"Type": "SubscriptionConfirmation", "Message": "m", "Token": "t", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
		}, nil, header, 0, nil},
		"subscription elsewhere": {"2", map[string]string{
			"Type": "SubscriptionConfirmation", "Message": "m", "Token": "t", "SubscribeURL": "https://169.254.169.254/latest",
		}, nil, header, 0, events.ErrForged},
	} {
		aws.fetched = nil
		r := events.New(events.Config{SESTopic: topic, Reports: email.Reports{Proven: proofs.Proven}, Get: aws.get, Now: func() time.Time { return now }})
		got, err := take(t, r, "ses", tt.header, aws.post(t, tt.version, tt.fields, tt.after))
		if !errors.Is(err, tt.err) || len(got.Receipts) != tt.receipts {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for _, url := range aws.fetched {
			if host := strings.Split(url, "/")[2]; host != "sns.eu-west-1.amazonaws.com" && host != "sns.cn-north-1.amazonaws.com.cn" {
				t.Errorf("%s: fetched %s", name, url)
			}
		}
		if confirms := name == "subscription"; confirms != (len(aws.fetched) > 0 && strings.HasSuffix(aws.fetched[len(aws.fetched)-1], "ConfirmSubscription")) {
			t.Errorf("%s: fetched %v", name, aws.fetched)
		}
	}
	old := newAmazon(t, now.AddDate(0, 0, -1))
	r := events.New(events.Config{SESTopic: topic, Get: old.get, Now: func() time.Time { return now }})
	if _, err := take(t, r, "ses", header, old.post(t, "2", message, nil)); !errors.Is(err, events.ErrForged) {
		t.Errorf("an expired certificate: %v", err)
	}
	if _, err := take(t, events.New(events.Config{}), "ses", header, aws.post(t, "2", message, nil)); !errors.Is(err, events.ErrUnknown) {
		t.Errorf("not set up: %v", err)
	}
}

func TestSendGridIsSigned(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	r := events.New(events.Config{SendGridKey: base64.StdEncoding.EncodeToString(der), Reports: email.Reports{Proven: proofs.Proven}, Now: func() time.Time { return now }})
	body := []byte(`[{"event":"bounce","type":"bounce","email":"wang@customer.example","timestamp":1796025500,"smtp-id":"<` + wireID + `@dealer.example>","reason":"550 5.1.1 user unknown","status":"5.1.1"},{"event":"open","email":"x"}]`)
	for name, tt := range map[string]struct {
		at     time.Time
		change bool
		good   bool
	}{
		"signed": {now, false, true}, "a little old": {now.Add(-30 * time.Minute), false, true}, "too old": {now.Add(-2 * time.Hour), false, false},
		"of tomorrow": {now.Add(24 * time.Hour), false, false}, "changed": {now, true, false},
	} {
		at := strconv.FormatInt(tt.at.Unix(), 10)
		sum := sha256.Sum256(append([]byte(at), body...))
		signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		header.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature))
		header.Set("X-Twilio-Email-Event-Webhook-Timestamp", at)
		sent := body
		if tt.change {
			sent = []byte(strings.Replace(string(body), "5.1.1", "5.1.2", 1))
		}
		got, err := take(t, r, "sendgrid", header, sent)
		if (err == nil) != tt.good || err != nil && !errors.Is(err, events.ErrForged) || tt.good && (len(got.Receipts) != 1 || got.Receipts[0].Kind != care.KindRecipient) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := take(t, r, "sendgrid", http.Header{}, body); !errors.Is(err, events.ErrForged) {
		t.Errorf("without a signature: %v", err)
	}
}

func mailgunBody(key, token string, at time.Time, event string) []byte {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(stamp + token))
	return fmt.Appendf(nil, `{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, stamp, token, hex.EncodeToString(mac.Sum(nil)), event)
}

// Mailgun's signature covers a token, which counts once; if its event could not be recorded it counts again.
func TestMailgunIsSigned(t *testing.T) {
	t.Parallel()
	r := events.New(events.Config{MailgunKey: "key", Reports: email.Reports{Proven: proofs.Proven}, Now: func() time.Time { return now }})
	event := `{"event":"failed","severity":"permanent","recipient":"wang@customer.example","timestamp":1796025500.5,"message":{"headers":{"message-id":"` + wireID + `@dealer.example"}},"delivery-status":{"code":550,"message":"5.1.1 No such user"}}`
	first := mailgunBody("key", "one", now, event)
	got, err := take(t, r, "mailgun", http.Header{}, first)
	if err != nil || len(got.Receipts) != 1 || got.Receipts[0].Kind != care.KindRecipient || got.Receipts[0].To != "wang@customer.example" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := take(t, r, "mailgun", http.Header{}, first); err != nil {
		t.Errorf("it was not recorded and comes again: %v", err)
	}
	got.Done()
	for name, body := range map[string][]byte{
		"replayed": first, "another key": mailgunBody("other", "two", now, event), "too old": mailgunBody("key", "three", now.Add(-10*time.Hour), event),
		"no token": mailgunBody("key", "", now, event), "not signed": []byte(`{"event-data":` + event + `}`),
	} {
		if _, err := take(t, r, "mailgun", http.Header{}, body); !errors.Is(err, events.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := take(t, r, "mailgun", http.Header{}, []byte("{")); !errors.Is(err, events.ErrUnreadable) {
		t.Errorf("no JSON: %v", err)
	}
}

// What the providers' events mean. ID stands for our id with its proof.
func TestWhatEventsMean(t *testing.T) {
	t.Parallel()
	postmark := func(kind, details string) string {
		return fmt.Sprintf(`{"RecordType":"Bounce","Type":%q,"Details":%q,"Email":"w@c.example","BouncedAt":"2026-11-30T07:00:00Z","Content":"X-Carebell-Id: ID\r\n"}`, kind, details)
	}
	aliyun := func(kind, said, failed string) string {
		return fmt.Sprintf(`{"type":%q,"time":"2026-11-30T15:00:00+08:00","source":"acs:dm","data":{"rcpt":"w@c.example","msg_id":"<ID@dealer.example>","err_msg":%q,"failed_type":%q}}`, kind, said, failed)
	}
	const gone = "undelivered recipient"
	r := events.New(events.Config{Secrets: []string{"hush"}, Reports: email.Reports{Proven: proofs.Proven}, Now: func() time.Time { return now }})
	for _, tt := range [][3]string{
		{"postmark", postmark("HardBounce", "smtp;550 5.1.1 The email account does not exist."), gone},
		{"postmark", postmark("HardBounce", ""), gone},
		{"postmark", postmark("HardBounce", "550 5.7.1 blocked using zen.spamhaus.org"), "undelivered not recipient"},
		{"postmark", postmark("BadEmailAddress", ""), gone},
		{"postmark", postmark("SoftBounce", "452 4.2.2 mailbox full"), "undelivered not recipient"},
		{"postmark", postmark("SpamNotification", ""), "undelivered not recipient"},
		{"postmark", postmark("Transient", ""), "sent"},
		{"postmark", postmark("AutoResponder", "I am away"), ""},
		{"postmark", `{"RecordType":"SpamComplaint","Type":"SpamComplaint","Email":"w@c.example","Content":"Message-ID: <ID@dealer.example>"}`, "delivered opted_out complaint"},
		{"postmark", `{"RecordType":"Delivery","Recipient":"w@c.example","Metadata":{"id":"ID"},"DeliveredAt":"2026-11-30T07:00:00Z"}`, "delivered"},
		{"postmark", `{"RecordType":"SubscriptionChange","Recipient":"w@c.example","SuppressSending":true,"SuppressionReason":"ManualSuppression","Origin":"Recipient","Metadata":{"id":"ID"}}`, "delivered opted_out unsubscribe"},
		{"postmark", `{"RecordType":"SubscriptionChange","Recipient":"w@c.example","SuppressSending":true,"SuppressionReason":"HardBounce","Origin":"Recipient","Metadata":{"id":"ID"}}`, ""},
		{"postmark", `{"RecordType":"Open","Metadata":{"id":"ID"}}`, ""},
		{"aliyun", aliyun("dm:Deliver:Fail", "554 RCPT w@c.example dosn't exist", "SmtpNxBox"), gone},
		{"aliyun", aliyun("dm:Deliver:Fail", "550 Connection frequency limited", "SmtpRej"), "undelivered not recipient"},
		{"aliyun", aliyun("dm:Deliver:Succeed", "", ""), "delivered"},
		{"aliyun", aliyun("dm:Feedback:FblReport", "", ""), "delivered opted_out complaint"},
		{"aliyun", aliyun("dm:Feedback:UnSubscribe", "", ""), "delivered opted_out unsubscribe"},
		{"aliyun", aliyun("dm:Trace:Open", "", ""), ""},
	} {
		header := http.Header{"X-Given": {"hush"}}
		got, err := take(t, r, tt[0], header, []byte(strings.ReplaceAll(tt[1], "ID", wireID)))
		if err != nil {
			t.Errorf("%s: %v", tt[1], err)
			continue
		}
		meant(t, tt[1], got.Receipts, tt[2])
		// What a stranger makes up has no proof.
		for forged, unproven := range map[string]int{id + "-email": 1, id + "-email-aaaaaaaaaaaa": 1, "": 0} {
			got, err := take(t, r, tt[0], header, []byte(strings.ReplaceAll(tt[1], "ID", forged)))
			if tt[2] == "" {
				unproven = 0
			}
			if err != nil || len(got.Receipts) > 0 || got.Unproven != unproven {
				t.Errorf("%s: %+v, %v", tt[1], got, err)
			}
		}
		if _, err := take(t, r, tt[0], http.Header{"X-Given": {"other"}}, []byte(tt[1])); !errors.Is(err, events.ErrForged) {
			t.Errorf("%s: %v", tt[0], err)
		}
	}
}

// TestWhatSignedEventsMean is the same for providers that sign.
func TestWhatSignedEventsMean(t *testing.T) {
	t.Parallel()
	aws := newAmazon(t, now.AddDate(1, 0, 0))
	r := events.New(events.Config{SESTopic: topic, MailgunKey: "key", Get: aws.get, Reports: email.Reports{Proven: proofs.Proven}, Now: func() time.Time { return now }})
	ses := func(message string) []byte {
		return aws.post(t, "2", map[string]string{"Message": strings.ReplaceAll(message, "MAIL", `"mail":{"source":"bounce+`+wireID+`@dealer.example"}`)}, nil)
	}
	for message, want := range map[string]string{
		bounceOf("smtp; 550 5.1.1 user unknown"):                                   "undelivered recipient",
		bounceOf("smtp; 550 5.7.1 message rejected as spam by our content filter"): "undelivered not recipient",
		`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"OnAccountSuppressionList","bouncedRecipients":[{"emailAddress":"w@c.example","diagnosticCode":"Amazon SES did not send the message to this address"}]},MAIL}`: "undelivered recipient",
		`{"eventType":"Bounce","bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull","bouncedRecipients":[{"emailAddress":"w@c.example"}]},MAIL}`:                                                                                     "undelivered not recipient",
		`{"notificationType":"Complaint","complaint":{"complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":"w@c.example"}]},MAIL}`:                                                                                            "delivered opted_out complaint",
		`{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"w@c.example"}]},MAIL}`:                                                                                                                            "delivered opted_out complaint",
		`{"notificationType":"Complaint","complaint":{"complaintFeedbackType":"not-spam","complainedRecipients":[{"emailAddress":"w@c.example"}]},MAIL}`:                                                                                         "",
		`{"notificationType":"Delivery","delivery":{"recipients":["w@c.example"]},MAIL}`:                                                                                                                                                         "delivered",
		`{"eventType":"DeliveryDelay","deliveryDelay":{"delayedRecipients":[{"emailAddress":"w@c.example","status":"4.4.7"}]},MAIL}`:                                                                                                             "sent",
		`{"eventType":"Open",MAIL}`: "",
	} {
		got, err := take(t, r, "ses", http.Header{"X-Amz-Sns-Topic-Arn": {topic}}, ses(message))
		if err != nil {
			t.Errorf("%s: %v", message, err)
		}
		meant(t, message, got.Receipts, want)
	}
	n := 0
	for event, want := range map[string]string{
		`"event":"failed","severity":"permanent","delivery-status":{"code":550,"message":"5.1.1 user unknown"}`:                                                          "undelivered recipient",
		`"event":"failed","severity":"permanent","delivery-status":{"code":552,"message":"5.2.2 mailbox is full"}`:                                                       "undelivered not recipient",
		`"event":"failed","severity":"permanent","reason":"suppress-bounce","delivery-status":{"code":605,"description":"Not delivering to previously bounced address"}`: "undelivered recipient",
		`"event":"failed","severity":"permanent","reason":"suppress-unsubscribe"`:                                                                                        "delivered opted_out unsubscribe",
		`"event":"failed","severity":"temporary","delivery-status":{"code":451}`:                                                                                         "sent",
		`"event":"complained"`:   "delivered opted_out complaint",
		`"event":"unsubscribed"`: "delivered opted_out unsubscribe",
		`"event":"delivered"`:    "delivered",
		`"event":"clicked"`:      "",
	} {
		n++
		body := mailgunBody("key", strconv.Itoa(n), now, `{`+event+`,"recipient":"w@c.example","message":{"headers":{"message-id":"`+wireID+`@dealer.example"}}}`)
		got, err := take(t, r, "mailgun", http.Header{}, body)
		if err != nil {
			t.Errorf("%s: %v", event, err)
		}
		meant(t, event, got.Receipts, want)
	}
}

// meant checks a receipt: its state, and its kind or what it is not, and its code.
func meant(t *testing.T, event string, got []care.Receipt, want string) {
	t.Helper()
	if want == "" {
		if len(got) > 0 {
			t.Errorf("%s: %+v, want nothing", event, got)
		}
		return
	}
	if len(got) != 1 {
		t.Errorf("%s: %d receipts", event, len(got))
		return
	}
	rc, words := got[0], strings.Fields(want)
	good := rc.ID == id && rc.Channel == care.Email && string(rc.State) == words[0] && !rc.At.IsZero() && !rc.At.After(now) && strings.HasSuffix(rc.To, ".example")
	switch {
	case len(words) == 1:
		good = good && rc.Kind == ""
	case words[1] == "not":
		good = good && rc.Kind != care.KindRecipient && rc.Kind != care.KindOptedOut && rc.Code != ""
	default:
		good = good && string(rc.Kind) == words[1] && (len(words) < 3 || rc.Code == words[2])
	}
	if !good {
		t.Errorf("%s: %+v, want %s", event, rc, want)
	}
}
