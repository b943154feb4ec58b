package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/faultproxy"
)

// fault is one named way to break the chain.
type fault struct {
	name, what string
	// times is how often in a run.
	times int
	// named ones were asked for by their name, not as one of a group.
	named bool
	// long faults take minutes.
	long bool
	// needs is what has to be ours for it.
	needs need
	// gentle faults touch no pilot and no link: nothing is worked on twice.
	gentle bool
	// inject breaks and mends: when it returns, nothing stands between the chain and its work but the chain itself.
	inject func(*chaos, context.Context) error
}

// need is what not every broker or machine has.
type need int

const (
	nothing   need = iota
	killing        // the broker can be killed and started
	freezing       // the broker can be stopped
	smallDisk      // there is a file system that can be filled
)

// impossible says why a fault cannot be injected here, or nothing.
func (f fault) impossible(c *chaos) string {
	switch {
	case f.needs == killing && c.cfg.Broker != "" && c.cfg.BrokerKill == "":
		return "the broker is not ours to kill; --broker-kill and --broker-start say how"
	case f.needs == freezing && c.cfg.Broker != "" && c.cfg.BrokerPIDFile == "":
		return "the broker is not ours to freeze; --broker-pid-file says which process it is"
	case f.needs == smallDisk && c.full != nil:
		return "no disk of its own to fill: " + c.full.Error()
	}
	return ""
}

// hang is how long a link hangs before it dies, as in the measurement of the production worker, and a server that is frozen.
const hang = 5 * time.Second

var held = faultproxy.Direction{Hold: true}

// noFault is the fault of which nothing has to be done.
const noFault = "none"

// allFaults in the order in which they are injected. The first is none: what is found there is nobody's fault.
func allFaults() []fault {
	both := func(d faultproxy.Direction) faultproxy.Conditions { return faultproxy.Conditions{Up: d, Down: d} }
	return []fault{
		{name: noFault, what: "nothing: the comparison", gentle: true},
		{name: "kill-pilot", what: "kill -9 of a pilot at work; the harvester submits another", times: 3, inject: (*chaos).killPilot},
		{name: "kill-payload", what: "kill -9 of a payload", times: 5, inject: (*chaos).killPayload},
		{name: "kill-idds", what: "kill -9 of idds, started again on the same state a second later", times: 2, inject: (*chaos).killIDDS},
		{
			name: "clock-idds", what: "a payload is killed, then idds, which comes back with its clock set an hour ahead, then back", times: 2,
			inject: (*chaos).stepClock,
		},
		{name: "kill-daq", what: "kill -9 of daq in the middle of the run, started again", times: 2, gentle: true, inject: (*chaos).killDAQ},
		{name: "freeze-pilot", what: "SIGSTOP of a pilot until the broker has given its slices to others, then SIGCONT", times: 2, inject: (*chaos).freezePilot},
		{name: "freeze-idds", what: "SIGSTOP of idds for 5 s, then SIGCONT", times: 2, inject: (*chaos).freezeIDDS},
		{name: "kill-broker", what: "kill -9 of the broker, started again on the same state", times: 2, needs: killing, inject: (*chaos).killBroker},
		{name: "freeze-broker", what: "SIGSTOP of the broker for 5 s, as in a long garbage collection, then SIGCONT", times: 2, needs: freezing, inject: (*chaos).freezeBroker},
		{name: "cut-links", what: "all links end (FIN)", times: 4, inject: (*chaos).cutLinks},
		{name: "reset-links", what: "all links are reset (RST)", times: 8, inject: (*chaos).resetLinks},
		{name: "stall-links", what: "all links hang for 5 s, then die", times: 2, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(held), hang, true)
		}},
		{name: "hang-links", what: "all links hang for 5 s, then go on", times: 2, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(held), hang, false)
		}},
		{name: "half-open-up", what: "nothing reaches the broker until both ends must have noticed", times: 2, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, faultproxy.Conditions{Up: held}, 4*c.cfg.HeartBeat, true)
		}},
		{name: "half-open-down", what: "nothing comes from the broker until both ends must have noticed", times: 2, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, faultproxy.Conditions{Down: held}, 4*c.cfg.HeartBeat, true)
		}},
		{name: "refuse", what: "the broker cannot be reached for 5 s", times: 2, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, faultproxy.Conditions{Refuse: true}, hang, true)
		}},
		{name: "delay", what: "150 to 300 ms each way for 5 s", times: 1, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(faultproxy.Direction{Delay: 150 * time.Millisecond, Jitter: 150 * time.Millisecond}), hang, false)
		}},
		{name: "throttle", what: "10 kB/s each way for 5 s", times: 1, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(faultproxy.Direction{BytesPerSecond: 10_000}), hang, false)
		}},
		{name: "pieces", what: "one byte at a time for 3 s", times: 1, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(faultproxy.Direction{Piece: 1}), 3*time.Second, false)
		}},
		{name: "full-disk", what: "the pilots' disk, journal and all, is full for 3 s", times: 2, needs: smallDisk, inject: (*chaos).fillDisk},
		{name: "junk", what: "8 junk messages and 3 slices of another namespace on the slice queue, 3 more among the dead letters", times: 3, gentle: true, inject: (*chaos).publishJunk},
		{name: "stall-45s", what: "all links hang for 45 s", times: 1, long: true, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(held), 45*time.Second, false)
		}},
		{name: "silence-75s", what: "the broker hears nothing for 75 s", times: 1, long: true, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, faultproxy.Conditions{Up: held}, 75*time.Second, false)
		}},
	}
}

// chosen are the faults of these names or groups, each once.
func chosen(wanted []string) ([]fault, error) {
	all := allFaults()
	var out []fault
	for _, name := range wanted {
		known := false
		for _, f := range all {
			match := f.name == name || name == "all" || (name == "short" && !f.long) || (name == "long" && f.long)
			known = known || match
			f.named = f.name == name
			if i := slices.IndexFunc(out, func(o fault) bool { return o.name == f.name }); i >= 0 {
				out[i].named = out[i].named || f.named
			} else if match {
				out = append(out, f)
			}
		}
		if !known {
			return nil, fmt.Errorf("--faults %q is none of short, long, all, %s", name, strings.Join(names(), ", "))
		}
	}
	return out, nil
}

// Faults describes every fault on a line of its own.
func Faults() string {
	var b strings.Builder
	for _, f := range allFaults() {
		group := "short"
		if f.long {
			group = "long"
		}
		fmt.Fprintf(&b, "  %-14s  %-5s  %s\n", f.name, group, f.what)
	}
	return b.String()
}

// names are those of all faults.
func names() []string {
	var names []string
	for _, f := range allFaults() {
		names = append(names, f.name)
	}
	return names
}
