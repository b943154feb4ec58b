package chaos

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
	"tfpilot/internal/testbed"
	"tfpilot/internal/testbed/witness"
)

// Each fault has a run of its own.
const firstRun = 200001

// chaos is a chain that is being broken.
type chaos struct {
	cfg   Config
	chain *testbed.Chain
	show  *program.Progress
	rng   *rand.Rand

	// namespace is new each time: a broker that saw the same slices yesterday would take ours for duplicates. foreign is that
	// of the slices which are nobody's here.
	namespace, foreign string

	link *broker.Link // ours, straight to the broker
	// absorbs is whether the broker drops a second message with one _AMQ_DUPL_ID.
	absorbs bool
	watch   *witness.Witness
	// proxies stand between the broker and the programs: idds, daq, pilot.
	proxies map[string]*faultproxy.Proxy
	// work is the pilots' folder; full says whether it is a file system that can be filled, or why not.
	work string
	full error
	run  string // the present one
	sent int    // messages of others that were published during it
}

// Run runs the chain once for every fault and returns what became of the slices. The error is the report's verdict, or why
// there is none.
func Run(ctx context.Context, cfg Config, bin string, out io.Writer) (Report, error) {
	config.Defaults(&cfg)
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	faults, err := chosen(cfg.Faults)
	if err != nil {
		return Report{}, err
	}
	if cfg.Passcode, err = program.Token(cfg.Passcode, cfg.PasscodeFile); err != nil {
		return Report{}, err
	}
	if err := testbed.NeedPrograms(bin, "testbed", "idds", "harvester", "pilot", "daq"); err != nil {
		return Report{}, err
	}
	dir, unlock, err := testbed.CleanFolder(cfg.Out)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	stack, err := testbed.NewStack(dir, bin)
	if err != nil {
		return Report{}, err
	}
	namespace := "chaos-" + strings.ToLower(crand.Text()[:6])
	c := &chaos{
		cfg: cfg, show: program.NewProgress(out, time.Now()), rng: rand.New(rand.NewPCG(cfg.Seed, 0)), proxies: map[string]*faultproxy.Proxy{},
		namespace: namespace, foreign: namespace + "-foreign",
	}
	report := Report{
		Namespace: namespace, Seed: cfg.Seed, Broker: cmp.Or(cfg.Broker, "embedded"), Pilots: cfg.Pilots, Slots: cfg.Slots, HeartBeat: cfg.HeartBeat.Seconds(),
		RecoverLimit: cfg.RecoverLimit.Seconds(),
	}
	// What we own ends after what uses it: proxies and witness after the programs.
	own, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	group, own := errgroup.WithContext(own)
	defer func() {
		stack.StopAll()
		hangUp()
		_ = group.Wait()
		if c.watch != nil {
			c.watch.Wait()
		}
		c.unmount()
	}()
	if err = c.start(ctx, own, group, stack, &report); err == nil {
		err = c.all(ctx, faults, &report)
	}
	if err != nil {
		err = testbed.Cause(ctx, err)
		c.show.Note(time.Now(), "stopping everything")
	}
	c.leave(ctx, stack, &report)
	if err != nil && len(report.Rows) == 0 {
		return Report{}, err
	}
	return report, cmp.Or(errors.Join(err, report.Write(dir)), report.Verdict())
}

// leave ends the programs and notes what remains of them, when there was a time at which nothing had to remain.
func (c *chaos) leave(ctx context.Context, stack *testbed.Stack, report *Report) {
	if c.chain == nil {
		return
	}
	if c.cfg.Broker == "" {
		stack.Stop("harvester")
		stack.Stop("idds")
	} else {
		stack.StopAll()
	}
	var problems []string
	if c.link != nil && c.link.State().Connected {
		problems = c.remains(ctx)
		if c.cfg.Broker != "" && c.chain.IDDS != "" {
			if err := c.forget(ctx); err != nil {
				problems = append(problems, err.Error())
			}
		}
	}
	stack.StopAll()
	pids, err := gone(context.WithoutCancel(ctx), c.chain.Path())
	if err != nil || len(pids) > 0 {
		problems = append(problems, fmt.Sprintf("processes left: %v %v", pids, errors.Join(err)))
	}
	if report.over {
		report.Problems = problems
	}
}

// start starts everything but daq, which is started for each run.
func (c *chaos) start(ctx, own context.Context, group *errgroup.Group, stack *testbed.Stack, report *Report) error {
	var err error
	if c.chain, err = testbed.JoinChain(stack, c.namespace, c.cfg.Broker); err != nil {
		return err
	}
	c.chain.Login, c.chain.Passcode, c.chain.HeartBeat = c.cfg.Login, c.cfg.Passcode, c.cfg.HeartBeat
	if c.cfg.Broker == "" {
		if err := c.chain.StartBroker(ctx, c.brokerArgs()...); err != nil {
			return err
		}
	}
	c.show.Note(time.Now(), "broker on %s", c.chain.Broker)
	if err := c.observe(own, group); err != nil {
		return err
	}
	if err := c.probe(ctx); err != nil {
		return err
	}
	report.BrokerAbsorbs = c.absorbs
	c.show.Note(time.Now(), "it has every binding, and %s", absorbing(c.absorbs))
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

// brokerArgs make the embedded broker as quick to notice a dead link as the programs are, and keep its messages over a kill.
func (c *chaos) brokerArgs() []string {
	return []string{"--heart-beat", c.cfg.HeartBeat.String(), "--state", c.chain.Path("broker")}
}

// iddsArgs shorten the patience with workers: a lost slice is to be found within the run. And no fault is mended by more pilots than
// were asked for.
func (c *chaos) iddsArgs() []string {
	return []string{"--lost-after", "5s", "--demand-max-run", strconv.Itoa(c.cfg.Pilots)}
}

// observe starts our own link and what watches the results on it.
func (c *chaos) observe(own context.Context, group *errgroup.Group) error {
	var err error
	c.link, err = broker.New(broker.Config{
		Addrs: []string{c.chain.Broker}, Login: c.cfg.Login, Passcode: c.cfg.Passcode, Tuning: broker.Tuning{HeartBeat: c.cfg.HeartBeat},
	})
	if err != nil {
		return err
	}
	c.watch = witness.New(c.link, c.namespace, c.foreign)
	group.Go(func() error { return c.link.Run(own) })
	group.Go(func() error { return c.watch.Run(own) })
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
	if name == "pilot" {
		p.ListenIn(c.watch.Ear)
	}
	c.proxies[name], c.chain.Via[name] = p, ln.Addr().String()
	group.Go(func() error { return p.Serve(own, ln) })
	return nil
}

func absorbing(does bool) string {
	if does {
		return "drops a message that is sent twice"
	}
	return "passes on a message that is sent twice: the ledger has to absorb it"
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
func (c *chaos) all(ctx context.Context, faults []fault, report *Report) error {
	for i, f := range faults {
		c.run = strconv.Itoa(firstRun + i)
		if why := f.impossible(c); why != "" {
			c.show.Note(time.Now(), "%-14s  left out: %s", f.name, why)
			report.Rows = append(report.Rows, Row{Fault: f.name, LeftOut: why, Named: f.named})
			continue
		}
		c.show.Note(time.Now(), "%-14s  %s", f.name, f.what)
		row, err := c.scenario(ctx, f)
		if err != nil {
			return err
		}
		row.Verdict = report.verdict(row)
		c.show.Note(time.Now(), "%-14s  %s", f.name, report.summary(row))
		report.Rows = append(report.Rows, row)
	}
	report.over = true
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
