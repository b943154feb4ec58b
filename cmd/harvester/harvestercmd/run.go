package harvestercmd

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

func runCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg)
	return &cli.Command{
		Name: "run", Usage: "submit pilots as idds demands, or --count, until it is told to stop",
		Description: "Without a configuration pilots run as processes of this machine (system local). They end with the harvester when it is\n" +
			"stopped by SIGTERM or Ctrl-C; after a kill -9 they go on, and the next harvester on the same --state adopts them. Pilots in\n" +
			"a batch system go on in either case.\n\n" +
			"Examples:\n" +
			"  harvester run --config site.toml\n" +
			"  harvester run --config site.toml --count 20        always 20 pilots, whatever idds demands\n" +
			"  harvester run --idds http://127.0.0.1:8443 --token-file harvester.token --pilot-token-file pilot.token\n" +
			"  harvester run --token-file harvester.token --pilot-token-file pilot.token --pilot-slots 4 --pilot-payload mine.toml",
		Flags:  append(opts.Flags(), program.LogFlags()...),
		Before: opts.Before,
		Action: func(c *cli.Context) error {
			return run(c, cfg)
		},
	}
}

// submitter is a harvester that may submit pilots: all that they need has been looked at.
func submitter(ctx context.Context, cfg site.Config, log *slog.Logger) (*station, error) {
	demand, err := cfg.Demand()
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckPilots(); err != nil {
		return nil, err
	}
	return open(ctx, cfg, log, demand)
}

func run(c *cli.Context, cfg site.Config) error {
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return err
	}
	teller, err := newTeller(cfg)
	if err != nil {
		return err
	}
	log = teller.Logger(log)
	s, err := submitter(c.Context, cfg, log)
	if err != nil {
		return err
	}
	defer s.close()
	present := presence(s.ctx, cfg, s.store)
	defer teller.Start(c.Context, present)()
	defer tellManager(s.ctx, present)()
	log.InfoContext(s.ctx, "harvester started", slog.String("system", cfg.System), slog.String("name", cfg.Name), slog.String("state", cfg.State),
		slog.String("interval", cfg.Interval.String()))
	err = s.Run(s.ctx)
	if c.Err() == nil && s.ctx.Err() != nil {
		err = errors.Join(err, context.Cause(s.ctx)) // the folder is somebody else's by now
	}
	if s.endPilots() {
		err = errors.Join(err, s.settle(c.Context))
	}
	log.InfoContext(c.Context, "harvester ended")
	return err
}

// tellManager keeps a service manager informed until the context ends, or what it returns is called.
func tellManager(ctx context.Context, present func() document.Component) (end func()) {
	manager := program.ServiceManager()
	manager.Ready()
	ctx, cancel := context.WithCancel(ctx)
	var told sync.WaitGroup
	told.Go(func() { _ = manager.Run(ctx, func() string { return present().Details }) })
	return func() {
		cancel()
		told.Wait()
	}
}

// settleLimit bounds the last look at the workers.
const settleLimit = 5 * time.Second

// settle notes what the jobs ended with, for whoever asks later. The context has ended by then.
func (s *station) settle(ctx context.Context) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return s.Settle(last)
}

func submitCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg)
	return &cli.Command{
		Name: "submit", Usage: "submit --count pilots once, and watch nothing",
		Description: "They are noted in the store: `harvester workers` shows them, and a harvester that runs later on the same --state takes\n" +
			"them as its own. Needs no idds when the pilots have a broker configuration.\n\n" +
			"Examples:\n" +
			"  harvester submit --config site.toml --count 10 --run 100001\n" +
			"  harvester submit --config site.toml --count 1 --idds '' --pilot-broker-config broker.toml",
		Flags:  append(append(opts.Flags(), program.OutputFlag()), program.LogFlags()...),
		Before: opts.Before,
		Action: func(c *cli.Context) error {
			return submit(c, cfg)
		},
	}
}

func submit(c *cli.Context, cfg site.Config) error {
	if cfg.Count < 1 {
		return exitcode.New(exitcode.Usage, "--count: say how many pilots")
	}
	if cfg.System == "local" {
		return exitcode.WithNext(exitcode.New(exitcode.Usage, "local pilots live only as long as the harvester that started them"), "`harvester run --count N` keeps them")
	}
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return err
	}
	s, err := submitter(c.Context, cfg, log)
	if err != nil {
		return err
	}
	defer s.close()
	workers, err := s.Submit(s.ctx, cfg.Run, cfg.Namespace, cfg.Count)
	if err != nil {
		return err
	}
	if err := program.Print(c, workers, workerTable(workers)); err != nil {
		return err
	}
	for _, w := range workers {
		if w.BatchID == "" {
			f := exitcode.NoBatch
			if known := exitcode.Find(w.Cause); len(known) > 0 {
				f = known[0]
			}
			return exitcode.New(f, "not all pilots were submitted, the first of these is %s: %s", w.ID, w.Reason)
		}
	}
	return nil
}
