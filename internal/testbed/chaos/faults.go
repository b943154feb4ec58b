package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
)

// fault is one named way to break the chain.
type fault struct {
	name, what string
	// times is how often in a run.
	times int
	// long faults take minutes.
	long bool
	// broker faults need the broker to be ours to kill.
	broker bool
	// disk faults need a file system that can be filled.
	disk bool
	// inject breaks and mends: when it returns, nothing stands between the chain and its work but the chain itself.
	inject func(*chaos, context.Context) error
}

// impossible says why a fault cannot be injected here, or nothing.
func (f fault) impossible(c *chaos) string {
	switch {
	case f.broker && c.cfg.Broker != "" && c.cfg.BrokerKill == "":
		return "the broker is not ours to kill; --broker-kill and --broker-start say how"
	case f.disk && c.full != nil:
		return "no disk of its own to fill: " + c.full.Error()
	}
	return ""
}

// hang is how long a link hangs before it dies, as in the measurement of the production worker.
const hang = 5 * time.Second

var held = faultproxy.Direction{Hold: true}

// allFaults in the order in which they are injected. The first is none: what is found there is nobody's fault.
func allFaults() []fault {
	both := func(d faultproxy.Direction) faultproxy.Conditions { return faultproxy.Conditions{Up: d, Down: d} }
	return []fault{
		{name: "none", what: "nothing: the comparison"},
		{name: "kill-pilot", what: "kill -9 of a pilot at work; the harvester submits another", times: 3, inject: (*chaos).killPilot},
		{name: "kill-payload", what: "kill -9 of a payload", times: 5, inject: (*chaos).killPayload},
		{name: "kill-idds", what: "kill -9 of idds, started again on the same state a second later", times: 2, inject: (*chaos).killIDDS},
		{name: "kill-daq", what: "kill -9 of daq in the middle of the run, started again", times: 2, inject: (*chaos).killDAQ},
		{name: "freeze-pilot", what: "SIGSTOP of a pilot until the broker has given its slices to others, then SIGCONT", times: 2, inject: (*chaos).freezePilot},
		{name: "kill-broker", what: "kill -9 of the broker, started again on the same state", times: 2, broker: true, inject: (*chaos).killBroker},
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
		{name: "full-disk", what: "the pilots' disk, journal and all, is full for 3 s", times: 2, disk: true, inject: (*chaos).fillDisk},
		{name: "junk", what: "8 junk messages and 3 slices of another namespace on the slice queue", times: 3, inject: (*chaos).publishJunk},
		{name: "stall-45s", what: "all links hang for 45 s", times: 1, long: true, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, both(held), 45*time.Second, false)
		}},
		{name: "silence-75s", what: "the broker hears nothing for 75 s", times: 1, long: true, inject: func(c *chaos, ctx context.Context) error {
			return c.conditions(ctx, faultproxy.Conditions{Up: held}, 75*time.Second, false)
		}},
	}
}

// chosen are the faults of these names or groups, each once.
func chosen(names []string) ([]fault, error) {
	all := allFaults()
	var out []fault
	for _, name := range names {
		known := false
		for _, f := range all {
			match := f.name == name || name == "all" || (name == "short" && !f.long) || (name == "long" && f.long)
			known = known || match
			if match && !slices.ContainsFunc(out, func(o fault) bool { return o.name == f.name }) {
				out = append(out, f)
			}
		}
		if !known {
			return nil, fmt.Errorf("--faults %q is none of short, long, all, %s", name, strings.Join(FaultNames(), ", "))
		}
	}
	return out, nil
}

// FaultNames are the names of all faults.
func FaultNames() []string {
	var names []string
	for _, f := range allFaults() {
		names = append(names, f.name)
	}
	return names
}

// conditions puts conditions on all links for some time; with fatal the links that lived through it are reset.
func (c *chaos) conditions(ctx context.Context, bad faultproxy.Conditions, d time.Duration, fatal bool) error {
	for _, p := range c.proxies {
		p.Set(bad)
		if bad.Refuse {
			p.Cut()
		}
	}
	defer func() {
		for _, p := range c.proxies {
			if fatal {
				p.Reset()
			}
			p.Set(faultproxy.Conditions{})
		}
	}()
	return wait(ctx, d)
}

