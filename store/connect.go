package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/carebell/carebell/store/redisurl"
)

func (s *Store) connect(o Options) error {
	t, err := redisurl.Parse(o.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrURL, err)
	}
	s.failsOver = t.Kind != redisurl.Single
	u := &redis.UniversalOptions{
		Addrs: t.Addresses, ClientName: "carebell", DB: t.DB, Username: t.Username, Password: t.Password,
		SentinelPassword: t.SentinelPassword, MasterName: t.Master, TLSConfig: t.TLS, Dialer: o.Dialer,
		// RESP 2 is what every server that speaks either speaks, and it has no pushes to look out for.
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DialTimeout:              t.Timeout, ReadTimeout: t.Timeout, WriteTimeout: t.Timeout, ContextTimeoutEnabled: true,
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
	if t.Kind == redisurl.Cluster {
		c := u.Cluster()
		c.ClusterStateReloadInterval = 2 * time.Second
		s.cluster = redis.NewClusterClient(c)
		s.client = s.cluster
		return nil
	}
	if t.Kind == redisurl.Sentinel {
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
