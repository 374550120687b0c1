package serve

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Faults are what the sink does wrong, in the order in which the rules are tried; the first rule that applies to a request or an SMTP
// verb and whose dice fall is the one that counts.
type Faults struct {
	SMTP []SMTPFault `json:"smtp,omitempty"`
	HTTP []HTTPFault `json:"http,omitempty"`
}

// The points of an SMTP session at which a fault can stand.
const (
	AtConnect = "connect" // instead of the greeting
	AtHelo    = "helo"    // EHLO and HELO
	AtMail    = "mail"
	AtRcpt    = "rcpt"
	AtData    = "data" // the answer to DATA itself
	AtBody    = "body" // the answer to the final dot
	AtRset    = "rset"
	AtNoop    = "noop"
	AtQuit    = "quit"
	AtAny     = "any" // whichever comes; Percent is then per verb
	// AtRandom draws, once per transaction at MAIL, whether it goes wrong and at which of mail, rcpt, data and body: Percent is per
	// message.
	AtRandom = "random"
	// AtFirstByte is the first byte of a message (SMTP: after DATA; HTTP: of the request), when nothing has been accepted yet. Only
	// DoKill stands here.
	AtFirstByte = "first-byte"
)

// What a fault does. The lists in SMTPFault and HTTPFault say which of them apply.
const (
	// DoReply answers with Code; a 421 ends the session, too.
	DoReply = "reply"
	// DoReset resets the connection without an answer; at body and with HTTP nothing has been accepted.
	DoReset = "reset"
	// DoLostYes accepts and journals, then resets the connection without an answer.
	DoLostYes = "lost-yes"
	// DoHang never answers and holds the connection until the client gives up or the sink is told otherwise by Set.
	DoHang = "hang"
	// DoSlow answers properly, after Delay.
	DoSlow = "slow"
	// DoDribble answers properly, one byte per Delay (HTTP: the header, so that it never comes in one piece).
	DoDribble = "dribble"
	// DoMixed is one of a 4xx reply, a 5xx reply, a hang and a reset, drawn with equal chance.
	DoMixed = "mixed"
	// DoKill ends the process whose id stands in PIDFile with SIGKILL, instead of an answer: at the first byte, or when the whole
	// message has been accepted and journaled.
	DoKill = "kill"

	// DoStatus answers with the status Code, Header and Body; 2xx is an accept. HTTP only, as are those below.
	DoStatus = "status"
	// DoResetAfter accepts and journals, sends the status line and a part of the answer, then resets the connection.
	DoResetAfter = "reset-after"
	// DoRedirect answers 302 (or Code) with Location.
	DoRedirect = "redirect"
	// DoEndless accepts, then sends a body without end.
	DoEndless = "endless"
	// DoGzipBomb accepts, then sends 1 GiB of zeros, gzipped to about 1 MiB, as the body.
	DoGzipBomb = "gzip-bomb"
	// DoInformational accepts after three 103 answers.
	DoInformational = "informational"
)

// When limits a fault.
type When struct {
	// Percent is the chance; 0 means always.
	Percent float64 `json:"percent,omitempty"`
	// After is how many that would have been hit are let through first.
	After int `json:"after,omitempty"`
	// Times is how many are hit at most; 0 means no limit.
	Times int `json:"times,omitempty"`
}

// SMTPFault is one rule for the SMTP sink. Do is reply, reset, lost-yes (at body), hang, slow, dribble, mixed or kill (at first-byte and
// body).
type SMTPFault struct {
	When
	At   string `json:"at"`
	Do   string `json:"do"`
	Code int    `json:"code,omitempty"` // for reply; default 451
	Text string `json:"text,omitempty"` // for reply, such as "4.7.1 try again later"
	// Delay is in nanoseconds in JSON, as time.Duration is.
	Delay   time.Duration `json:"delay,omitempty"`
	PIDFile string        `json:"pid_file,omitempty"` // for kill
}

// HTTPFault is one rule for the HTTP sink.
type HTTPFault struct {
	When
	// Path is a prefix of the request's path; empty: all.
	Path string `json:"path,omitempty"`
	// Spare is a part of the ids of requests that are neither hit nor counted; empty: none.
	Spare string `json:"spare,omitempty"`
	// At is first-byte or empty, which is the whole request.
	At       string            `json:"at,omitempty"`
	Do       string            `json:"do"`
	Code     int               `json:"code,omitempty"` // for status (default 503) and redirect
	Header   map[string]string `json:"header,omitempty"`
	Body     string            `json:"body,omitempty"`
	Location string            `json:"location,omitempty"`
	Delay    time.Duration     `json:"delay,omitempty"`    // nanoseconds in JSON
	PIDFile  string            `json:"pid_file,omitempty"` // for kill
}

