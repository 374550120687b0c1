package delivery

import (
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// Domains limits what goes to each domain that mail is addressed to. The key "*" stands for every domain without an entry of its own.
type Domains struct {
	Rates       map[string]float64 // attempts per second, all replicas together
	Connections map[string]int     // messages at a time, by this replica
}

const (
	domainsMost = 4096             // domains kept in mind
	domainShare = time.Second      // until a share of the rate is looked for again
	domainWait  = 15 * time.Minute // the longest wait at a time
)

// domains keeps to the limits of the domains. The rate is that of an even flow in which a tenth of a second's worth may come together.
type domains struct {
	limits Domains
	share  func() float64

	mu    sync.Mutex
	known map[string]*domain
	most  int     // of known
	rest  *domain // those together for which there was no place
}

// domain is what is known of one domain.
type domain struct {
	rate float64
	most int
	out  int           // being sent
	took time.Duration // a moving average of how long one takes
	next time.Time     // when the next one would go in an even flow
	back [2]time.Time  // when the last one is due that the rate deferred: what is urgent does not wait behind the others
	gone deferrals     // what the connections deferred
}

// newDomains returns nil when no domain has a limit.
func newDomains(limits Domains, share func() float64) *domains {
	if len(limits.Rates) == 0 && len(limits.Connections) == 0 {
		return nil
	}
	return &domains{limits: limits, share: share, known: map[string]*domain{}, most: domainsMost}
}

// take lets a message to an address go, or says how long it waits. Where one goes, give must follow; the domain may be nil.
func (d *domains) take(now time.Time, address string, urgent bool) (*domain, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.find(now, address)
	if one == nil {
		return nil, 0
	}
	if one.most > 0 && one.out >= one.most {
		return nil, one.gone.next(now, 0, max(one.took/time.Duration(2*one.most), time.Microsecond))
	}
	if one.rate > 0 {
		mine := one.rate
		if d.share != nil {
			mine *= d.share()
		}
		if mine <= 0 {
			return nil, domainShare
		}
		each := time.Duration(float64(time.Second) / mine)
		ahead := max(0, time.Second/10-each)
		if one.next.Sub(now) > ahead {
			return nil, one.wait(now, one.next.Add(-ahead), each, urgent)
		}
		one.next = care.Later(one.next, now).Add(each)
	}
	one.out++
	return one, 0
}

// wait is how long a message waits that cannot go before first: those that wait come back one after the other, at the domain's own pace.
func (one *domain) wait(now, first time.Time, each time.Duration, urgent bool) time.Duration {
	lane := &one.back[1]
	if urgent {
		lane = &one.back[0]
	}
	*lane = care.Later(first, lane.Add(each))
	return max(min(lane.Sub(now), domainWait), backFirst)
}

// give is told that a message is not being sent any more, and how long it took; 0 = it did not go.
func (d *domains) give(one *domain, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one.out--
	one.took = average(one.took, took)
}

// find returns the domain of an address, nil if it has no limit.
func (d *domains) find(now time.Time, address string) *domain {
	name := care.DomainOf(address)
	if one := d.known[name]; one != nil {
		return one
	}
	one := &domain{rate: limit(d.limits.Rates, name), most: limit(d.limits.Connections, name)}
	if one.rate <= 0 && one.most <= 0 {
		return nil
	}
	if len(d.known) >= d.most {
		d.forget(now)
	}
	if len(d.known) >= d.most {
		// All of them are in use. What has no place shares one: it waits longer than it must, and no limit is broken.
		if d.rest == nil {
			d.rest = &domain{}
		}
		d.rest.rate, d.rest.most = one.rate, one.most
		return d.rest
	}
	d.known[name] = one
	return one
}

// forget drops the domains to which nothing goes and for which nothing waits: they would begin anew as they are.
func (d *domains) forget(now time.Time) {
	for name, one := range d.known {
		if one.out == 0 && !one.next.After(now) && !one.back[0].After(now) && !one.back[1].After(now) {
			delete(d.known, name)
		}
	}
}

func limit[N int | float64](of map[string]N, domain string) N {
	if n, ok := of[domain]; ok {
		return n
	}
	return of["*"]
}
