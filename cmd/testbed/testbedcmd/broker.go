package testbedcmd

import (
	"crypto/tls"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/stompd"
)

// brokerConfig is everything that `testbed broker` can be told.
type brokerConfig struct {
	Listen      string `toml:"listen" default:"127.0.0.1:61613" help:"host:port to listen on"`
	AddressFile string `toml:"address_file" help:"write the host:port here once it listens"`
	State       string `toml:"state" default:"broker-state" help:"folder in which persistent messages outlive the broker"`
	// InMemory is for tests, and for brokers whose messages nobody misses.
	InMemory bool `toml:"in_memory" help:"keep nothing on disk: what the broker holds ends with it"`
	// Bind replaces the production bindings.
	Bind []string `toml:"bind" help:"copies of a topic, as TOPIC=QUEUE,...; the production ones when empty"`

	access
	stompd.Config
}

func brokerCommand() *cli.Command {
	var cfg brokerConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "broker",
		Usage: "run the embedded broker alone",
		Description: "A STOMP 1.2 broker with the production addresses, which behaves as Artemis does, or, with --mode classic, as\n" +
			"ActiveMQ Classic. Without options it lets everybody in: for one machine and for tests. Persistent messages,\n" +
			"acknowledgements, durable subscriptions and duplicate ids outlive it in the folder --state, a kill -9 too: a RECEIPT\n" +
			"means that the disk has it. With --in-memory nothing does.\n\n" +
			"Exit status: 0 after a signal, 43 when the state cannot be read or written, 53 when a newer program has written it, 45\n" +
			"when another broker is on it, 50 for a file with secrets that others can read, 51 for users or a certificate that\n" +
			"cannot be used.\n\n" +
			"Examples:\n" +
			"  testbed broker --listen 127.0.0.1:61613\n" +
			"  testbed broker --in-memory\n" +
			"  testbed broker --listen 0.0.0.0:61612 --users users.toml --tls-cert broker.pem --tls-key broker.key\n" +
			"  testbed broker --mode classic\n" +
			"  testbed broker --bind /topic/panda.slices=/queue/panda.slices.transformer,/topic/panda.slices=/queue/mine",
		Flags:  append(bind.Flags(), program.LogFlags()...),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			log, err := program.Logger(c, "broker")
			if err != nil {
				return err
			}
			cfg.Logger = log
			if cfg.FanOut, err = fanOut(cfg.Bind); err != nil {
				return err
			}
			if cfg.Config.Users, err = cfg.users(); err != nil {
				return err
			}
			secure, err := program.ServerTLS(cfg.TLSCert, cfg.TLSKey)
			if err != nil {
				return err
			}
			if !cfg.InMemory {
				unlock, err := program.LockFolder(cfg.State)
				if err != nil {
					return err
				}
				defer unlock()
				cfg.Config.State = cfg.State
			}
			b, err := stompd.New(cfg.Config)
			if err != nil {
				return err
			}
			ln, err := program.Listen(cfg.Listen, cfg.AddressFile)
			if err != nil {
				return err
			}
			if secure != nil {
				ln = tls.NewListener(ln, secure)
			}
			manager := program.ServiceManager()
			manager.Ready()
			g, ctx := errgroup.WithContext(c.Context)
			g.Go(func() error { return b.Serve(ctx, ln) })
			g.Go(func() error { return manager.Run(ctx, func() string { return "listens on " + ln.Addr().String() }) })
			return g.Wait()
		},
	}
}

// fanOut reads TOPIC=QUEUE pairs; nil stands for the production bindings.
func fanOut(pairs []string) (map[string][]string, error) {
	var out map[string][]string
	for _, pair := range pairs {
		topic, queue, ok := strings.Cut(pair, "=")
		if !ok || topic == "" || queue == "" {
			return nil, exitcode.New(exitcode.Usage, "--bind %q is not TOPIC=QUEUE", pair)
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[topic] = append(out[topic], queue)
	}
	return out, nil
}
