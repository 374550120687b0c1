package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/carebell/carebell/config/yaml"
)

// Account is one SMS gateway with what it asks of us and what it is for: an entry of CARE_SMS_ACCOUNTS.
type Account struct {
	// Name is what everything about the account goes by; Gateway the provider or the gateway file, of which there may be several
	// accounts. Without a name it is the gateway's.
	Name     string `yaml:"name"`
	Gateway  string `yaml:"gateway"`
	URL      string `yaml:"url"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	From     string `yaml:"from"`
	Region   string `yaml:"region"`
	// Countries are ISO 3166-1 alpha-2 codes of the dealer, Prefixes beginnings of the recipient's number; empty = all.
	Countries []string `yaml:"countries"`
	Prefixes  []string `yaml:"prefixes"`
	Dealers   []string `yaml:"dealers"`
	// Connections and Rate (messages per second, all replicas together) are the gateway's own; 0 = those of CARE_SMS_…
	Connections int     `yaml:"connections"`
	Rate        float64 `yaml:"rate"`
}

// String keeps an account's password and user out of logs.
func (a Account) String() string { return a.Name }

// GoString does the same for %#v.
func (a Account) GoString() string { return fmt.Sprintf("%q", a.Name) }

// Routes returns the SMS gateways in the order in which they are asked: those of CARE_SMS_ACCOUNTS, or the single one of
// CARE_SMS_GATEWAY. An error shows no value.
func (s *SMS) Routes() ([]Account, error) {
	if s.Accounts.IsZero() {
		if s.Gateway == "" {
			return nil, nil
		}
		return []Account{{Name: s.Gateway, Gateway: s.Gateway, URL: s.URL, User: s.User, Password: s.Password.Reveal(), From: s.From}}, nil
	}
	if s.Gateway != "" {
		return nil, errors.New("CARE_SMS_ACCOUNTS and CARE_SMS_GATEWAY are both set: keep one")
	}
	var all []Account
	if _, problems := yaml.Decode("CARE_SMS_ACCOUNTS", []byte(s.Accounts.Reveal()), &all); len(problems) > 0 {
		// The error says the line only: a password may stand where a name should.
		return nil, fmt.Errorf("CARE_SMS_ACCOUNTS: line %d: write a list of gateways in YAML, each with name, gateway, url, user, password, from, region, countries, prefixes, dealers, connections, rate", max(problems[0].Line, 1))
	}
	if len(all) == 0 {
		return nil, errors.New("CARE_SMS_ACCOUNTS: the list is empty")
	}
	for i := range all {
		if err := all[i].check(); err != nil {
			return nil, fmt.Errorf("CARE_SMS_ACCOUNTS: entry %d: %w", i+1, err)
		}
		if all[i].Name == "" {
			all[i].Name = all[i].Gateway
		}
		if slices.ContainsFunc(all[:i], func(a Account) bool { return a.Name == all[i].Name }) {
			return nil, fmt.Errorf("CARE_SMS_ACCOUNTS: entry %d: %s is there twice: give each account of a provider a name of its own, such as name: %s-2", i+1, all[i].Name, all[i].Gateway)
		}
	}
	return all, nil
}

var (
	accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	country     = regexp.MustCompile(`^[A-Z]{2}$`)
	numberBegin = regexp.MustCompile(`^\+[1-9]\d{0,14}$`)
)

func (a *Account) check() error {
	if !accountName.MatchString(a.Gateway) {
		return errors.New("gateway: write kannel, twilio, vonage, aliyun, tencent, a shipped file (docs/gateways.md), or a file of the book's gateways/")
	}
	if a.Name != "" && !accountName.MatchString(a.Name) {
		return errors.New("name: write small letters, digits and hyphens, such as twilio-us")
	}
	if u, err := url.Parse(a.URL); a.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("url: write http://… or https://…")
	}
	if a.Gateway == "kannel" && a.URL == "" {
		return errors.New("url: kannel needs one, such as http://127.0.0.1:13013/cgi-bin/sendsms")
	}
	for field, bad := range map[string]bool{
		"countries: write two capital letters each, such as CN":            slices.ContainsFunc(a.Countries, func(s string) bool { return !country.MatchString(s) }),
		"prefixes: write + and digits each, in quotes, such as \"+86139\"": slices.ContainsFunc(a.Prefixes, func(s string) bool { return !numberBegin.MatchString(s) }),
		"connections: write a number from 1 to 1000":                       a.Connections < 0 || a.Connections > 1000,
		"rate: write messages per second":                                  !(a.Rate >= 0 && a.Rate < 1e9),
		"dealers: write names of dealers.yaml":                             slices.ContainsFunc(a.Dealers, func(s string) bool { return strings.TrimSpace(s) == "" }),
	} {
		if bad {
			return errors.New(field)
		}
	}
	return nil
}
