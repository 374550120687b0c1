package serve

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// The paths of the HTTP sink; all others are webhooks.
const (
	// PathKannel answers as Kannel does.
	PathKannel = "/cgi-bin/sendsms"
	// PathSMS is a gateway that answers 200 with JSON.
	PathSMS = "/sms"
	// PathWebhook is where webhooks go.
	PathWebhook = "/webhook"
)

// serveHTTP accepts a request, or does the fault that stands for its path.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxMessage))
	if err != nil {
		return
	}
	e := s.entry(r, body)
	fault := s.rules.forHTTP(r.URL.Path, e.ID)
	if fault.Do != "" {
		e.Fault = "http:" + fault.Do
	}
	if !fault.accepts() {
		e.Event = EventFault
	}
	if err := s.journal.add(&e); err != nil {
		http.Error(w, "the sink's journal cannot be written", http.StatusInternalServerError)
		return
	}
	s.answerHTTP(w, r, fault, e.Attempt)
}

// accepts says whether the client, after this fault, is right to think that its message was taken, or would be if it had heard.
func (f HTTPFault) accepts() bool {
	switch f.Do {
	case DoStatus:
		return f.Code >= 200 && f.Code < 300
	case DoReset, DoHang, DoRedirect:
		return false
	default:
		return true
	}
}

func (s *Server) entry(r *http.Request, body []byte) Entry {
	params := parameters(r, body)
	e := Entry{Kind: kindOf(r.URL.Path), Event: EventAccept, ID: requestID(r, params), At: s.now(), Size: len(body)}
	for _, name := range []string{"to", "To", "phone", "mobile", "PhoneNumbers"} {
		if v := params[name]; v != "" {
			e.To = []string{v}
			break
		}
	}
	if s.keep {
		e.Method, e.Path, e.Body = r.Method, r.URL.RequestURI(), body
		e.Header = maps.Clone(r.Header)
	}
	return e
}

func kindOf(p string) string {
	if strings.HasPrefix(p, PathKannel) || strings.HasPrefix(p, PathSMS) {
		return KindSMS
	}
	return KindWebhook
}

// parameters are those of the query, of a form and of a flat JSON object, the later ones winning.
func parameters(r *http.Request, body []byte) map[string]string {
	out := map[string]string{}
	add := func(v url.Values) {
		for k := range v {
			out[k] = v.Get(k)
		}
	}
	add(r.URL.Query())
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		if v, err := url.ParseQuery(string(body)); err == nil {
			add(v)
		}
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")):
		var doc map[string]any
		if json.Unmarshal(body, &doc) == nil {
			for k, v := range doc {
				if s, ok := v.(string); ok {
					out[k] = s
				}
			}
		}
	}
	return out
}

// requestID finds the sender's id: in a header, in a parameter, or in a callback's URL (there as the parameter id or as the last part
// of the path), which is where gateways without an id of the client's get it.
func requestID(r *http.Request, params map[string]string) string {
	for _, h := range []string{"webhook-id", "Idempotency-Key", "X-Carebell-Id"} {
		if v := r.Header.Get(h); v != "" {
			return v
		}
	}
	for _, name := range []string{"id", "client-ref", "client_ref", "OutId", "out_id"} {
		if v := params[name]; v != "" {
			return v
		}
	}
	for _, name := range []string{"dlr-url", "StatusCallback", "callback"} {
		u, err := url.Parse(params[name])
		if err != nil || params[name] == "" {
			continue
		}
		if v := u.Query().Get("id"); v != "" {
			return v
		}
		return path.Base(u.Path)
	}
	return ""
}

// success is the answer of the gateway that a path plays.
func success(p string, attempt int) (code int, contentType, body string) {
	switch {
	case strings.HasPrefix(p, PathKannel):
		return http.StatusAccepted, "text/html", "0: Accepted for delivery"
	case strings.HasPrefix(p, PathSMS):
		return http.StatusOK, "application/json", fmt.Sprintf(`{"status":"accepted","attempt":%d}`, attempt)
	default:
		return http.StatusOK, "text/plain", "ok"
	}
}

func (s *Server) answerHTTP(w http.ResponseWriter, r *http.Request, f HTTPFault, attempt int) {
	code, contentType, body := success(r.URL.Path, attempt)
	w.Header().Set("Content-Type", contentType)
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	switch f.Do {
	case DoStatus:
		f.status(w, r)
		return
	case DoRedirect:
		if f.Code == 0 {
			f.Code = http.StatusFound
		}
		w.Header().Set("Location", f.Location)
		w.WriteHeader(f.Code)
		return
	case DoReset, DoLostYes, DoResetAfter, DoHang, DoDribble, DoKill:
		s.raw(w, f, code, body)
		return
	case DoEndless:
		s.endless(w)
		return
	case DoGzipBomb:
		gzipBomb(w)
		return
	case DoSlow:
		s.wait(f.Delay)
	case DoInformational:
		for range 3 {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

func (f HTTPFault) status(w http.ResponseWriter, r *http.Request) {
	if f.Code == 0 {
		f.Code = http.StatusServiceUnavailable
	}
	if f.Body == "" && strings.HasPrefix(r.URL.Path, PathKannel) && f.Code == http.StatusServiceUnavailable {
		f.Body = "Temporal failure, try again later."
	}
	w.WriteHeader(f.Code)
	_, _ = io.WriteString(w, f.Body)
}

// raw does what net/http would not: it takes the connection over.
func (s *Server) raw(w http.ResponseWriter, f HTTPFault, code int, body string) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	switch f.Do {
	case DoHang:
		s.hang(conn)
	case DoKill:
		s.killed(f)
	case DoResetAfter:
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", code, http.StatusText(code), len(body)+100, body)
	case DoDribble:
		text := fmt.Sprintf("HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", code, http.StatusText(code), len(body), body)
		_ = s.dribble(buf, text, f.Delay)
		return
	}
	reset(conn)
}

func (s *Server) endless(w http.ResponseWriter) {
	chunk := bytes.Repeat([]byte("endless "), 4096)
	for {
		select {
		case <-s.stopping:
			return
		default:
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// gzipBomb sends 64 gzip members of 16 MiB of zeros; readers join members (RFC 1952, 2.2).
func gzipBomb(w http.ResponseWriter) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, _ = z.Write(make([]byte, 16<<20))
	_ = z.Close()
	w.Header().Set("Content-Encoding", "gzip")
	for range 64 {
		if _, err := w.Write(member.Bytes()); err != nil {
			return
		}
	}
}
