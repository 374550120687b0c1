package main

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
)

// session is what a command works with: the settings, the care book, and Redis for those who need it.
type session struct {
	env      *daemon.Env
	book     func() (*carebook.Compiled, error) // read when it is first asked for
	readBook func() (*carebook.Compiled, error) // anew
	store    *store.Store                       // nil until connect
	who      care.Principal
}

// start reads the settings. dir is the folder of --book; "" is CARE_BOOK, else the default book.
func start(cmd *cobra.Command, dir string) (*session, error) {
	settings, err := config.FromEnv()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		dir = settings.Book
	}
	env := &daemon.Env{Settings: settings, Log: newLog(cmd, settings), Now: time.Now, Version: version}
	read := func() (*carebook.Compiled, error) {
		return carebook.Open(carebook.FromSettings(settings, dir, time.Now))
	}
	return &session{env: env, who: care.CommandLine(), book: sync.OnceValues(read), readBook: read}, nil
}

// connect opens Redis. A command changes a little and is watched by a person, so it does not refuse a Redis that the daemon would: doctor
// says what is wrong with it.
func (s *session) connect(ctx context.Context) (err error) {
	set := s.env.Settings
	s.store, err = store.Open(ctx, store.Options{
		URL: set.RedisURL.Reveal(), AllowUnsafe: true, Reader: true, Clock: s.env.Now, Logger: s.env.Log, Retention: time.Duration(set.Retention),
		Trial: set.Trial(),
	})
	if err != nil {
		return err
	}
	s.store.ReadAddresses(func(c *care.Customer) []care.AddressHash {
		book, err := s.book()
		if err != nil {
			return nil // a command that plans says so itself
		}
		return book.Addresses(c)
	})
	used, err := s.store.HashKey(ctx, "")
	if err == nil && used != "" {
		err = set.UseHashKey(used)
	}
	if err != nil {
		s.close()
	}
	return err
}

// keepKey remembers the key that this command hashes addresses with, as the daemon does.
func (s *session) keepKey(ctx context.Context) error {
	_, err := s.store.HashKey(ctx, s.env.Settings.Fingerprint())
	return err
}

func (s *session) close() {
	if s.store != nil {
		s.store.Close()
	}
}

// ask opens what a question over customers needs: the book, and Redis unless the records come from a file.
func ask(cmd *cobra.Command, dir, file string) (*insight.Service, *session, error) {
	s, err := start(cmd, dir)
	if err != nil {
		return nil, nil, err
	}
	if _, err := s.book(); err != nil {
		return nil, nil, err
	}
	if file == "" {
		if err := s.connect(cmd.Context()); err != nil {
			return nil, nil, err
		}
	}
	return &insight.Service{Store: s.store, Book: s.book, Now: s.env.Now}, s, nil
}

// act opens what an operator's act needs: Redis. The book is read by the acts that need it.
func act(cmd *cobra.Command) (*operate.Service, *session, error) {
	s, err := start(cmd, "")
	if err != nil {
		return nil, nil, err
	}
	if err := s.connect(cmd.Context()); err != nil {
		return nil, nil, err
	}
	return s.operate(), s, nil
}

func (s *session) operate() *operate.Service {
	return &operate.Service{Store: s.store, Book: s.book, Now: s.env.Now, Log: s.env.Log, Senders: s.env.OpenSenders}
}
