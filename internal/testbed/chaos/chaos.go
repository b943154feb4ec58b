package testbed

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/program"
)

// ChaosConfig says what is broken, and how much work meanwhile goes through the chain. The zero value is every short fault on
// the embedded broker.
type ChaosConfig struct {
	Out       string        `toml:"out" default:"chaos-out" help:"folder for the report and all state; a former one's is replaced"`
	Faults    []string      `toml:"faults" default:"short" help:"names of faults, or short, long, all; --help names them"`
	Seed      uint64        `toml:"seed" default:"1" help:"seed of the schedule: the same seed breaks the same things at the same points"`
	Slices    int           `toml:"slices" default:"600" help:"slices per fault"`
	Pilots    int           `toml:"pilots" default:"3" help:"pilots"`
	Slots     int           `toml:"slots" default:"1" help:"slots of each pilot"`
	Work      time.Duration `toml:"work" default:"50ms" help:"time that a payload takes for a slice"`
	HeartBeat time.Duration `toml:"heart_beat" default:"1s" help:"heart-beat interval of the links to the broker"`
	Limit     time.Duration `toml:"limit" default:"3m" help:"time in which a run has to end, beside the fault's own"`

	Broker       string `toml:"broker" help:"host:port of a broker that runs already; an embedded one is started otherwise"`
	Login        string `toml:"login" help:"login at that broker"`
	PasscodeFile string `toml:"passcode_file" help:"file with the passcode at that broker"`
	Passcode     string `toml:"passcode" secret:"true" help:"the passcode itself"`
	BrokerKill   string `toml:"broker_kill" help:"program that kills that broker with -9; without it the faults of the broker are left out"`
	BrokerStart  string `toml:"broker_start" help:"program that starts that broker again and returns when it listens"`
}

// Each fault has a run of its own.
const (
	chaosFirstRun = 200001
	slicesPerSTF  = 20
)

// Validate names every value that makes no sense.
func (c ChaosConfig) Validate() error {
	var errs []error
	for _, n := range []struct {
		name            string
		value, min, max int
	}{{"slices", c.Slices, slicesPerSTF, 1_000_000}, {"pilots", c.Pilots, 1, 100}, {"slots", c.Slots, 1, 1000}} {
		if n.value < n.min || n.value > n.max {
			errs = append(errs, fmt.Errorf("--%s %d: must be from %d to %d", n.name, n.value, n.min, n.max))
		}
	}
	if c.Slices%slicesPerSTF != 0 {
		errs = append(errs, fmt.Errorf("--slices %d: must be a multiple of %d, the slices of an STF", c.Slices, slicesPerSTF))
	}
	if _, err := chosen(c.Faults); err != nil {
		errs = append(errs, err)
	}
	if (c.BrokerKill == "") != (c.BrokerStart == "") || (c.BrokerKill != "" && c.Broker == "") {
		errs = append(errs, errors.New("--broker-kill and --broker-start go together, and with --broker"))
	}
	if c.Broker != "" {
		if _, _, err := net.SplitHostPort(c.Broker); err != nil {
			errs = append(errs, fmt.Errorf("--broker %q is not host:port", c.Broker))
		}
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// chaos is a chain that is being broken.
type chaos struct {
	cfg   ChaosConfig
	chain *Chain
	show  *progress
	rng   *rand.Rand

	// namespace is new each time: a broker that saw the same slices yesterday would take ours for duplicates. foreign is that
	// of the slices which are nobody's here.
	namespace, foreign string

	link  *broker.Link // ours, straight to the broker
	watch *observer
	// proxies stand between the broker and the programs: idds, daq, pilot.
	proxies map[string]*faultproxy.Proxy
	// work is the pilots' folder; full says whether it is a file system that can be filled, or why not.
	work string
	full error
	run  string // the present one
	sent int    // messages of others that were published during it
}

// Chaos runs the chain once for every fault and returns what became of the slices. The error is the report's verdict, or why
// there is none.
func Chaos(ctx context.Context, cfg ChaosConfig, bin string, out io.Writer) (ChaosReport, error) {
	config.Defaults(&cfg)
	if err := cfg.Validate(); err != nil {
		return ChaosReport{}, err
	}
	faults, err := chosen(cfg.Faults)
	if err != nil {
		return ChaosReport{}, err
	}
	if cfg.Passcode, err = program.Token(cfg.Passcode, cfg.PasscodeFile); err != nil {
		return ChaosReport{}, err
	}
	for _, name := range []string{"testbed", "idds", "harvester", "pilot", "daq"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return ChaosReport{}, missing(name, bin)
		}
	}
	dir, unlock, err := cleanFolder(cfg.Out)
	if err != nil {
		return ChaosReport{}, err
	}
	defer unlock()
	stack, err := NewStack(dir, bin)
	if err != nil {
		return ChaosReport{}, err
	}
	namespace := "chaos-" + strings.ToLower(crand.Text()[:6])
	c := &chaos{
		cfg: cfg, show: newProgress(out, time.Now()), rng: rand.New(rand.NewPCG(cfg.Seed, 0)), proxies: map[string]*faultproxy.Proxy{},
		namespace: namespace, foreign: namespace + "-foreign",
	}
	report := ChaosReport{Seed: cfg.Seed, Broker: cmp.Or(cfg.Broker, "embedded"), Pilots: cfg.Pilots, Slots: cfg.Slots, HeartBeat: cfg.HeartBeat.Seconds()}
	// What we own ends after what uses it: proxies and observer after the programs.
	own, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	group, own := errgroup.WithContext(own)
	defer func() {
		stack.StopAll()
		c.sweep(ctx)
		hangUp()
		_ = group.Wait()
		c.unmount()
	}()
	if err = c.start(ctx, own, group, stack); err == nil {
		err = c.all(ctx, faults, &report)
	}
	if err != nil {
		err = causeOf(ctx, err)
		c.show.note(time.Now(), "stopping everything: %v", err)
		if len(report.Rows) == 0 {
			return ChaosReport{}, err
		}
	}
	return report, cmp.Or(errors.Join(err, report.Write(dir)), report.Verdict())
}

// start starts everything but daq, which is started for each run.
func (c *chaos) start(ctx, own context.Context, group *errgroup.Group, stack *Stack) error {
	var err error
	if c.chain, err = JoinChain(stack, c.namespace, c.cfg.Broker); err != nil {
		return err
	}
	c.chain.Login, c.chain.Passcode, c.chain.HeartBeat = c.cfg.Login, c.cfg.Passcode, c.cfg.HeartBeat
	if c.cfg.Broker == "" {
		if err := c.chain.StartBroker(ctx, c.brokerArgs()...); err != nil {
			return err
		}
	}
	c.show.note(time.Now(), "broker on %s", c.chain.Broker)
	if err := c.observe(own, group); err != nil {
		return err
	}
	c.chain.Via = map[string]string{}
	for _, name := range []string{"idds", "daq", "pilot"} {
		if err := c.between(own, group, name); err != nil {
			return err
		}
	}
	c.work, c.full = c.mount()
	if err := c.chain.StartIDDS(ctx, c.iddsArgs()...); err != nil {
		return err
	}
	payload, err := c.payload()
	if err != nil {
		return err
	}
	return c.chain.StartHarvester(ctx, "--pilot-payload", payload, "--pilot-slots", strconv.Itoa(c.cfg.Slots))
}

// brokerArgs make the embedded broker as quick to notice a dead link as the programs are.
func (c *chaos) brokerArgs() []string { return []string{"--heart-beat", c.cfg.HeartBeat.String()} }

// iddsArgs shorten the patience with workers: a lost slice is to be found within the run.
func (c *chaos) iddsArgs() []string { return []string{"--lost-after", "5s"} }

// observe starts our own link and what watches the results on it.
func (c *chaos) observe(own context.Context, group *errgroup.Group) error {
	var err error
	c.link, err = broker.New(broker.Config{
		Addrs: []string{c.chain.Broker}, Login: c.cfg.Login, Passcode: c.cfg.Passcode, Tuning: broker.Tuning{HeartBeat: c.cfg.HeartBeat},
	})
	if err != nil {
		return err
	}
	c.watch = newObserver(c.link, c.namespace, c.foreign)
	group.Go(func() error { return c.link.Run(own) })
	group.Go(func() error { return c.watch.run(own) })
	return nil
}

// between puts a proxy between a program and the broker.
func (c *chaos) between(own context.Context, group *errgroup.Group, name string) error {
	ln, err := program.Listen("127.0.0.1:0", "")
	if err != nil {
		return err
	}
	p := faultproxy.New(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", c.chain.Broker)
	}, seededJitter(c.cfg.Seed, uint64(len(c.proxies)+1)))
	c.proxies[name], c.chain.Via[name] = p, ln.Addr().String()
	group.Go(func() error { return p.Serve(own, ln) })
	return nil
}

