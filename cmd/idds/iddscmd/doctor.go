package iddscmd

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/idds/doctor"
	"tfpilot/idds/oidc"
	"tfpilot/internal/access"
	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// doctorConfig is that of the service, and what only an examination needs.
type doctorConfig struct {
	serveConfig

	ResultQueues []string      `toml:"result_queues" default:"/queue/panda.results.fastprocessing,/queue/panda.results.idds" help:"queues that every result has to reach; add /queue/panda.results.worker beside the Python transceiver"`
	IDCacheSize  int           `toml:"id_cache_size" default:"20000" help:"id-cache-size of the broker, when it does not say itself"`
	ProbeLimit   time.Duration `toml:"probe_limit" default:"3s" help:"how long a message may take to arrive"`
}

func doctorCommand() *cli.Command {
	var cfg doctorConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "doctor",
		Usage: "examine the broker, the store and all else that the service stands on",
		Description: "Takes the options of `idds serve`, and can be run before it and while it runs: what it sends over the broker\n" +
			"harms nobody, and it takes it back. Where a running service answers it takes from --address-file, TFPILOT_IDDS or --listen,\n" +
			"the first that there is. Exit status 0 when nothing is a problem, else that of the first problem.\n\n" +
			"Example: idds doctor --state /var/lib/idds --broker-addr broker1:61613,broker2:61613",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			listen := slices.IndexFunc(bind.Options(), func(o *config.Option) bool { return o.Key == "listen" })
			at, err := cfg.place(bind)
			if err != nil {
				return err
			}
			return examine(c, cfg, at, bind.Options()[listen].Origin == config.FromDefault)
		},
	}
}

func examine(c *cli.Context, cfg doctorConfig, at place, listenAssumed bool) error {
	if _, err := broker.New(cfg.Broker); err != nil { // what serve would refuse; it connects to nothing yet
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	p := patient{cfg: cfg, at: at}
	p.base, p.assumed = serviceAddress(cfg, listenAssumed)
	report, interrupted := doctor.Examine(c.Context, doctor.Config{
		Broker: cfg.Broker, Service: cfg.Config, State: cfg.State,
		ResultQueues: cfg.ResultQueues, IDCacheSize: cfg.IDCacheSize, Limit: cfg.ProbeLimit,
		Store: p.store, Running: p.running, Actors: p.actors, Access: p.access,
	})
	t := program.Table{Header: []string{"CHECK", "VERDICT", "FOUND"}}
	for _, check := range report.Checks {
		t.Rows = append(t.Rows, []string{check.Name, string(check.Verdict), check.Found})
		if check.Do != "" && c.String("output") == "table" {
			t.Rows = append(t.Rows, []string{"", "", "  do: " + check.Do})
		}
	}
	if err := program.Print(c, report, t); err != nil {
		return err
	}
	if interrupted != nil {
		return exitcode.Wrap(exitcode.Interrupted, interrupted)
	}
	return program.Quiet(report.Err())
}

// patient is what the examination knows of this machine's idds.
type patient struct {
	cfg     doctorConfig
	at      place
	facts   *ledger.StoreFacts
	base    string // where the service should answer, empty when only it knows
	assumed bool   // nobody said so
	addr    string // of the service, when it answers
}

func (p *patient) store(ctx context.Context) (facts *ledger.StoreFacts, err error) {
	p.facts, err = p.at.inspect(ctx)
	return p.facts, err
}

// running finds the service by the lock of its state and by its address.
func (p *patient) running(ctx context.Context) (doctor.Instance, error) {
	locked, err := program.FolderLocked(p.cfg.State)
	in := doctor.Instance{Locked: locked, Addr: p.base, Assumed: p.assumed}
	if err != nil || !locked {
		return in, err
	}
	if in.Addr != "" {
		in.Err = p.client("").Read(ctx, "/ping", new(struct{}))
		if in.Err == nil {
			p.addr = in.Addr
		}
	}
	return in, nil
}

// serviceAddress is where the service should answer: what it wrote, what its users are told, what it listens on.
func serviceAddress(cfg doctorConfig, listenAssumed bool) (base string, assumed bool) {
	scheme := "http://"
	if cfg.TLSCert != "" {
		scheme = "https://"
	}
	if b, err := os.ReadFile(cfg.AddressFile); err == nil {
		return scheme + strings.TrimSpace(string(b)), false
	}
	if base := os.Getenv("TFPILOT_IDDS"); base != "" {
		return base, false
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil || port == "0" {
		return "", false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port), listenAssumed
}

func (p *patient) client(token string) *rest.Client {
	return rest.New(rest.Config{Base: p.base, Token: token, Role: string(access.Viewer), Timeout: 5 * time.Second, ServerName: p.certified()})
}

// certified is the name that the service's certificate is for, where it is asked at an address of this machine instead: few
// certificates have those in them. Empty when that is not known.
func (p *patient) certified() string {
	if u, err := url.Parse(p.base); err != nil || net.ParseIP(u.Hostname()) == nil {
		return ""
	}
	secure, err := program.ServerTLS(p.cfg.TLSCert, p.cfg.TLSKey)
	if err != nil || secure == nil {
		return ""
	}
	cert, err := secure.GetCertificate(nil)
	if err != nil || cert.Leaf == nil || len(cert.Leaf.DNSNames) == 0 {
		return ""
	}
	return strings.Replace(cert.Leaf.DNSNames[0], "*", "idds", 1)
}

// actors asks the service or, when none answers, its store.
func (p *patient) actors(ctx context.Context) ([]document.Actor, error) {
	if p.addr == "" {
		if p.facts == nil {
			return nil, fmt.Errorf("there is neither a service nor a store to ask")
		}
		return p.facts.Actors, nil
	}
	tokens, err := loadTokens(filepath.Join(p.cfg.State, "tokens.toml"))
	if err != nil {
		return nil, err
	}
	var token string
	for t, role := range tokens {
		if role == access.Viewer || role == access.Operator {
			token = cmp.Or(token, t)
		}
	}
	var page document.Page[document.Actor]
	err = p.client(token).Read(ctx, "/v1/actors", &page)
	return page.Items, err
}

// access looks at tokens and certificates as the service would, and makes none.
func (p *patient) access(ctx context.Context) doctor.Access {
	a := doctor.Access{Listen: p.cfg.Listen, File: filepath.Join(p.cfg.State, "tokens.toml"), Issuer: p.cfg.OIDC.Issuer}
	if secure, err := program.ServerTLS(p.cfg.TLSCert, p.cfg.TLSKey); err != nil {
		a.Secure = err
	} else if secure != nil {
		if cert, err := secure.GetCertificate(nil); err == nil && cert.Leaf != nil {
			a.CertificateEnds = cert.Leaf.NotAfter
		}
	}
	if _, err := os.Stat(a.File); err == nil {
		var tokens map[string]access.Role
		tokens, a.Tokens = loadTokens(a.File)
		a.Roles = slices.Collect(maps.Values(tokens))
	}
	if a.Issuer != "" {
		issuer, err := oidc.New(p.cfg.OIDC, time.Now)
		if err == nil {
			defer issuer.Close()
			err = issuer.Check(ctx)
		}
		a.NoIssuer = err
	}
	return a
}
