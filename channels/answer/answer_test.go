package answer

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
)

var stageOf = map[string]Stage{"C": Connect, "A": Auth, "M": MailFrom, "R": Rcpt, "D": Dot, "B": Report}

// parse takes a line as a server writes it.
func parse(stage, line string) Answer {
	a := Answer{Stage: stageOf[stage], Text: line, Theirs: stage == "B"}
	if code, err := strconv.Atoi(line[:3]); err == nil && a.Stage != Report {
		a.Code, a.Text = code, line[4:]
	}
	return a
}

// TestRealAnswers reads what real servers said.
func TestRealAnswers(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/answers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile("testdata/issues.tsv")
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, more...)
	n := 0
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, "\t", 4)
		if len(f) != 4 {
			t.Fatalf("no four columns: %q", line)
		}
		n++
		got := Read(parse(f[0], f[3]))
		ok := string(got.Kind) == f[1]
		switch f[1] {
		case "live":
			ok = got.Kind != care.KindRecipient
		case "soft":
			ok = got.Kind == care.KindRetry
		}
		if !ok {
			t.Errorf("%s: %s, want %s (words: %q)\n\t%s", f[0], got, f[1], about(f[3]), f[3])
		}
	}
	if n < 200 {
		t.Errorf("%d answers, want 200 at the least", n)
	}
}

func TestWordsAreMaskedAndBounded(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"5.1.1 <wang@example.com>: User unknown":                     "5.1.1 <…>: User unknown",
		"User not found: Wang.Xiao":                                  "User not found: …",
		"no route to +86 138 0013 8000 now":                          "no route to … now",
		"see https://x.example/a?to=wang%40example.com&x=1 for more": "see https://x.example/a for more",
		"two\r\nlines\x00":                                           "two lines",
		"blocked, IP 203.0.113.5, S3150":                             "blocked, IP 203.0.113.5, S3150",
		strings.Repeat("长", 100):                                     strings.Repeat("长", 66) + "…",
		"pass s3cret":                                                "pass …",
	} {
		if got := Words(said, append(Secrets("wang.xiao@example.com"), "s3cret")...); got != want {
			t.Errorf("Words(%q) = %q, want %q", said, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(uint8(3), 550, "5.1.1", "user unknown")
	f.Fuzz(func(t *testing.T, stage uint8, code int, enhanced, text string) {
		a := Answer{Stage: Stage(stage % 7), Code: code, Enhanced: enhanced, Text: text}
		e := Read(a)
		if e.Kind == "" || len(e.Code) > 16 {
			t.Errorf("%+v gives %v", a, e)
		}
		if code >= 400 && code < 500 && e.Kind == care.KindRecipient {
			t.Errorf("%+v: a 4xx makes an address dead", a)
		}
		if w := Words(text); len(w) > mostWords+3 || strings.ContainsAny(w, "\r\n") {
			t.Errorf("words of %d bytes: %q", len(w), w)
		}
	})
}