// payload writes the payload that works for a while and notes every execution.
func (c *chaos) payload() (string, error) {
	script := fmt.Sprintf("#!/bin/sh\n# Work for a while; a full disk is the site's fault.\necho \"$TFPILOT_RUN_ID $TFPILOT_REQ_ID\" >>'%s'\nsleep %g\n"+
		"printf '{\"counts\":{\"events\":1}}' >\"$TFPILOT_RESULT\" || exit 30\n",
		strings.ReplaceAll(c.chain.Path("executed"), "'", `'\''`), c.cfg.Work.Seconds())
	toml := "name = \"chaos\"\nversion = \"1\"\nkind = \"command\"\ncommand = [\"./work.sh\"]\ntimeout = \"1m\"\ngrace = \"1s\"\n"
	for name, f := range map[string]struct {
		text string
		mode os.FileMode
	}{"work.sh": {script, 0o755}, "payload.toml": {toml, 0o644}} {
		if err := os.WriteFile(c.chain.Path(name), []byte(f.text), f.mode); err != nil {
			return "", exitcode.New(exitcode.StoreFailed, "writing the payload: %w", err)
		}
	}
	return c.chain.Path("payload.toml"), nil
}

// all breaks one thing after the other.
func (c *chaos) all(ctx context.Context, faults []fault, report *ChaosReport) error {
	for i, f := range faults {
		c.run = strconv.Itoa(chaosFirstRun + i)
		if why := f.impossible(c); why != "" {
			c.show.note(time.Now(), "%-16s left out: %s", f.name, why)
			report.Rows = append(report.Rows, ChaosRow{Fault: f.name, LeftOut: why})
			continue
		}
		row, err := c.scenario(ctx, f)
		if err != nil {
			return err
		}
		c.show.note(time.Now(), "%-16s %s", f.name, row.summary())
		report.Rows = append(report.Rows, row)
	}
	return nil
}

// executions is how many slices of the present run were worked on, and how often in all.
func (c *chaos) executions() (slicesDone, times int, err error) {
	b, err := os.ReadFile(c.chain.Path("executed"))
	if err != nil && !os.IsNotExist(err) {
		return 0, 0, exitcode.New(exitcode.StoreFailed, "reading what was executed: %w", err)
	}
	var of []string
	for line := range strings.Lines(string(b)) {
		if run, id, ok := strings.Cut(strings.TrimSpace(line), " "); ok && run == c.run {
			of = append(of, id)
		}
	}
	slices.Sort(of)
	times = len(of)
	return len(slices.Compact(of)), times, nil
}
