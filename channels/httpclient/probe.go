package httpclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"

	"github.com/carebell/carebell/channels"
)

// errConnected ends a probe whose CONNECT was taken, before anything is said to the target.
var errConnected = errors.New("the proxy connected")

// Probe reports whether the host of an http(s) URL takes a connection, directly or through the proxy that the environment names for it.
// It sends no request. via is the proxy's host:port, "" without one. For an http URL the proxy itself is all that can be tried: it is
// asked for the target with the request only.
func Probe(ctx context.Context, target *url.URL) (via string, err error) {
	proxy, err := httpproxy.FromEnvironment().ProxyFunc()(target)
	if err != nil {
		return "", errors.New("the proxy's URL in the environment cannot be read")
	}
	if proxy == nil {
		return "", dialOnce(ctx, address(target))
	}
	via = address(proxy)
	if target.Scheme != "https" || (proxy.Scheme != "http" && proxy.Scheme != "https") {
		return via, dialOnce(ctx, via)
	}
	t := &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSHandshakeTimeout: handshakeLimit, DisableKeepAlives: true,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return &proxyError{r.StatusCode}
			}
			return errConnected
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, target.Scheme+"://"+target.Host+"/", http.NoBody)
	if err != nil {
		return via, errors.New("the URL cannot be requested")
	}
	resp, err := t.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	no, refused := errors.AsType[*proxyError](err)
	switch {
	case err == nil, errors.Is(err, errConnected):
		return via, nil
	case refused:
		return via, no
	}
	return via, channels.Cause(err)
}

// address is the host:port of an URL, with the port that its scheme stands for.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func dialOnce(ctx context.Context, to string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
	if err != nil {
		return channels.Cause(err)
	}
	return c.Close()
}
