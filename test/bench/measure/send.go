package measure

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

// connections is how many are kept to a provider, by us and by the limit alike.
const connections = 16

// sent is what a run of the daemon over a backlog took.
type sent struct {
	wall, cpu time.Duration
	redis     time.Duration
}

// deliver runs the daemon until n messages are recorded.
func (w *world) deliver(ctx context.Context, set config.Settings, n int) (sent, error) {
	ctx, cancel := within(ctx, 10*time.Minute)
	defer cancel()
	var done atomic.Int64
	all := make(chan struct{})
	d, err := w.daemon(ctx, set, func(k int) {
		if before := done.Add(int64(k)) - int64(k); before < int64(n) && before+int64(k) >= int64(n) {
			close(all)
		}
	})
	if err != nil {
		return sent{}, err
	}
	runtime.GC()
	debug.FreeOSMemory()
	redisBefore, err := w.redis.cpu(ctx)
	if err != nil {
		return sent{}, err
	}
	var out sent
	began, before := time.Now(), cpu()
	d.Start()
	select {
	case <-all:
	case <-ctx.Done():
		_ = d.Stop(context.WithoutCancel(ctx))
		return out, fmt.Errorf("%d of %d messages: %w", done.Load(), n, context.Cause(ctx))
	}
	out.wall, out.cpu = time.Since(began), cpu()-before
	redisAfter, err := w.redis.cpu(ctx)
	out.redis = redisAfter - redisBefore
	if err != nil {
		return out, err
	}
	if err := d.Stop(context.WithoutCancel(ctx)); err != nil {
		return out, err
	}
	return out, w.checkSent(ctx, n)
}

// checkSent holds that the backlog went, and not aside: a fast failure is no result.
func (w *world) checkSent(ctx context.Context, n int) error {
	depths, err := w.store.Depth(ctx)
	if err != nil {
		return err
	}
	for _, d := range depths {
		if left := d.Due + d.Later + d.Claimed; left > 0 {
			return fmt.Errorf("%d messages are left in lane %s", left, d.Lane)
		}
	}
	failed, err := w.store.Failed(ctx)
	if err != nil {
		return err
	}
	uncertain, err := w.store.Uncertain(ctx)
	if err != nil {
		return err
	}
	if failed+uncertain > 0 {
		return fmt.Errorf("of %d messages %d failed and %d are uncertain", n, failed, uncertain)
	}
	return nil
}

// sink starts smtp-sink, which takes every mail and keeps none.
func sink(ctx context.Context) (address string, p *process, err error) {
	path, err := smtpSink.find()
	if err != nil {
		return "", nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", nil, err
	}
	address = "127.0.0.1:" + strconv.Itoa(port)
	args := []string{address, "256"}
	if os.Geteuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	if p, err = start(exec.Command(path, args...)); err != nil {
		return "", nil, err
	}
	return address, p, listens(ctx, address, p)
}

func mailSettings(address string) config.Settings {
	return config.Settings{SMTP: config.SMTP{
		URL: config.Secrets{config.NewSecret("smtp://" + address)}, Connections: connections,
	}}
}

// mails is the run behind the rows email, signed and cpu. change alters the settings, if it is not nil.
func mails(ctx context.Context, w *world, change func(*config.Settings)) (ours sent, source sent, size int, err error) {
	address, p, err := sink(ctx)
	if err != nil {
		return ours, source, 0, err
	}
	defer func() { _ = p.stop() }()
	n := w.opt.Messages
	if size, err = w.mailSize(ctx); err != nil {
		return ours, source, 0, err
	}
	if err := w.backlog(ctx, n, care.Email); err != nil {
		return ours, source, 0, err
	}
	set := mailSettings(address)
	if change != nil {
		change(&set)
	}
	if ours, err = w.deliver(ctx, set, n); err != nil {
		return ours, source, 0, err
	}
	path, err := smtpSource.find()
	if err != nil {
		return ours, source, 0, err
	}
	cmd := exec.CommandContext(ctx, path, "-d", "-s", strconv.Itoa(connections), "-m", strconv.Itoa(n), "-l", strconv.Itoa(size), address)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return ours, source, 0, fmt.Errorf("smtp-source: %w: %s", err, out)
	}
	source = sent{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	return ours, source, size, nil
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
func millis(d time.Duration) float64           { return float64(d.Microseconds()) / 1000 }
func micros(d time.Duration, n int) float64    { return float64(d.Nanoseconds()) / 1e3 / float64(n) }

func measureEmail(ctx context.Context, w *world) (run, error) { return measureMails(ctx, w, nil) }

// measureSigned signs each mail with a key of its own making.
func measureSigned(ctx context.Context, w *world) (run, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return run{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return run{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return measureMails(ctx, w, func(set *config.Settings) {
		set.DKIM = config.DKIM{Domain: "example.com", Selector: "bench", Key: config.NewSecret(string(text))}
	})
}

func measureMails(ctx context.Context, w *world, change func(*config.Settings)) (run, error) {
	ours, source, size, err := mails(ctx, w, change)
	if err != nil {
		return run{}, err
	}
	n := w.opt.Messages
	return run{
		ours: perSecond(n, ours.wall), limit: perSecond(n, source.wall), score: source.wall.Seconds() / ours.wall.Seconds(),
		note: fmt.Sprintf("%d mails of %d bytes a run; daemon %.0f µs, Redis %.0f µs a mail", n, size, micros(ours.cpu, n), micros(ours.redis, n)),
	}, nil
}

func measureCPU(ctx context.Context, w *world) (run, error) {
	ours, source, _, err := mails(ctx, w, nil)
	if err != nil {
		return run{}, err
	}
	n := w.opt.Messages
	return run{ours: micros(ours.cpu, n), limit: micros(source.cpu, n), score: ours.cpu.Seconds() / source.cpu.Seconds()}, nil
}

// measureFsync compares Redis writing each batch to the disk before it answers with Redis doing so every second.
func measureFsync(ctx context.Context, w *world) (run, error) {
	address, p, err := sink(ctx)
	if err != nil {
		return run{}, err
	}
	defer func() { _ = p.stop() }()
	n := w.opt.Messages
	var rate [2]float64
	for i, policy := range []string{"everysec", "always"} {
		if _, err := w.redis.do(ctx, "CONFIG", "SET", "appendfsync", "everysec"); err != nil {
			return run{}, err
		}
		if err := w.backlog(ctx, n, care.Email); err != nil {
			return run{}, err
		}
		if _, err := w.redis.do(ctx, "CONFIG", "SET", "appendfsync", policy); err != nil {
			return run{}, err
		}
		s, err := w.deliver(ctx, mailSettings(address), n)
		if err != nil {
			return run{}, err
		}
		rate[i] = perSecond(n, s.wall)
	}
	return run{ours: rate[1], limit: rate[0], score: rate[1] / rate[0]}, nil
}
