package sink

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink/serve"
)

// plain follows no redirect, unpacks nothing and reuses no connection (Go's client would repeat a request on a reused one).
var plain = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func request(t *testing.T, ctx context.Context, method, address, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func TestHTTPFindsTheID(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	dlr := url.QueryEscape("http://127.0.0.1:1/hooks/sms/kannel?id=k1-sms&s=%d")
	form := "application/x-www-form-urlencoded"
	for _, c := range []struct {
		method, address, body string
		header                []string
		want                  Entry
		code                  int
		answer                string
	}{
		{"POST", s.WebhookURL(), `{"id":"inner"}`, []string{"webhook-id", "w1"}, Entry{Kind: "webhook", ID: "w1", Size: 14}, 200, "ok"},
		{"PUT", s.HTTPURL() + "/any", "", []string{"Idempotency-Key", "w2"}, Entry{Kind: "webhook", ID: "w2"}, 200, "ok"},
		{
			"POST", s.SMSURL(), `{"id":"s1","to":"+8613800138000"}`, nil,
			Entry{Kind: "sms", ID: "s1", To: []string{"+8613800138000"}, Size: 33},
			200, `{"status":"accepted","attempt":1}`,
		},
		{
			"POST", s.SMSURL(), "OutId=s2&phone=139",
			[]string{"Content-Type", form},
			Entry{Kind: "sms", ID: "s2", To: []string{"139"}, Size: 18},
			200,
			`{"status":"accepted","attempt":1}`,
		},
		{
			"GET", s.KannelURL() + "?to=86138&dlr-url=" + dlr, "", nil,
			Entry{Kind: "sms", ID: "k1-sms", To: []string{"86138"}},
			202,
			"0: Accepted for delivery",
		},
		{
			"GET", s.KannelURL() + "?to=86138&dlr-url=http%3A%2F%2Fx%2Fcb%2Fk2-sms", "", nil,
			Entry{Kind: "sms", ID: "k2-sms", To: []string{"86138"}},
			202,
			"0: Accepted for delivery",
		},
	} {
		res, err := plain.Do(request(t, t.Context(), c.method, c.address, c.body, c.header...))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.code || string(answer) != c.answer {
			t.Errorf("%s: %d %q %v", c.want.ID, res.StatusCode, answer, err)
		}
		all := s.Journal()
		c.want.Event, c.want.Attempt = "accept", 1
		if diff := cmp.Diff(c.want, all[len(all)-1], cmpopts.IgnoreFields(Entry{}, "At")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.want.ID, diff)
		}
	}
}

