package events

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// What each provider calls what, as its documents say (December 2026).

func decode[T any](raw []byte) (v T, err error) {
	if json.Unmarshal(raw, &v) != nil {
		return v, ErrUnreadable
	}
	return v, nil
}

// sesEvents reads the message inside of an SNS notification.
func sesEvents(raw []byte) ([]event, error) {
	type recipient struct {
		EmailAddress, Status, DiagnosticCode string
	}
	m, err := decode[struct {
		NotificationType, EventType string
		Mail                        json.RawMessage
		Bounce                      struct {
			BounceType, BounceSubType string
			BouncedRecipients         []recipient
			Timestamp                 time.Time
		}
		Complaint struct {
			ComplaintFeedbackType string
			ComplainedRecipients  []recipient
			Timestamp             time.Time
		}
		Delivery struct {
			Recipients []string
			Timestamp  time.Time
		}
		DeliveryDelay struct {
			DelayedRecipients []recipient
			Timestamp         time.Time
		}
	}](raw)
	if err != nil {
		return nil, err
	}
	var out []event
	add := func(e event) {
		e.texts = texts(m.Mail)
		out = append(out, e)
	}
	switch m.NotificationType + m.EventType {
	case "Bounce":
		b := m.Bounce
		for _, to := range b.BouncedRecipients {
			_, said, ok := strings.Cut(to.DiagnosticCode, ";")
			if !ok {
				said = to.DiagnosticCode
			}
			add(event{
				what: bounced, hard: b.BounceType == "Permanent", dead: oneOf(b.BounceSubType, "NoEmail", "Suppressed", "OnAccountSuppressionList"),
				status: to.Status, said: strings.TrimSpace(said), to: to.EmailAddress, at: b.Timestamp,
			})
		}
	case "Complaint":
		// Without a type it came from a provider that says no more than that its user complained.
		if !oneOf(m.Complaint.ComplaintFeedbackType, "", "abuse", "fraud") {
			return nil, nil
		}
		for _, to := range m.Complaint.ComplainedRecipients {
			add(event{what: complained, to: to.EmailAddress, at: m.Complaint.Timestamp})
		}
	case "Delivery":
		for _, to := range m.Delivery.Recipients {
			add(event{what: delivered, to: to, at: m.Delivery.Timestamp})
		}
	case "DeliveryDelay":
		for _, to := range m.DeliveryDelay.DelayedRecipients {
			add(event{what: delayed, status: to.Status, to: to.EmailAddress, at: m.DeliveryDelay.Timestamp})
		}
	}
	return out, nil
}

