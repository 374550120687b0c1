package config

// Settings are the settings of the environment (design A8). Names follow from the fields: SMS.Gateway is CARE_SMS_GATEWAY. No
// field has an `envconfig` tag: with one, envconfig would also read the variable without its prefix.
type Settings struct {
	RedisURL         Secret `split_words:"true" default:"redis://127.0.0.1:6379/0" desc:"where customers and the daemon's state are: redis://, rediss://, redis-sentinel://h1,h2/master or redis-cluster://h1,h2"`
	RedisURLFile     string `split_words:"true" file:"RedisURL"`
	AllowUnsafeRedis bool   `split_words:"true" default:"false" desc:"start although Redis could lose messages (no AOF, eviction, older than 7.0)"`

	ImportDir string   `split_words:"true" desc:"folder from which serve imports the files that appear, and moves them to done/ or failed/ in it"`
	Book      string   `desc:"folder of the care book; without one only the built-in example is there, and serve refuses to start"`
	Sweep     string   `default:"@every 15m" desc:"when all customers are gone through: five cron fields or @every 15m"`
	Lease     Duration `default:"30s" desc:"how long a claimed message is one replica's before another takes it over"`
	StateDir  string   `split_words:"true" desc:"folder for what one replica keeps for itself; none: nothing is kept"`

	Retention Duration `default:"180d" desc:"how long messages stay on record; records of consent and opt-out stay"`

	Listen           string   `default:"127.0.0.1:8080" desc:"address of the console, the API and the metrics; other than loopback needs CARE_CONSOLE_TOKEN"`
	ConsoleToken     Secret   `split_words:"true" desc:"token for the console and the API"`
	ConsoleTokenFile string   `split_words:"true" file:"ConsoleToken"`
	ConsoleURL       List     `split_words:"true" desc:"under which addresses, besides loopback and CARE_LISTEN, the console and the API are opened, with commas: https://care.dealer.example"`
	PublicListen     string   `split_words:"true" desc:"address of the customers' pages and the gateways' callbacks; needs CARE_PUBLIC_URL"`
	PublicURL        string   `split_words:"true" desc:"what customers and gateways call it, such as https://care.dealer.example; needs CARE_SECRET_KEY"`
	TrustedProxies   Prefixes `split_words:"true" desc:"proxies whose X-Forwarded-For is believed, with commas: 127.0.0.1, 10.0.0.0/8"`
	SecretKey        Secrets  `split_words:"true" desc:"keys for links and callbacks, at least 32 characters each (carebell token new-key), with commas: the first signs, all verify"`
	SecretKeyFile    string   `split_words:"true" file:"SecretKey"`
	AddressKey       Secret   `split_words:"true" desc:"the key with which addresses that opted out, are dead or erased are kept; it never changes; none: the last of CARE_SECRET_KEY"`
	AddressKeyFile   string   `split_words:"true" file:"AddressKey"`

	SMTP    SMTP
	Bounce  Bounce
	DKIM    DKIM
	SMS     SMS
	Webhook Webhook

	DryRun        bool   `split_words:"true" default:"false" desc:"plan, render and record everything, and send nothing"`
	RedirectEmail string `split_words:"true" desc:"send every e-mail to this address instead"`
	RedirectPhone string `split_words:"true" desc:"send every SMS to this number (with +) instead"`

	LogFormat string `split_words:"true" default:"text" desc:"text or json"`
	LogLevel  Level  `split_words:"true" default:"info" desc:"debug, info, warn or error"`

	hashKey []byte // see UseHashKey
}

// SMTP says how e-mail leaves.
type SMTP struct {
	URL         Secrets `desc:"mail servers with commas: smtp://user:password@host:587 or smtps://…; ?starttls=always|opportunistic|never, ?ca=FILE, ?verify=false, ?auth=login; a user without a password logs in with a token"`
	URLFile     string  `split_words:"true" file:"URL"`
	ReturnPath  string  `split_words:"true" desc:"where returned mail goes, such as bounce+{id}@dealer.example; none: the dealer's From address"`
	HELO        string  `desc:"the name to greet mail servers with: a full host name or an address in brackets; none: the domain of the dealer's From, else this machine's full name or address"`
	Token       Token
	Connections int     `default:"16" desc:"connections to each mail server; one may have its own: ?connections= in its URL"`
	Rate        float64 `default:"0" desc:"most e-mails per second to each mail server, all replicas together; 0 is no limit; one may have its own: ?rate= in its URL"`

	DomainConnections Limits `split_words:"true" desc:"most e-mails at a time to a domain, by each replica: qq.com=4, *=16 (* is any other domain); none: no limit"`
	Warmup            Warmup `desc:"most e-mails a day to each domain while a sender is new, all replicas together: 2026-12-01:50,x1.5 begins that day (UTC) with 50 and lets half as many more go each day; none: no limit"`
	DomainRate        Limits `split_words:"true" desc:"most e-mails per second to a domain, all replicas together: qq.com=20, *=100 (* is any other domain); none: no limit"`
}

