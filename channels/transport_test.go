package channels

import "testing"

// TestNoProxyOfTheEnvironment: a proxy would make the guard's look at the dialled address worthless.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	c := NewClient(ClientConfig{Connections: 64})
	if c.transport.Proxy != nil {
		t.Error("the transport asks the environment for a proxy")
	}
	if c.transport.MaxIdleConnsPerHost != 64 || c.transport.ForceAttemptHTTP2 {
		t.Error("connections are not kept as they were asked for")
	}
}
