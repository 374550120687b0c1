package lua

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// NoteReplicas remembers what INFO says: whether a master has replicas, so that intents and results wait for one of them.
func (r *Runner) NoteReplicas(c *redis.Client, info map[string]string) {
	r.replicated.Store(c.Options().Addr, info["role"] == "master" && info["connected_slaves"] != "0")
}

// Info reads sections of a server's INFO.
func Info(ctx context.Context, c *redis.Client, sections ...string) (map[string]string, error) {
	info := make(map[string]string)
	for _, section := range sections {
		raw, err := c.Info(ctx, section).Result()
		if err != nil {
			return nil, err
		}
		for line := range strings.SplitSeq(raw, "\n") {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[name] = value
			}
		}
	}
	return info, nil
}

// AnyReplicas reports whether any master had a replica when it was looked at last.
func (r *Runner) AnyReplicas() bool {
	found := false
	r.replicated.Range(func(_, has any) bool {
		found, _ = has.(bool)
		return !found
	})
	return found
}

func (r *Runner) hasReplicas(c *redis.Client) bool {
	has, _ := r.replicated.Load(c.Options().Addr)
	yes, _ := has.(bool)
	return yes
}
