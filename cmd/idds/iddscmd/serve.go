package iddscmd

import (
	"context"
	"sync"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/live"
	"tfpilot/idds/oidc"
	"tfpilot/idds/panda"
	"tfpilot/idds/roothist"
	"tfpilot/idds/traces"
	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/frontdoor"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
)

// serveConfig is everything that `idds serve` can be told.
type serveConfig struct {
	Listen      string        `toml:"listen" default:"127.0.0.1:8443" help:"host:port of the REST interface"`
	AddressFile string        `toml:"address_file" help:"write the host:port here once it listens and the broker is found"`
	TLSCert     string        `toml:"tls_cert" help:"certificate of the REST interface and those that signed it (PEM); without it no TLS is spoken"`
	TLSKey      string        `toml:"tls_key" help:"key of the certificate (PEM)"`
	Connections int           `toml:"max_connections" default:"2000" help:"connections of the REST interface at once; of more, those go that have kept it waiting for longest"`
	Rate        int           `toml:"rate_limit" default:"500" zero:"true" help:"REST requests a second of one caller, that is token and address; any number with 0"`
	PublicPage  bool          `toml:"public_page" help:"whoever reaches the address may look at the page and read /v1, as a viewer of the namespace, without a token"`
	Broker      broker.Config `toml:"broker"`
	Logins      string        `toml:"broker_logins" help:"TOML file with the login of pilots at the broker for each namespace; the service's own for its own without it"`
	OIDC        oidc.Config   `toml:"oidc"`
	OTLP        traces.Config `toml:"otlp"`

	storeConfig
	recordConfig
	idds.Config
}

func serveCommand() *cli.Command {
	var cfg serveConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "serve",
		Usage: "run the service",
		Description: "Follows the broker's copies of slices and results, and answers REST requests. Tokens are read from\n" +
			"STATE/tokens.toml (role = \"token\"), which is made with fresh ones when it is not there. The ledger is the file STATE/idds.db,\n" +
			"or in a database of PostgreSQL. Further tokens are made by `idds token create`; --oidc-issuer takes those of an issuer too.\n\n" +
			"Examples:\n" +
			"  idds serve --state /var/lib/idds --broker-addr broker1:61613,broker2:61613 --listen 0.0.0.0:8443\n" +
			"  idds serve --state /var/lib/idds --broker-addr broker1:61613 --store postgres://idds@db.example.org/idds\n" +
			"  idds serve --state /var/lib/idds --broker-addr broker1:61613 --listen 0.0.0.0:8443 --tls-cert idds.pem --tls-key idds.key",
		Flags:  append(bind.Flags(), program.LogFlags()...),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			p, err := cfg.place(bind)
			if err != nil {
				return err
			}
			return serve(c, cfg, p)
		},
	}
}

func serve(c *cli.Context, cfg serveConfig, p place) error {
	// Its lines to the broker, which do not connect yet: what is wrong with them is said before anything is made.
	log, err := program.Logger(c, "idds")
	if err != nil {
		return err
	}
	if err := cfg.Broker.ReadPasscode(); err != nil { // pilots are told it too
		return err
	}
	cfg.Broker.Logger, cfg.Broker.ClientID = log, cfg.Namespace+".idds"
	link, err := broker.New(cfg.Broker)
	if err != nil {
		return err
	}
	quiet := cfg.Broker
	quiet.Logger, quiet.ClientID = logging.Discard(), cfg.Namespace+".idds.stops"
	if cfg.Stops, err = broker.New(quiet); err != nil {
		return err
	}

	// What it stands on: a folder, a clock, who holds a token, a store that tells of what is written to it.
	secure, err := program.ServerTLS(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return err
	}
	unlock, err := program.LockFolder(cfg.State)
	if err != nil {
		return err
	}
	defer unlock()
	if cfg.Now, err = program.Clock(); err != nil {
		return err
	}
	rights, err := cfg.rights()
	if err != nil {
		return err
	}
	defer rights.close()
	manager := program.ServiceManager()
	manager.Status("opening the store " + p.String()) // a new schema takes its time
	store, err := p.open(c.Context, log)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	store, watched, err := cfg.observe(c.Context, store, log)
	if err != nil {
		return err
	}
	rest, err := rights.config(c.Context, store, log)
	if err != nil {
		return err
	}

	// What it does: what it notes beside slices, and the service itself.
	notes, err := cfg.notes(store, log)
	if err != nil {
		return err
	}
	cfg.Saw = notes.Saw
	service, err := idds.New(store, link, log, cfg.Config)
	if err != nil {
		return err
	}

	// What it answers: the REST interface, and all that is mounted beside it.
	rest.Record = notes.serve(service)
	feed := live.New(live.Config{Service: service, Store: store, Namespace: cfg.Namespace, Programs: notes.roll.Programs, Log: log})
	watched.feed, rest.Feed, rest.ROOT = feed, feed, roothist.Encode
	if rest.Mounts, err = mounts(service, store, feed, cfg.Namespace, rest.Record, log); err != nil {
		return err
	}
	rest.Mounts = append(rest.Mounts, production(service, store, rest)...)
	rest.Mounts = append(rest.Mounts, notes.mounts(cfg)...)
	watched.mount(&rest, service, link)
	ln, err := program.Listen(cfg.Listen, "")
	if err != nil {
		return err
	}
	srv := cfg.server(c.Context, panda.Dialect(api.Handler(service, store, rest)), secure, log)
	sayListens(c.Context, ln, secure != nil, log)

	// The link outlives its users: they give back what they hold before it says goodbye.
	linkCtx, hangUp := context.WithCancel(context.WithoutCancel(c.Context))
	var links sync.WaitGroup
	links.Go(func() { _ = link.Run(linkCtx) })
	links.Go(func() { _ = cfg.Stops.Run(linkCtx) })
	if notes.link != nil {
		links.Go(func() { _ = notes.link.Run(linkCtx) })
	}
	g, ctx := errgroup.WithContext(c.Context)
	g.Go(func() error { return service.Run(ctx) })
	g.Go(func() error { return feed.Run(ctx) })
	g.Go(func() error { return notes.Run(ctx) })
	g.Go(func() error { return watched.run(ctx) })
	g.Go(func() error { return cfg.tellAddress(ctx, ln, manager, log, service.Ready(), notes.Ready()) })
	g.Go(func() error { return manager.Run(ctx, func() string { return service.Health(ctx).Line() }) })
	g.Go(func() error { return frontdoor.Serve(ctx, srv, func() error { return answer(srv, ln) }) })
	err = g.Wait()
	hangUp()
	links.Wait()
	return err
}