var (
	smtpPlaces = []string{AtConnect, AtHelo, AtMail, AtRcpt, AtData, AtBody, AtRset, AtNoop, AtQuit, AtAny, AtRandom, AtFirstByte}
	smtpDeeds  = []string{DoReply, DoReset, DoLostYes, DoHang, DoSlow, DoDribble, DoMixed, DoKill}
	httpDeeds  = []string{
		DoStatus, DoReset, DoLostYes, DoResetAfter, DoHang, DoSlow, DoDribble, DoMixed, DoRedirect, DoEndless, DoGzipBomb, DoInformational, DoKill,
	}
	transactionPlaces = []string{AtMail, AtRcpt, AtData, AtBody}
)

// Check refuses rules that could never do what they say.
func (f Faults) Check() error {
	for i, r := range f.SMTP {
		if !slices.Contains(smtpPlaces, r.At) || !slices.Contains(smtpDeeds, r.Do) {
			return fmt.Errorf("smtp fault %d: at %q do %q: take at from %v and do from %v", i, r.At, r.Do, smtpPlaces, smtpDeeds)
		}
		if r.Do == DoLostYes && r.At != AtBody {
			return fmt.Errorf("smtp fault %d: lost-yes stands at body only, where the message is accepted", i)
		}
		if r.Do == DoKill && (r.At != AtFirstByte && r.At != AtBody || r.PIDFile == "") || r.Do != DoKill && r.At == AtFirstByte {
			return fmt.Errorf("smtp fault %d: kill, with a pid_file, stands at first-byte and at body; nothing else stands at first-byte", i)
		}
	}
	for i, r := range f.HTTP {
		if !slices.Contains(httpDeeds, r.Do) {
			return fmt.Errorf("http fault %d: do %q: take one of %v", i, r.Do, httpDeeds)
		}
		if (r.Do == DoKill) != (r.PIDFile != "") || r.At != "" && (r.At != AtFirstByte || r.Do != DoKill) {
			return fmt.Errorf("http fault %d: kill needs a pid_file, and it alone stands at first-byte", i)
		}
	}
	return nil
}

// rules hold the faults of now and count what they have done.
type rules struct {
	mu      sync.Mutex
	faults  Faults
	smtp    []tally
	http    []tally
	changed chan struct{} // closed when the faults are replaced, which ends all hanging
}

type tally struct{ seen, hit int }

func newRules(f Faults) *rules {
	r := &rules{changed: make(chan struct{})}
	r.set(f)
	return r
}

func (r *rules) set(f Faults) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
	r.faults, r.smtp, r.http = f, make([]tally, len(f.SMTP)), make([]tally, len(f.HTTP))
}

// released is closed at the next change of faults.
func (r *rules) released() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// forSMTP returns the fault for a verb, or one with Do "" when there is none. AtRandom is drawn by forTransaction, not here.
func (r *rules) forSMTP(at string) SMTPFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.faults.SMTP {
		if (f.At == at || f.At == AtAny && at != AtFirstByte) && r.smtp[i].applies(f.When) {
			return f.drawn()
		}
	}
	return SMTPFault{}
}

// forTransaction draws at MAIL whether a transaction goes wrong, and where.
func (r *rules) forTransaction() SMTPFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.faults.SMTP {
		if f.At == AtRandom && r.smtp[i].applies(f.When) {
			f.At = transactionPlaces[rand.IntN(len(transactionPlaces))]
			return f.drawn()
		}
	}
	return SMTPFault{}
}

func (r *rules) forHTTP(path, id string) HTTPFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.faults.HTTP {
		spared := f.Spare != "" && strings.Contains(id, f.Spare)
		if f.At == "" && strings.HasPrefix(path, f.Path) && !spared && r.http[i].applies(f.When) {
			return f.drawn()
		}
	}
	return HTTPFault{}
}

// forFirstByte is the fault that stands at the first byte of a request.
func (r *rules) forFirstByte() HTTPFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.faults.HTTP {
		if f.At == AtFirstByte && r.http[i].applies(f.When) {
			return f
		}
	}
	return HTTPFault{}
}

func (t *tally) applies(w When) bool {
	if w.Times > 0 && t.hit >= w.Times {
		return false
	}
	t.seen++
	if t.seen <= w.After || w.Percent > 0 && rand.Float64()*100 >= w.Percent {
		return false
	}
	t.hit++
	return true
}

// drawn makes one fault of a mixed one.
func (f SMTPFault) drawn() SMTPFault {
	if f.Do == DoMixed {
		switch rand.IntN(4) {
		case 0:
			f.Do, f.Code, f.Text = DoReply, 451, "4.3.0 mixed fault"
		case 1:
			f.Do, f.Code, f.Text = DoReply, 550, "5.0.0 mixed fault"
			if f.At == AtMail { // a server that refuses the sender refuses every message: that is no fault of one
				f.At = AtRcpt
			}
		case 2:
			f.Do = DoHang
		default:
			f.Do = DoReset
		}
	}
	return f
}

func (f HTTPFault) drawn() HTTPFault {
	if f.Do == DoMixed {
		switch rand.IntN(4) {
		case 0:
			f.Do, f.Code = DoStatus, 429
		case 1:
			f.Do, f.Code = DoStatus, 500
		case 2:
			f.Do = DoHang
		default:
			f.Do = DoReset
		}
	}
	return f
}
