// Package httpclient sends the requests of the channels: outgoing net/http with the guard against requests into the inside of a network.
//
// It promises that a request is repeated at once only if that is harmless; that the caller learns whether a failed request may have
// reached its receiver (care.KindUncertain) or cannot have (care.KindRetry); that an answer costs at most 64 KiB of memory whatever the
// receiver sends; that no redirect is followed; that the guard judges the host of every request, through a proxy as well; and that no
// URL, header, body or address of a request appears in an error.
//
// Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case, as golang.org/x/net/http/httpproxy reads them when a client is
// made. Certificate authorities come from the system, or from SSL_CERT_FILE and SSL_CERT_DIR, which crypto/x509 reads. It does not know
// what a provider's answer means: each channel reads its own.
package httpclient