// Bounce says where returned mail arrives.
type Bounce struct {
	Maildir string `desc:"Maildir in which returned mail arrives; it is read every 30 s. None: a mail server posts it to /hooks/email/bounce"`
	IMAP    BounceIMAP

	SESTopic       string `split_words:"true" desc:"ARN of the SNS topic of bounces and complaints of Amazon SES, which posts to /hooks/email/ses"`
	SendgridKey    string `split_words:"true" desc:"verification key of SendGrid's event webhook, which posts to /hooks/email/sendgrid"`
	MailgunKey     Secret `split_words:"true" desc:"HTTP webhook signing key of Mailgun, which posts to /hooks/email/mailgun"`
	MailgunKeyFile string `split_words:"true" file:"MailgunKey"`
}

// BounceIMAP says where returned mail is fetched from.
type BounceIMAP struct {
	URL     Secret `desc:"folder in which returned mail arrives, read every 30 s: imaps://user:password@host/Folder, or imap://… with ?starttls=always|never"`
	URLFile string `split_words:"true" file:"URL"`
	Token   Token
}

// Token says where access tokens (OAuth 2.0) come from, for a URL that has a user and no password.
type Token struct {
	Command          string `desc:"program that prints an access token, with its arguments; instead of a token URL"`
	URL              string `desc:"token URL, such as https://login.microsoftonline.com/TENANT/oauth2/v2.0/token"`
	ClientID         string `split_words:"true" desc:"the application's id at the token URL"`
	ClientSecret     Secret `split_words:"true" desc:"the application's secret"`
	ClientSecretFile string `split_words:"true" file:"ClientSecret"`
	Scope            string `desc:"what the token is for, such as https://outlook.office365.com/.default"`
	Refresh          Secret `desc:"refresh token of the mailbox's owner; none: the application's own credentials"`
	RefreshFile      string `split_words:"true" file:"Refresh"`
}

// DKIM signs e-mail (RFC 6376) where the mail server does not.
type DKIM struct {
	Domain   string `desc:"the domain that signs e-mail; none: the mail server signs"`
	Selector string `desc:"the selector under which the public key stands in DNS"`
	Key      Secret `desc:"the private key, PEM (RSA or Ed25519)"`
	KeyFile  string `split_words:"true" file:"Key"`
}

// SMS says how text messages leave.
type SMS struct {
	Gateway      string  `desc:"kannel, twilio, vonage, aliyun, tencent, a shipped file (docs/gateways.md), or a file of the book's gateways/"`
	URL          string  `desc:"the gateway's address, where it has no fixed one"`
	User         string  `desc:"user, account or access key id"`
	Password     Secret  `desc:"password, token or access key secret"`
	PasswordFile string  `split_words:"true" file:"Password"`
	From         string  `desc:"sender number, sender id, or (tencent) the SdkAppId"`
	Accounts     Secret  `desc:"several gateways instead of the one above: a list in YAML (docs/gateways.md), best in a file"`
	AccountsFile string  `split_words:"true" file:"Accounts"`
	Connections  int     `default:"8" desc:"connections to each gateway that has no number of its own"`
	Rate         float64 `default:"0" desc:"most messages per second through each gateway that has no rate of its own, all replicas together; 0 is no limit"`
}

// Webhook says where webhooks and events go.
type Webhook struct {
	URL         Secret  `desc:"endpoint of webhook messages, tasks and events; a secret, because group bots carry their key in it"`
	URLFile     string  `split_words:"true" file:"URL"`
	Secret      Secrets `desc:"signing secrets (Standard Webhooks, whsec_…) with commas: all sign, so that one can be replaced"`
	SecretFile  string  `split_words:"true" file:"Secret"`
	Events      bool    `default:"false" desc:"send every entry of care:events to the endpoint"`
	AllowHosts  List    `split_words:"true" desc:"names of endpoints inside your own network, with commas; all other private addresses are refused"`
	Connections int     `default:"16" desc:"connections to endpoints"`
	Rate        float64 `default:"0" desc:"most requests per second, all replicas together; 0 is no limit"`
}
