package config

import "github.com/carebell/carebell/care"

// The defaults of design A3. They are in place before a file is read, so that what it says wins, and what it leaves out, or
// writes without a value, is the default.

func defaultDealer() *care.Dealer {
	week := func(n int) care.Cap { return care.Cap{PerWeek: &n} }
	yes, no := true, false
	return &care.Dealer{
		QuietHours: map[string]care.Window{
			"default":               {From: 21 * 60, To: 8 * 60},
			string(care.Commercial): {From: 20 * 60, To: 9 * 60},
		},
		Caps:            map[string]care.Cap{"default": week(2), "A": week(3), "C": week(1)},
		ConsentDefault:  care.Consent{Service: &yes, Commercial: &no},
		LeapDay:         "feb28",
		DefaultKMPerDay: 40,
		MakeAliases:     map[string]string{"别克": "Buick"},
	}
}

func defaultProgram() *care.Program {
	return &care.Program{
		Enabled: true, Class: care.Service, Schedule: "0 9 * * *", Expires: care.Expiry{Hours: 72},
		Channels: []string{"preferred", string(care.SMS), string(care.Email)}, Priority: 50,
	}
}
