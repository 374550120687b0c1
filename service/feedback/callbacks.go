package feedback

import (
	"net/url"
	"strings"

	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/store"
)

// Callback is an address that somebody outside calls, and how it is set up there.
type Callback struct {
	From   string // who calls it
	URL    string
	Secret string // what goes with the URL; "" = nothing, or it is in the URL
	How    string
}

// Finding says that the address is to be called, without its secret.
func (c Callback) Finding() store.Finding {
	shown, _, hidden := strings.Cut(c.URL, "?")
	what := "the " + c.From + " is to call " + shown
	if hidden || c.Secret != "" {
		what += " with its secret (carebell doctor --show-callbacks prints it)"
	}
	return store.Finding{OK: true, What: what}
}

// Callbacks lists the addresses that an operator must give to gateways and mail servers. They hold secrets: whoever has one can
// report what was never delivered. Without a public URL and a key there are none.
func Callbacks(set *config.Settings) []Callback {
	public := strings.TrimRight(set.PublicURL, "/")
	if public == "" || len(set.SecretKey) == 0 {
		return nil
	}
	out := []Callback{{
		From: "mail server", URL: public + "/hooks/email/bounce", Secret: "Authorization: Bearer " + set.BounceSecrets()[0],
		How: "post each returned mail as message/rfc822, such as from a pipe; or let it arrive in CARE_BOUNCE_MAILDIR or CARE_BOUNCE_IMAP_URL",
	}}
	for _, from := range []struct{ provider, name, key, how string }{
		{"ses", "Amazon SES", set.Bounce.SESTopic, "HTTPS subscription of the SNS topic, without raw message delivery; with the original headers in the notifications"},
		{"sendgrid", "SendGrid", set.Bounce.SendgridKey, "event webhook, signed"},
		{"mailgun", "Mailgun", set.Bounce.MailgunKey.Reveal(), "webhook for permanent failures and complaints"},
	} {
		if from.key != "" {
			out = append(out, Callback{From: from.name, URL: public + "/hooks/email/" + from.provider, How: from.how})
		}
	}
	accounts, err := set.SMS.Routes()
	if err != nil {
		return out // the settings say it
	}
	for _, g := range accounts {
		at := public + "/hooks/sms/" + g.Name
		token := at + "?token=" + url.QueryEscape(sms.CallbackToken(set.CallbackKeys()[0], g.Name))
		switch g.Gateway {
		case "kannel":
			out = append(out, Callback{
				From: "SMS gateway " + g.Name, URL: token + "&from=%p&to=%P&text=%a&id=%I",
				How: "get-url of an sms-service with accept-x-kannel-headers, catch-all and max-messages = 0, for replies; receipts find their way by themselves",
			})
		case "twilio":
			out = append(out, Callback{
				From: "SMS gateway " + g.Name, URL: at,
				How: "webhook for incoming messages of the number or messaging service; it is signed. Receipts find their way by themselves",
			})
		default:
			out = append(out, Callback{From: "SMS gateway " + g.Name, URL: token, How: "URL for receipts (status reports) and for replies"})
		}
	}
	return out
}
