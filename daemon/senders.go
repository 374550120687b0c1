package daemon

import (
	"io/fs"

	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/service/operate"
)

// OpenSenders sets up the channels as the daemon does, for test sends and for the doctor.
func (e *Env) OpenSenders(files fs.FS) (*operate.Senders, error) {
	s, err := e.newSenders(files)
	if err != nil {
		return nil, err
	}
	return &operate.Senders{ByChannel: s.byChannel, Close: s.close}, nil
}

// Gateways returns the SMS gateways of the settings, in the order in which they are asked.
func (e *Env) Gateways() ([]sms.Gateway, error) { return e.gateways() }
