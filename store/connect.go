package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// target is what a Redis URL names.
type target struct {
	kind       string // single, sentinel, cluster
	addresses  []string
	username   string
	password   string
	master     string
	sentinel   string // password of the Sentinels themselves
	db         int
	tls        *tls.Config
	timeout    time.Duration
	clientName string
}

var errURL = errors.New(`not a Redis URL: write redis://[user:password@]host:6379/0, rediss://…, ` +
	`redis-sentinel://host1:26379,host2:26379/master or redis-cluster://host1:6379,host2:6379`)

// parseURL reads a Redis URL. No error names the URL: it carries a password.
func parseURL(raw string) (*target, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errURL
	}
	t := &target{timeout: 3 * time.Second, clientName: "carebell"}
	port := "6379"
	switch strings.TrimPrefix(scheme, "rediss") {
	case "", "redis":
		t.kind = "single"
	case "-sentinel", "redis-sentinel":
		t.kind, port = "sentinel", "26379"
	case "-cluster", "redis-cluster":
		t.kind = "cluster"
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
		t.addresses = append(t.addresses, host)
	}
	if strings.HasPrefix(scheme, "rediss") {
		name := t.addresses[0]
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: strings.Trim(name[:strings.LastIndexByte(name, ':')], "[]")}
	}
	if err := t.path(path); err != nil {
		return nil, err
	}
	return t, t.query(query)
}

func (t *target) credentials(s string) error {
	name, password, both := strings.Cut(s, ":")
	var err1, err2 error
	t.username, err1 = url.PathUnescape(name)
	t.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("the Redis URL's user or password has a % that escapes nothing: write %25")
	}
	if !both { // redis://secret@host has been written for redis://:secret@host often enough
		t.username, t.password = "", t.username
	}
	return nil
}

func (t *target) path(path string) error {
	if t.kind == "sentinel" {
		t.master, path, _ = strings.Cut(path, "/")
		if t.master == "" {
			return errors.New("the redis-sentinel:// URL names no master: redis-sentinel://host1,host2/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	n, err := strconv.Atoi(path)
	if err != nil || n < 0 || t.kind == "cluster" && n != 0 {
		return errors.New("the Redis URL's path should be the number of a database (a cluster has only 0)")
	}
	t.db = n
	return nil
}

func (t *target) query(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the Redis URL's query cannot be read")
	}
	for name := range values {
		v := values.Get(name)
		switch name {
		case "db":
			if err := t.path(v); err != nil || t.kind == "sentinel" {
				return errors.New("db in the Redis URL should be the number of a database, after the master's name under Sentinel")
			}
		case "timeout":
			if t.timeout, err = time.ParseDuration(v); err != nil || t.timeout <= 0 {
				return errors.New("timeout in the Redis URL should be a duration such as 3s")
			}
		case "sentinel_password":
			t.sentinel = v
		case "skip_verify":
			if t.tls == nil || v != "true" {
				return errors.New("skip_verify in the Redis URL should be true, with rediss:// only")
			}
			t.tls.InsecureSkipVerify = true // the operator said so, by name
		default:
			return fmt.Errorf("the Redis URL's query has an unknown %q: there are db, timeout, sentinel_password and skip_verify", name)
		}
	}
	return nil
}

func (s *Store) connect(o Options) error {
	t, err := parseURL(o.URL)
	if err != nil {
		return err
	}
	u := &redis.UniversalOptions{
		Addrs: t.addresses, ClientName: t.clientName, DB: t.db, Username: t.username, Password: t.password,
		SentinelPassword: t.sentinel, MasterName: t.master, TLSConfig: t.tls, Dialer: o.Dialer,
		// RESP 2 is what every server that speaks either speaks, and it has no pushes to look out for.
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DialTimeout:              t.timeout, ReadTimeout: t.timeout, WriteTimeout: t.timeout, ContextTimeoutEnabled: true,
		// Every command is harmless when it runs twice, so what go-redis repeats needs no thought.
		MaxRetries: 3, MinRetryBackoff: 10 * time.Millisecond, MaxRetryBackoff: 500 * time.Millisecond,
		// One try to dial per command: the command is repeated, and the pool looks every second whether the server is back.
		DialerRetries: 1, PoolSize: o.PoolSize, ConnMaxIdleTime: 5 * time.Minute, MaxRedirects: 8,
		OnConnect: func(context.Context, *redis.Conn) error {
			s.connected.Add(1)
			return nil
		},
	}
	if u.PoolSize == 0 {
		u.PoolSize = 16
	}
	redis.SetLogger(clientLog{s.log})
	if t.kind == "cluster" {
		c := u.Cluster()
		c.ClusterStateReloadInterval = 2 * time.Second
		s.cluster = redis.NewClusterClient(c)
		s.client = s.cluster
		return nil
	}
	if t.kind == "sentinel" {
		s.single = redis.NewFailoverClient(u.Failover())
	} else {
		s.single = redis.NewClient(u.Simple())
	}
	s.client = s.single
	return nil
}

// clientLog passes on what go-redis has to say. It is the library's one global.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis client", slog.String("message", fmt.Sprintf(format, v...)))
}
