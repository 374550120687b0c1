// Command cmd runs a sink for tests as a process of its own: SMTP, HTTP and a control port on loopback. Package sink starts it and talks
// to it; by hand: go run ./test/sink/cmd -journal j.jsonl -smtp 127.0.0.1:2525 -http 127.0.0.1:8025 -control 127.0.0.1:8026
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/carebell/carebell/test/sink/serve"
)

func main() { os.Exit(run()) }

func run() int {
	c := serve.Config{Now: func() time.Time { return time.Now().UTC() }}
	flag.StringVar(&c.SMTP, "smtp", "127.0.0.1:0", "address of the SMTP server")
	flag.StringVar(&c.HTTP, "http", "127.0.0.1:0", "address of the HTTP server")
	flag.StringVar(&c.Control, "control", "127.0.0.1:0", "address of the control port")
	flag.StringVar(&c.Journal, "journal", "", "the journal's file, which is continued")
	flag.BoolVar(&c.Keep, "keep", false, "put bodies and headers into the journal")
	faults := flag.String("faults", "{}", "what goes wrong, as JSON (serve.Faults)")
	flag.Parse()
	if c.Journal == "" || flag.NArg() > 0 {
		flag.Usage()
		return 2
	}
	if err := json.Unmarshal([]byte(*faults), &c.Faults); err != nil {
		fmt.Fprintln(os.Stderr, "sink: -faults:", err)
		return 2
	}
	s, err := serve.New(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		return 1
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	<-end
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		return 1
	}
	return 0
}
