package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
	"tfpilot/internal/pause"
	"tfpilot/internal/proc"
)

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
	return last(ctx, d)
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
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
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
	return freeze(ctx, pid, 5*c.cfg.HeartBeat)
}

func (c *chaos) freezeIDDS(ctx context.Context) error { return freeze(ctx, c.chain.PID("idds"), hang) }

func (c *chaos) freezeBroker(ctx context.Context) error {
	if c.cfg.Broker == "" {
		return freeze(ctx, c.chain.PID("broker"), hang)
	}
	b, err := os.ReadFile(c.cfg.BrokerPIDFile)
	if err != nil {
		return exitcode.Wrap(exitcode.BadConfig, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return exitcode.New(exitcode.BadConfig, "%s does not hold a process id", c.cfg.BrokerPIDFile)
	}
	return freeze(ctx, pid, hang)
}

// freeze stops a process for some time.
func freeze(ctx context.Context, pid int, d time.Duration) error {
	if err := signal(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	err := last(ctx, d)
	return cmp.Or(err, signal(pid, syscall.SIGCONT))
}

// signal tolerates a process that has ended by itself.
func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("sending %s to process %d: %w", s, pid, err)
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
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *chaos) killIDDS(ctx context.Context) error {
	if err := c.chain.Kill("idds"); err != nil {
		return err
	}
	if err := pause.For(ctx, time.Second); err != nil {
		return err
	}
	return c.chain.StartIDDS(ctx, c.iddsArgs()...)
}

// stepClock sets the clock of idds while it is down and a slice waits for its next attempt: an hour ahead, then back.
func (c *chaos) stepClock(ctx context.Context) error {
	if err := c.killPayload(ctx); err != nil {
		return err
	}
	if err := pause.For(ctx, time.Second); err != nil { // its failure is known, the next attempt not due
		return err
	}
	c.chain.IDDSClock = time.Hour - c.chain.IDDSClock
	return c.killIDDS(ctx)
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
		if err := pause.For(ctx, time.Second); err != nil {
			return err
		}
		return c.chain.StartBroker(ctx, c.brokerArgs()...)
	}
	const startGrace = 15 * time.Second
	for _, program := range []string{c.cfg.BrokerKill, c.cfg.BrokerStart} {
		said := proc.NewCapture(1<<10, 1<<10)
		res, err := proc.Run(ctx, proc.Command{
			Path: "/bin/sh", Args: []string{"-c", program}, Env: os.Environ(), Stdout: said, Stderr: said, Grace: startGrace, StartsService: true,
		})
		if err != nil {
			return err
		}
		if res.ExitCode != 0 {
			return exitcode.New(exitcode.BadConfig, "%s ended with status %d: %s", program, res.ExitCode, lastLine(said.String()))
		}
		if program == c.cfg.BrokerKill {
			if err := c.brokerIsGone(ctx); err != nil {
				return err
			}
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.cfg.Broker)
	if err != nil {
		return exitcode.New(exitcode.BadConfig, "%s has ended, and nobody listens on %s: %w", c.cfg.BrokerStart, c.cfg.Broker, err)
	}
	return conn.Close()
}

// brokerIsGone waits until nobody listens where the broker was.
func (c *chaos) brokerIsGone(ctx context.Context) error {
	const patience = 5 * time.Second
	for until := time.Now().Add(patience); ; {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.cfg.Broker)
		if err != nil {
			return context.Cause(ctx)
		}
		_ = conn.Close()
		if time.Now().After(until) {
			return exitcode.WithNext(exitcode.New(exitcode.BadConfig, "%s has ended, and the broker still listens on %s", c.cfg.BrokerKill, c.cfg.Broker),
				"--broker-kill has to kill the broker of --broker with -9, and nothing else may start it again")
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// lastLine is the last line of a text that says something.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// deadLetters is where Artemis has what nobody could work on.
const deadLetters = "DLQ"

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
	addresses := []string{message.TopicSlices}
	if c.absorbs { // as Artemis does, which has its dead letters there, marked so
		addresses = append(addresses, deadLetters)
	}
	for range 3 {
		body := fmt.Sprintf(`{"msg_type":"slice","run_id":%q,"namespace":%q,"content":{"req_id":"foreign-%d","filename":"x","start":0,"end":1}}`,
			c.run, c.foreign, c.sent)
		for _, address := range addresses {
			marked := append(headers(c.foreign), message.HeaderOriginalQueue, message.QueueSlicesWorkers)
			if err := c.link.Publish(ctx, broker.Out{Destination: address, Body: []byte(body), Headers: marked}); err != nil {
				return err
			}
		}
		c.sent++
	}
	return nil
}

// last is for how long a fault that has begun lasts; the end of its run ends it too.
func last(ctx context.Context, d time.Duration) error {
	if err := pause.For(ctx, d); !errors.Is(err, errOver) {
		return err
	}
	return nil
}
