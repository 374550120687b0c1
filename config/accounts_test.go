package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/config"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	two := `
- gateway: aliyun
  user: LTAI
  password: "s3cret"
  from: 浦东别克
  countries: [CN]
- {gateway: twilio, user: AC1, password: s3cret, from: MG1, prefixes: ["+1"], dealers: [harbor], connections: 2, rate: 0.5}
`
	tests := map[string]struct {
		sms  config.SMS
		want []config.Account
		err  string
	}{
		"none": {},
		"the single one": {
			config.SMS{Gateway: "kannel", URL: "http://k", User: "u", Password: config.NewSecret("p"), From: "1069"},
			[]config.Account{{Name: "kannel", Gateway: "kannel", URL: "http://k", User: "u", Password: "p", From: "1069"}},
			"",
		},
		"two": {config.SMS{Accounts: config.NewSecret(two)}, []config.Account{
			{Name: "aliyun", Gateway: "aliyun", User: "LTAI", Password: "s3cret", From: "浦东别克", Countries: []string{"CN"}},
			{Name: "twilio", Gateway: "twilio", User: "AC1", Password: "s3cret", From: "MG1", Prefixes: []string{"+1"}, Dealers: []string{"harbor"}, Connections: 2, Rate: 0.5},
		}, ""},
		"both":      {config.SMS{Accounts: config.NewSecret(two), Gateway: "kannel"}, nil, "are both set: keep one"},
		"a typo":    {config.SMS{Accounts: config.NewSecret("- gateway: aliyun\n  pasword: s3cret\n")}, nil, "CARE_SMS_ACCOUNTS: line 2: "},
		"no list":   {config.SMS{Accounts: config.NewSecret("s3cret")}, nil, "CARE_SMS_ACCOUNTS: line 1: "},
		"empty":     {config.SMS{Accounts: config.NewSecret("[]")}, nil, "the list is empty"},
		"twice":     {config.SMS{Accounts: config.NewSecret("[{gateway: aliyun}, {gateway: aliyun}]")}, nil, "entry 2: aliyun is there twice: give each account of a provider a name"},
		"names":     {config.SMS{Accounts: config.NewSecret("[{name: us, gateway: twilio}, {gateway: twilio}]")}, []config.Account{{Name: "us", Gateway: "twilio"}, {Name: "twilio", Gateway: "twilio"}}, ""},
		"same name": {config.SMS{Accounts: config.NewSecret("[{name: us, gateway: twilio}, {name: us, gateway: vonage}]")}, nil, "entry 2: us is there twice"},
		"bad name":  {config.SMS{Accounts: config.NewSecret("[{name: ../us, gateway: twilio}]")}, nil, "entry 1: name: write"},
		"no name":   {config.SMS{Accounts: config.NewSecret("[{user: s3cret}]")}, nil, "entry 1: gateway: write "},
		"kannel":    {config.SMS{Accounts: config.NewSecret("[{gateway: kannel}]")}, nil, "entry 1: url: kannel needs one"},
		"url":       {config.SMS{Accounts: config.NewSecret("[{gateway: x, url: s3cret}]")}, nil, "entry 1: url: write http"},
		"countries": {config.SMS{Accounts: config.NewSecret("[{gateway: x, countries: [China]}]")}, nil, "entry 1: countries: "},
		"rate":      {config.SMS{Accounts: config.NewSecret("[{gateway: x, rate: -1}]")}, nil, "entry 1: rate: "},
		"too many":  {config.SMS{Accounts: config.NewSecret("[{gateway: x, connections: 5000}]")}, nil, "entry 1: connections: "},
		"prefixes":  {config.SMS{Accounts: config.NewSecret(`[{gateway: x, prefixes: ["139"]}]`)}, nil, "entry 1: prefixes: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.sms.Routes()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells a secret: %v", err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", got, got, got), "s3cret") {
				t.Error("an account prints its password")
			}
		})
	}
}
