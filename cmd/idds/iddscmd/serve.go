package iddscmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
)

// serveConfig is everything that `idds serve` can be told.
type serveConfig struct {
	Listen      string        `toml:"listen" default:"127.0.0.1:8443" help:"host:port of the REST interface"`
	AddressFile string        `toml:"address_file" help:"write the host:port here once it listens and the broker is found"`
	State       string        `toml:"state" default:"idds-state" help:"folder of the store and the tokens"`
	Broker      broker.Config `toml:"broker"`
	BrokerTLS   bool          `toml:"broker_tls" help:"reach the broker over TLS; its certificate is verified always"`
	BrokerCA    string        `toml:"broker_ca_file" help:"file with the authorities that may have signed the broker's certificate; the system's when empty"`

	idds.Config
}

// brokerConfig is the broker with its defaults and what TLS needs.
func (c serveConfig) brokerConfig() (broker.Config, error) {
	out := c.Broker
	config.Defaults(&out)
	if !c.BrokerTLS {
		if c.BrokerCA != "" {
			return out, exitcode.New(exitcode.Usage, "--broker-ca-file %s has no use without --broker-tls", c.BrokerCA)
		}
		return out, nil
	}
	out.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.BrokerCA == "" {
		return out, nil
	}
	text, err := os.ReadFile(c.BrokerCA)
	if err != nil {
		return out, exitcode.New(exitcode.BadConfig, "--broker-ca-file: %w", err)
	}
	out.TLS.RootCAs = x509.NewCertPool()
	if !out.TLS.RootCAs.AppendCertsFromPEM(text) {
		return out, exitcode.New(exitcode.BadConfig, "--broker-ca-file: %s holds no certificate", c.BrokerCA)
	}
	return out, nil
}

func serveCommand() *cli.Command {
	var cfg serveConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "serve",
		Usage: "run the service",
		Description: "Follows the broker's copies of slices and results, and answers REST requests. Tokens are read from\n" +
			"STATE/tokens.toml (role = \"token\"), which is made with fresh ones when it is not there.\n\n" +
			"Example: idds serve --state /var/lib/idds --broker-addr broker1:61613,broker2:61613 --listen 0.0.0.0:8443",
		Flags: append(bind.Flags(), program.LogFlags()...),
		Action: func(c *cli.Context) error {
			if err := program.NoArgs(c); err != nil {
				return err
			}
			if err := bind.Load(c); err != nil {
				return err
			}
			return serve(c, cfg)
		},
	}
}

// readyLimit is how long the address file waits for the broker.
const readyLimit = 5 * time.Second

func serve(c *cli.Context, cfg serveConfig) error {
	log, err := program.Logger(c, "idds")
	if err != nil {
		return err
	}
	conf, err := cfg.brokerConfig()
	if err != nil {
		return err
	}
	unlock, err := program.LockFolder(cfg.State)
	if err != nil {
		return err
	}
	defer unlock()
	tokens, err := loadTokens(filepath.Join(cfg.State, "tokens.toml"))
	if err != nil {
		return err
	}
	store, err := sqlite.Open(c.Context, cfg.State)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	conf.Logger, conf.ClientID = log, cfg.Namespace+".idds"
	link, err := broker.New(conf)
	if err != nil {
		return err
	}
	service, err := idds.New(store, link, log, cfg.Config)
	if err != nil {
		return err
	}
	ln, err := program.Listen(cfg.Listen, "")
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           api.Handler(service, store, api.Config{Tokens: tokens, Broker: promptBroker(cfg)}),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	log.InfoContext(c.Context, "idds listens", slog.String("addr", ln.Addr().String()))

	// The link outlives its users: they give back what they hold before it says goodbye.
	linkCtx, hangUp := context.WithCancel(context.WithoutCancel(c.Context))
	linkDone := make(chan struct{})
	go func() { defer close(linkDone); _ = link.Run(linkCtx) }()
	g, ctx := errgroup.WithContext(c.Context)
	g.Go(func() error { return service.Run(ctx) })
	g.Go(func() error {
		if cfg.AddressFile == "" {
			return nil
		}
		// Whoever waits for the file may start a run next: what it says of itself must not be missed.
		select {
		case <-service.Ready():
		case <-time.After(readyLimit):
			log.WarnContext(ctx, "no broker yet; serving all the same")
		case <-ctx.Done():
			return nil
		}
		return program.WriteAddress(cfg.AddressFile, ln)
	})
	g.Go(func() error { return api.Serve(ctx, srv, func() error { return srv.Serve(ln) }) })
	err = g.Wait()
	hangUp()
	<-linkDone
	return err
}

// promptBroker is the configuration that pilots are given.
func promptBroker(cfg serveConfig) message.PromptBroker {
	entry := func(destination string) *message.BrokerEntry {
		e := &message.BrokerEntry{
			Destination: destination, Brokers: cfg.Broker.Addrs, Username: cfg.Broker.Login, Password: cfg.Broker.Passcode, UseSSL: cfg.BrokerTLS,
		}
		if cfg.BrokerCA != "" { // where a worker has no such file it looks into its environment
			e.SSLCACerts = &cfg.BrokerCA
		}
		return e
	}
	return message.PromptBroker{
		TransformerBroker:          entry(message.QueueSlicesWorkers),
		TransformerBroadcastBroker: entry(message.TopicTransformer),
		ResultBroker:               entry(message.TopicResults),
	}
}
