package daqcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"tfpilot/daq"
	"tfpilot/daq/journal"
	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/internal/stomp"
)

// runOptions are all options of daq run.
type runOptions struct {
	daq.Config
	State  string        `toml:"state" default:"daq-state" help:"folder with the journals of runs; a killed run is gone on with from there"`
	Broker broker.Config `toml:"broker"`

	IDDS       string `toml:"idds" help:"address of an idds that is told what the run does and what the log says; none without it"`
	TokenFile  string `toml:"token_file" help:"file with a token of idds, of role harvester"`
	Token      string `toml:"token" secret:"true" help:"the token itself"`
	NoShipLogs bool   `toml:"no_ship_logs" help:"do not send the lines of the log to idds"`
	detector
}

func runCommand() *cli.Command {
	var o runOptions
	bind := config.Bind(&o)
	return &cli.Command{
		Name:  "run",
		Usage: "take a run: states, STF files, slices, and the books of their results",
		Description: "Ctrl-C or SIGTERM finishes the STF under way and sends end_run with the number of slices there are, within\n" +
			"--stop-time; with --keep-open the run stays open instead. A daq that was killed goes on with its run at the next\n" +
			"start with the same --state, and publishes the same slices.\n\n" +
			"Examples:\n" +
			"  daq run --broker-addr 127.0.0.1:61613 --run 100001 --stf-count 3\n" +
			"  daq run --broker-addr broker1:61613,broker2:61613 --config plan.toml --wait-results 10m\n" +
			"  daq run --broker-addr 127.0.0.1:61613 --replay events.root   simulated events as detector input\n\n" +
			"Exit status: 0 if every slice is done, 2 if any failed, 4 if results are missing after --wait-results, 40 if the\n" +
			"broker stayed away for --patience, 59 after a signal.",
		Flags:  flags(bind, append(program.LogFlags(), program.OutputFlag())...),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			return run(c, o)
		},
	}
}

func run(c *cli.Context, o runOptions) error {
	log, err := program.Logger(c, "daq")
	if err != nil {
		return err
	}
	if len(o.Broker.Addrs) == 0 {
		return exitcode.New(exitcode.Usage, "no broker: give --broker-addr host:port")
	}
	teller, err := o.teller()
	if err != nil {
		return err
	}
	log = teller.Logger(log)
	o.Logger, o.Broker.Logger = log, log
	if err := o.Validate(); err != nil {
		return err
	}
	src, detector, err := source(o.detector, o.Plan)
	if err != nil {
		return err
	}
	defer detector.Close() //nolint:errcheck // only read
	state, err := journal.Open(o.State, o.Run)
	if err != nil {
		return err
	}
	defer state.Close() //nolint:errcheck // every record has been written already
	o.Broker.ClientID = fmt.Sprintf("%s.daq.%s", o.Namespace, state.Run())
	link, err := broker.New(o.Broker)
	if err != nil {
		return err
	}
	d, err := daq.New(link, src, state, o.Config)
	if err != nil {
		return err
	}
	stop := teller.Start(c.Context, o.presence(state.Run()))
	report, err := drive(c.Context, d, link, o, state.Run())
	stop()
	err = dataHint(err)
	if perr := program.Print(c, report, table(report)); perr != nil {
		return errors.Join(err, perr)
	}
	return err
}

// drive runs the DAQ on its link. The link outlives the DAQ: what is done after a signal needs it.
func drive(ctx context.Context, d *daq.DAQ, link *broker.Link, o runOptions, run string) (daq.Report, error) {
	linkCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return link.Run(linkCtx) })
	var inbox daq.Inbox
	if o.WaitResults > 0 {
		inbox = link.Subscribe(stomp.SubscribeOptions{
			Destination: message.QueueResultsFast,
			Selector:    fmt.Sprintf("namespace = '%s' AND run_id = '%s'", o.Namespace, run),
		})
	}
	report, err := d.Run(ctx, inbox)
	cancel()
	return report, errors.Join(err, g.Wait())
}

func table(r daq.Report) program.Table {
	row := func(name string, value any) []string { return []string{name, fmt.Sprint(value)} }
	return program.Table{Rows: [][]string{
		row("run", r.RunID), row("STFs", r.STFs), row("slices published", r.Published), row("done", r.Done),
		row("failed", r.Failed), row("unanswered", r.Unanswered), row("failed attempts", r.Retried),
		row("absorbed results", r.Absorbed), row("unmatched results", r.Unmatched), row("junk", r.Junk),
		row("mean STF to results", fmt.Sprintf("%.2f s", r.MeanSTF)), row("slowest", fmt.Sprintf("%.2f s", r.SlowestSTF)),
		row("seconds", fmt.Sprintf("%.1f", r.Seconds)),
	}}
}