func TestHTTPKeepsBodies(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Keep: true})
	res, err := plain.Do(request(t, t.Context(), "POST", s.WebhookURL()+"?a=b", "您好", "webhook-id", "w1"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	e := s.Journal()[0]
	if string(e.Body) != "您好" || e.Method != "POST" || e.Path != "/webhook?a=b" || http.Header(e.Header).Get("webhook-id") != "w1" {
		t.Errorf("%+v", e)
	}
}

// outcome is what a plain client sees of an answer.
type outcome struct {
	Code int
	End  string // "", "reset", "cut" (less than promised), "time-out"
}

func ask(t *testing.T, address, id string, patience time.Duration) (outcome, *http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := plain.Do(request(t, ctx, "POST", address, "{}", "webhook-id", id))
	if err != nil {
		return outcome{End: ending(err)}, nil, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return outcome{Code: res.StatusCode, End: ending(err)}, res, body
}

func ending(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "cut"
	case errors.Is(err, context.DeadlineExceeded):
		return "time-out"
	default:
		return err.Error()
	}
}

func TestHTTPFaults(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	const short, long = 100 * time.Millisecond, 5 * time.Second
	for _, c := range []struct {
		name     string
		fault    HTTPFault
		patience time.Duration
		want     outcome
		accepts  int
	}{
		{"503", HTTPFault{Do: serve.DoStatus}, long, outcome{Code: 503}, 0},
		{"410", HTTPFault{Do: serve.DoStatus, Code: 410}, long, outcome{Code: 410}, 0},
		{"204", HTTPFault{Do: serve.DoStatus, Code: 204}, long, outcome{Code: 204}, 1},
		{"429", HTTPFault{Do: serve.DoStatus, Code: 429, Header: map[string]string{"Retry-After": "-7 rubbish"}}, long, outcome{Code: 429}, 0},
		{"reset", HTTPFault{Do: serve.DoReset}, long, outcome{End: "reset"}, 0},
		{"lost", HTTPFault{Do: serve.DoLostYes}, long, outcome{End: "reset"}, 1},
		{"after", HTTPFault{Do: serve.DoResetAfter}, long, outcome{Code: 200, End: "reset"}, 1},
		{"hang", HTTPFault{Do: serve.DoHang}, short, outcome{End: "time-out"}, 0},
		{"slow", HTTPFault{Do: serve.DoSlow, Delay: time.Minute}, short, outcome{End: "time-out"}, 1},
		{"soon", HTTPFault{Do: serve.DoSlow, Delay: time.Millisecond}, long, outcome{Code: 200}, 1},
		{"headers", HTTPFault{Do: serve.DoDribble, Delay: 20 * time.Millisecond}, short, outcome{End: "time-out"}, 1},
		{"dribble", HTTPFault{Do: serve.DoDribble, Delay: time.Microsecond}, long, outcome{Code: 200}, 1},
		{"302", HTTPFault{Do: serve.DoRedirect, Location: "http://127.0.0.1:1/"}, long, outcome{Code: 302}, 0},
		{"endless", HTTPFault{Do: serve.DoEndless}, long, outcome{Code: 200}, 1},
		{"103", HTTPFault{Do: serve.DoInformational}, long, outcome{Code: 200}, 1},
	} {
		s.Set(Faults{HTTP: []HTTPFault{c.fault}})
		got, res, body := ask(t, s.WebhookURL(), c.name, c.patience)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
		// A client without patience may be gone before the sink has written it down.
		peers.Eventually(t, long, c.name, func() error {
			if n := s.Accepts()[c.name]; n != c.accepts {
				return fmt.Errorf("%d accepts, want %d", n, c.accepts)
			}
			return nil
		})
		switch {
		case res == nil:
		case c.name == "429" && res.Header.Get("Retry-After") != "-7 rubbish":
			t.Errorf("Retry-After: %q", res.Header.Get("Retry-After"))
		case c.name == "302" && res.Header.Get("Location") != c.fault.Location:
			t.Errorf("Location: %q", res.Header.Get("Location"))
		case c.name == "endless" && len(body) < 1<<20:
			t.Errorf("the endless body ended after %d bytes", len(body))
		}
	}
}

func TestHTTPInformationalAnswersAreSeen(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Faults: Faults{HTTP: []HTTPFault{{Do: serve.DoInformational}}}})
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
	})
	res, err := plain.Do(request(t, ctx, "POST", s.WebhookURL(), "{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if hints != 3 {
		t.Errorf("%d answers of 1xx", hints)
	}
}

func TestHTTPGzipBomb(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Faults: Faults{HTTP: []HTTPFault{{Do: serve.DoGzipBomb}}}})
	res, err := plain.Do(request(t, t.Context(), "POST", s.WebhookURL(), "{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", res.Header)
	}
	wire := &countingReader{r: res.Body}
	z, err := gzip.NewReader(wire)
	if err != nil {
		t.Fatal(err)
	}
	// More than one member's worth, which is enough to know that it goes on.
	n, err := io.CopyN(io.Discard, z, 64<<20)
	if err != nil || wire.n > 1<<20 {
		t.Errorf("%d bytes out of %d: %v", n, wire.n, err)
	}
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestHTTPDownAndKannel503(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Faults: Faults{HTTP: []HTTPFault{{Path: serve.PathKannel, Do: serve.DoStatus, When: When{Times: 1}}}}})
	if got, _, body := ask(t, s.KannelURL(), "k", 5*time.Second); got.Code != 503 || string(body) != "Temporal failure, try again later." {
		t.Errorf("%+v %q", got, body)
	}
	if got, _, _ := ask(t, s.KannelURL(), "k", 5*time.Second); got.Code != 202 {
		t.Errorf("the second time: %+v", got)
	}
	all := s.Journal()
	if len(all) != 2 || all[0].Event != "fault" || all[0].Fault != "http:status" || all[1].Attempt != 2 {
		t.Errorf("%+v", all)
	}
	s.Down("http", time.Minute)
	if got, _, _ := ask(t, s.WebhookURL(), "w", 5*time.Second); !strings.Contains(got.End, "refused") {
		t.Errorf("while down: %+v", got)
	}
}