func (c *chaos) cutLinks(context.Context) error {
	for _, p := range c.proxies {
		p.Cut()
	}
	return nil
}

func (c *chaos) resetLinks(context.Context) error {
	for _, p := range c.proxies {
		p.Reset()
	}
	return nil
}

// pilot draws a pilot of the run that holds a slice.
func (c *chaos) pilot(ctx context.Context) (pid int, err error) {
	for {
		workers, err := c.chain.Client().Workers(ctx)
		if err != nil {
			return 0, err
		}
		var pids []int
		for _, w := range workers {
			if w.Alive && w.RunID == c.run && len(w.InHand) > 0 {
				pids = append(pids, w.PID)
			}
		}
		if len(pids) > 0 {
			return pids[c.rng.IntN(len(pids))], nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

func (c *chaos) killPilot(ctx context.Context) error {
	pid, err := c.pilot(ctx)
	if err != nil {
		return err
	}
	return signal(pid, syscall.SIGKILL)
}

func (c *chaos) freezePilot(ctx context.Context) error {
	pid, err := c.pilot(ctx)
	if err != nil {
		return err
	}
	if err := signal(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	err = wait(ctx, 5*c.cfg.HeartBeat)
	if cerr := signal(pid, syscall.SIGCONT); err == nil {
		err = cerr
	}
	return err
}

// signal tolerates a process that has ended by itself.
func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("sending %s to a pilot: %w", s, err)
	}
	return nil
}

// killPayload kills one of the processes that run the payload's script, which lies in a folder that nobody else has.
func (c *chaos) killPayload(ctx context.Context) error {
	script := c.chain.Path("work.sh")
	for {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return err
		}
		for _, f := range files {
			line, err := os.ReadFile(f)
			if err != nil || !strings.Contains(string(line), script) {
				continue // it has ended
			}
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
				return signal(pid, syscall.SIGKILL)
			}
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *chaos) killIDDS(ctx context.Context) error {
	if err := c.chain.Kill("idds"); err != nil {
		return err
	}
	if err := wait(ctx, time.Second); err != nil {
		return err
	}
	return c.chain.StartIDDS(ctx, c.iddsArgs()...)
}

func (c *chaos) killDAQ(ctx context.Context) error {
	select {
	case <-c.chain.Ended("daq"):
		return nil // its run is over: there is nothing to break
	default:
	}
	if err := c.chain.Kill("daq"); err != nil {
		return err
	}
	return c.startDAQ(ctx)
}

func (c *chaos) killBroker(ctx context.Context) error {
	if c.cfg.Broker == "" {
		if err := c.chain.Kill("broker"); err != nil {
			return err
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		return c.chain.StartBroker(ctx, c.brokerArgs()...)
	}
	for _, program := range []string{c.cfg.BrokerKill, c.cfg.BrokerStart} {
		said := proc.NewCapture(1<<10, 1<<10)
		res, err := proc.Run(ctx, proc.Command{
			Path: "/bin/sh", Args: []string{"-c", program}, Env: baseEnv(), Stdout: said, Stderr: said, Grace: grace, StartsService: true,
		})
		if err != nil {
			return err
		}
		if res.ExitCode != 0 {
			return exitcode.New(exitcode.BadConfig, "%s ended with status %d: %s", program, res.ExitCode, said)
		}
	}
	return nil
}

// publishJunk publishes what is no slice, and what is a slice of somebody else.
func (c *chaos) publishJunk(ctx context.Context) error {
	headers := func(namespace string) []string {
		return []string{"persistent", "true", "msg_type", message.TypeSlice, "run_id", c.run, "namespace", namespace}
	}
	for _, junk := range []string{
		"", "{", "[]", "null", `"slice"`, `{"msg_type":"heartbeat"}`, `{"msg_type":"unheard"}`, `{"msg_type":"slice","content":7}`,
	} {
		if err := c.link.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte(junk), Headers: headers(c.namespace)}); err != nil {
			return err
		}
	}
	for range 3 {
		body := fmt.Sprintf(`{"msg_type":"slice","run_id":%q,"namespace":%q,"content":{"req_id":"foreign-%d","filename":"x","start":0,"end":1}}`,
			c.run, c.foreign, c.sent)
		if err := c.link.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte(body), Headers: headers(c.foreign)}); err != nil {
			return err
		}
		c.sent++
	}
	return nil
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
