package nodetest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/rest"
)

// Around is what a pilot on this node connects to.
type Around struct {
	// IDDS asks idds for the broker configuration; nil without idds.
	IDDS func(ctx context.Context) error
	// Token is what idds is asked with.
	Token string
	// Broker is which brokers there are, nil when nobody has said where to learn that. It is called after IDDS.
	Broker func(ctx context.Context) (broker.Config, error)
}

// Check is Test, for people: it also looks at what nobody needs, and at what is around the node.
func (t *Tests) Check(ctx context.Context, a Around) []fitness.Finding {
	var here, there []fitness.Finding
	var both sync.WaitGroup
	both.Go(func() { here = t.test(ctx, false, true) })
	both.Go(func() { there = t.around(ctx, a) })
	both.Wait()
	return append(here, there...)
}

func (t *Tests) around(ctx context.Context, a Around) []fitness.Finding {
	var findings []fitness.Finding
	told := true
	if a.IDDS != nil {
		if u, err := url.Parse(t.places.IDDS); err == nil {
			findings = append(findings, t.names(ctx, u.Hostname())...)
		}
		f := t.timed(ctx, testIDDS, t.cfg.Limit, func(ctx context.Context) fitness.Finding {
			if err := a.IDDS(ctx); err != nil {
				return failed(err)
			}
			return good(t.places.IDDS + " answers, and takes the token")
		})
		findings = append(findings, f...)
		told = f[0].Verdict == fitness.OK
		if a.Token != "" { // else idds' refusal says all there is to say
			findings = append(findings, token(a.Token, time.Now(), told))
		}
	}
	if a.Broker == nil {
		return findings
	}
	cfg, err := a.Broker(ctx)
	if err != nil {
		f := failed(err)
		f.Test = testBroker
		if !told {
			f = unknown("", "which one it is idds does not tell")
			f.Test = testBroker
		}
		return append(findings, f)
	}
	for _, addr := range cfg.Addrs {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			findings = append(findings, t.names(ctx, host)...)
		}
		findings = append(findings, t.timed(ctx, testBroker, t.cfg.Limit, func(ctx context.Context) fitness.Finding { return login(ctx, cfg, addr) })...)
	}
	return findings
}

// names resolves a name; nothing for an address.
func (t *Tests) names(ctx context.Context, host string) []fitness.Finding {
	if net.ParseIP(host) != nil {
		return nil
	}
	return t.timed(ctx, testNames, t.cfg.Limit, func(ctx context.Context) fitness.Finding {
		began := time.Now()
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			f := bad("check the name, and /etc/resolv.conf of this node", oneLine(err.Error()))
			f.Failure = exitcode.NoBroker.Name
			if a, perr := url.Parse(t.places.IDDS); perr == nil && a.Hostname() == host {
				f.Failure = exitcode.NoService.Name
			}
			return f
		}
		return good(fmt.Sprintf("%s is %s, within %s", host, addrs[0], time.Since(began).Round(time.Millisecond)))
	})
}

// login connects as a pilot does, to one of the brokers, and leaves.
func login(ctx context.Context, cfg broker.Config, addr string) fitness.Finding {
	cfg.Addrs = []string{addr}
	link, err := broker.New(cfg)
	if err != nil {
		return failed(err)
	}
	run, hangUp := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = link.Run(run) })
	defer running.Wait()
	defer hangUp()
	changed := link.Changed()
	for {
		state := link.State()
		switch {
		case state.Connected:
			how := "without TLS"
			if cfg.TLS {
				how = "by TLS"
			}
			who := "anybody"
			if cfg.Login != "" {
				who = strconv.Quote(cfg.Login)
			}
			return good(oneLine(fmt.Sprintf("%s lets %s in %s: %s", addr, who, how, state.Server)))
		case state.Err != nil && ctx.Err() != nil, state.Err != nil && exitcode.From(state.Err) != exitcode.NoBroker:
			return failed(fmt.Errorf("%s: %w", addr, state.Err))
		}
		select {
		case <-changed:
			changed = link.Changed()
			if state := link.State(); !state.Connected && state.Err != nil {
				return failed(fmt.Errorf("%s: %w", addr, state.Err))
			}
		case <-ctx.Done():
			return failed(exitcode.New(exitcode.NoBroker, "%s: no answer", addr))
		}
	}
}

const (
	// clockLimit is what two clocks may differ by: more makes messages expire early.
	clockLimit = time.Minute
	// clockPatience is how long the first slice may wait for an idds that does not answer.
	clockPatience = 2 * time.Second
)

// clock compares this node's clock with that of idds.
func (t *Tests) clock(ctx context.Context) fitness.Finding {
	ahead, uncertain, err := rest.ClockAhead(ctx, t.places.IDDS)
	if err != nil {
		return unknown("", oneLine(err.Error()))
	}
	text := fmt.Sprintf("%s ahead of that of idds, give or take %s", ahead.Round(time.Millisecond), uncertain.Round(time.Millisecond))
	if ahead < 0 {
		text = fmt.Sprintf("%s behind that of idds, give or take %s", (-ahead).Round(time.Millisecond), uncertain.Round(time.Millisecond))
	}
	if ahead.Abs()-uncertain > clockLimit {
		return bad("set the clock by NTP: on this node, unless all nodes say so", text)
	}
	return good(text)
}

// soonOver is a token's rest of life that is worth a warning: less than a pilot's usual time in its slot.
const soonOver = 4 * time.Hour

// token says how long a token lives; accepted is what idds said about it.
func token(text string, now time.Time, accepted bool) fitness.Finding {
	end, dated := rest.TokenExpiry(text)
	f := good("it does not say when it ends")
	switch left := end.Sub(now).Round(time.Second); {
	case dated && left <= 0:
		f = failed(exitcode.New(exitcode.NoCredential, "it expired at %s", end.UTC().Format(time.RFC3339)))
		f.Next = "renew it, and hand the new one to the pilots"
	case dated && left < soonOver:
		f = bad("renew it before pilots are started with it", fmt.Sprintf("it expires at %s, in %s", end.UTC().Format(time.RFC3339), left))
		f.Verdict = fitness.Warning
	case dated:
		f = good(fmt.Sprintf("it expires at %s, in %s", end.UTC().Format(time.RFC3339), left))
	case !accepted:
		f = unknown("", "it does not say when it ends, and idds has not taken it")
	}
	f.Test = testToken
	return f
}
