// Package redisurl reads CARE_REDIS_URL: redis:// and rediss:// for one server, redis-sentinel:// and redis-cluster:// for several, with the
// query parameters of docs/redis.md.
//
// It promises that no error shows any part of the URL's user or password. It connects to nothing and looks no name up.
package redisurl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Kind is how many servers there are, and how they find together.
type Kind string

// The kinds of Redis that a URL can name.
const (
	Single   Kind = "single"
	Sentinel Kind = "sentinel"
	Cluster  Kind = "cluster"
)

// Target is what a Redis URL names.
type Target struct {
	Kind             Kind
	Addresses        []string // host:port
	Username         string
	Password         string
	Master           string // its name, under Sentinel
	SentinelPassword string // of the Sentinels themselves
	DB               int
	TLS              *tls.Config // nil without TLS
	Timeout          time.Duration
}

var errURL = errors.New(`not a Redis URL: write redis://[user:password@]host:6379/0, rediss://…, ` +
	`redis-sentinel://host1:26379,host2:26379/master or redis-cluster://host1:6379,host2:6379`)

// Parse reads a Redis URL. No error names the URL: it carries a password.
func Parse(raw string) (*Target, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errURL
	}
	t := &Target{Kind: Single, Timeout: 3 * time.Second}
	port := "6379"
	switch strings.TrimPrefix(scheme, "rediss") {
	case "", "redis":
	case "-sentinel", "redis-sentinel":
		t.Kind, port = Sentinel, "26379"
	case "-cluster", "redis-cluster":
		t.Kind = Cluster
	default:
		return nil, errURL
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		if err := t.credentials(hosts[:at]); err != nil {
			return nil, err
		}
		hosts = hosts[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return nil, errURL
		}
		if strings.LastIndexByte(host, ':') <= strings.LastIndexByte(host, ']') {
			host += ":" + port
		}
		t.Addresses = append(t.Addresses, host)
	}
	if strings.HasPrefix(scheme, "rediss") {
		name := t.Addresses[0]
		t.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: strings.Trim(name[:strings.LastIndexByte(name, ':')], "[]")}
	}
	if err := t.path(path); err != nil {
		return nil, err
	}
	return t, t.query(query)
}

func (t *Target) credentials(s string) error {
	name, password, both := strings.Cut(s, ":")
	var err1, err2 error
	t.Username, err1 = url.PathUnescape(name)
	t.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("the Redis URL's user or password has a % that escapes nothing: write %25")
	}
	if !both { // redis://secret@host has been written for redis://:secret@host often enough
		t.Username, t.Password = "", t.Username
	}
	return nil
}

func (t *Target) path(path string) error {
	if t.Kind == Sentinel {
		t.Master, path, _ = strings.Cut(path, "/")
		if t.Master == "" {
			return errors.New("the redis-sentinel:// URL names no master: redis-sentinel://host1,host2/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	n, err := strconv.Atoi(path)
	if err != nil || n < 0 || t.Kind == Cluster && n != 0 {
		return errors.New("the Redis URL's path should be the number of a database (a cluster has only 0)")
	}
	t.DB = n
	return nil
}

func (t *Target) query(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the Redis URL's query cannot be read")
	}
	for name := range values {
		v := values.Get(name)
		switch name {
		case "db":
			if err := t.path(v); err != nil || t.Kind == Sentinel {
				return errors.New("db in the Redis URL should be the number of a database, after the master's name under Sentinel")
			}
		case "timeout":
			if t.Timeout, err = time.ParseDuration(v); err != nil || t.Timeout <= 0 {
				return errors.New("timeout in the Redis URL should be a duration such as 3s")
			}
		case "sentinel_password":
			t.SentinelPassword = v
		case "skip_verify":
			if t.TLS == nil || v != "true" {
				return errors.New("skip_verify in the Redis URL should be true, with rediss:// only")
			}
			t.TLS.InsecureSkipVerify = true // the operator said so, by name
		default:
			return fmt.Errorf("the Redis URL's query has an unknown %q: there are db, timeout, sentinel_password and skip_verify", name)
		}
	}
	return nil
}