func sendGrid(raw []byte) ([]event, error) {
	list, err := decode[[]json.RawMessage](raw)
	if err != nil {
		return nil, err
	}
	var out []event
	for _, one := range list {
		m, err := decode[struct {
			Event, Type, Reason, Status, Email, Response string
			Class                                        string `json:"bounce_classification"`
			Timestamp                                    json.Number
		}](one)
		if err != nil {
			return nil, err
		}
		e := event{status: m.Status, said: m.Reason, to: m.Email, at: unix(m.Timestamp), texts: texts(one)}
		switch m.Event {
		case "bounce":
			e.what, e.hard, e.dead = bounced, m.Type == "bounce", oneOf(m.Class, "Invalid Address")
		case "dropped":
			switch {
			case oneOf(m.Reason, "Spam Reporting Address"):
				e.what = complained
			case oneOf(m.Reason, "Unsubscribed Address"):
				e.what = unsubscribed
			default:
				e.what, e.dead = bounced, oneOf(m.Reason, "Bounced Address", "Invalid")
			}
		case "deferred":
			e.what = delayed
		case "delivered":
			e.what = delivered
		case "spamreport":
			e.what = complained
		case "unsubscribe", "group_unsubscribe":
			e.what = unsubscribed
		default:
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

func mailgunEvent(raw []byte) ([]event, error) {
	m, err := decode[struct {
		Event, Severity, Reason, Recipient string
		Timestamp                          json.Number
		Delivery                           struct {
			Code                 json.Number
			Message, Description string
			Enhanced             string `json:"enhanced-code"`
		} `json:"delivery-status"`
	}](raw)
	if err != nil {
		return nil, err
	}
	d := m.Delivery
	e := event{status: d.Enhanced, said: strings.TrimSpace(d.Message + " " + d.Description), to: m.Recipient, at: unix(m.Timestamp), texts: texts(raw)}
	if code := d.Code.String(); len(code) == 3 && !strings.HasPrefix(e.said, code) && e.said != "" {
		e.said = code + " " + e.said
	}
	switch m.Event {
	case "failed":
		switch {
		case m.Reason == "suppress-complaint":
			e.what = complained
		case m.Reason == "suppress-unsubscribe":
			e.what = unsubscribed
		case m.Severity == "temporary":
			e.what = delayed
		default:
			e.what, e.hard, e.dead = bounced, true, m.Reason == "suppress-bounce"
		}
	case "delivered":
		e.what = delivered
	case "complained":
		e.what = complained
	case "unsubscribed":
		e.what = unsubscribed
	default:
		return nil, nil
	}
	return []event{e}, nil
}

func postmark(raw []byte) ([]event, error) {
	m, err := decode[struct {
		RecordType, Type, Details, Description, Email, Recipient, Origin, SuppressionReason string
		BouncedAt, DeliveredAt, ChangedAt                                                   time.Time
		SuppressSending                                                                     bool
	}](raw)
	if err != nil {
		return nil, err
	}
	e := event{said: m.Details, to: m.Email, at: m.BouncedAt, texts: texts(raw)}
	switch cmp.Or(m.RecordType, "Bounce") { // older webhooks have bounces only, and do not say so
	case "SpamComplaint":
		e.what = complained
	case "Delivery":
		e.what, e.to, e.at = delivered, m.Recipient, m.DeliveredAt
	case "SubscriptionChange":
		if !m.SuppressSending || m.SuppressionReason != "ManualSuppression" || m.Origin != "Recipient" {
			return nil, nil // the others come as bounces and complaints, or were ours
		}
		e.what, e.to, e.at = unsubscribed, m.Recipient, m.ChangedAt
	case "Bounce":
		switch m.Type {
		case "HardBounce", "BadEmailAddress":
			e.what, e.hard = bounced, true
		case "SoftBounce", "DnsError", "Blocked", "SpamNotification", "VirusNotification", "DMARCPolicy", "Undeliverable":
			e.what = bounced
		case "Transient":
			e.what = delayed
		case "SpamComplaint":
			e.what = complained
		case "Unsubscribe":
			e.what = unsubscribed
		default: // an automatic answer, a change of address
			return nil, nil
		}
	default:
		return nil, nil
	}
	return []event{e}, nil
}

// aliyun reads an event of DirectMail as EventBridge posts it.
func aliyun(raw []byte) ([]event, error) {
	m, err := decode[struct {
		Type string
		Time time.Time
		Data struct {
			Event, Rcpt string
			Code        string `json:"err_code"`
			Said        string `json:"err_msg"`
			Failed      string `json:"failed_type"`
		}
	}](raw)
	if err != nil {
		return nil, err
	}
	e := event{said: m.Data.Said, to: m.Data.Rcpt, at: m.Time, texts: texts(raw)}
	switch m.Type {
	case "dm:Deliver:Fail":
		e.what, e.dead = bounced, m.Data.Failed == "SmtpNxBox" && e.said == ""
	case "dm:Deliver:Succeed":
		e.what = delivered
	case "dm:Feedback:FblReport":
		e.what = complained
	case "dm:Feedback:UnSubscribe":
		e.what = unsubscribed
	default:
		return nil, nil
	}
	return []event{e}, nil
}
