package iddscmd

import (
	"context"
	"log/slog"
	"path/filepath"

	"tfpilot/idds/api"
	"tfpilot/idds/oidc"
	"tfpilot/idds/tokens"
	"tfpilot/internal/access"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/program"
)

// rights are who may do what: all of it that can be wrong before a store is opened.
type rights struct {
	cfg    serveConfig
	file   map[string]access.Role
	broker map[string]metainfo.PromptBroker
	issuer *oidc.Issuer // nil without one
}

func (c serveConfig) rights() (r rights, err error) {
	r.cfg = c
	if r.file, err = loadTokens(filepath.Join(c.State, "tokens.toml")); err != nil {
		return r, err
	}
	if r.broker, err = c.promptBrokers(); err != nil {
		return r, err
	}
	if c.OIDC.Issuer != "" {
		r.issuer, err = oidc.New(c.OIDC, c.Now)
	} else if c.OIDC.Audience != "" || len(c.OIDC.Groups) > 0 {
		err = exitcode.New(exitcode.Usage, "--oidc-audience and --oidc-groups say nothing without --oidc-issuer")
	}
	return r, err
}

func (r rights) close() {
	if r.issuer != nil {
		r.issuer.Close()
	}
}

// config is that of the REST interface.
func (r rights) config(ctx context.Context, store ledger.Store, log *slog.Logger) (api.Config, error) {
	book, err := tokens.Open(ctx, store, r.file, r.cfg.Now)
	cfg := api.Config{Tokens: book, Broker: r.broker, Namespace: r.cfg.Namespace, RatePerSecond: r.cfg.Rate, PublicPage: r.cfg.PublicPage, Log: log}
	if r.issuer != nil {
		cfg.Issuer = r.issuer
	}
	return cfg, err
}

// login is one of pilots at the broker.
type login struct {
	Login    string `toml:"login"`
	Passcode string `toml:"passcode"`
}

// promptBrokers are the configurations that pilots are given, by namespace: with logins of their own, or only for ours with our own.
func (c serveConfig) promptBrokers() (map[string]metainfo.PromptBroker, error) {
	if c.Logins == "" {
		return map[string]metainfo.PromptBroker{c.Namespace: c.promptBroker(login{c.Broker.Login, c.Broker.Passcode})}, nil
	}
	text, err := program.ReadPrivate(c.Logins)
	if err != nil {
		return nil, err
	}
	var logins map[string]login
	if err := config.DecodeTOML(c.Logins, text, &logins); err != nil {
		// The library's message may quote the line, and with it a password.
		return nil, exitcode.New(exitcode.BadConfig, "%s: not a table [NAMESPACE] with login and passcode for each namespace", c.Logins)
	}
	out := map[string]metainfo.PromptBroker{}
	for namespace, l := range logins {
		if l.Login == "" || l.Passcode == "" {
			return nil, exitcode.New(exitcode.BadConfig, "%s: the namespace %q has no login or no passcode", c.Logins, namespace)
		}
		out[namespace] = c.promptBroker(l)
	}
	return out, nil
}

func (c serveConfig) promptBroker(l login) metainfo.PromptBroker {
	var authorities *string
	if c.Broker.CAFile != "" {
		path, err := filepath.Abs(c.Broker.CAFile)
		if err != nil {
			path = c.Broker.CAFile
		}
		authorities = &path
	}
	entry := func(destination string) *metainfo.BrokerEntry {
		return &metainfo.BrokerEntry{
			Destination: destination, Brokers: c.Broker.Addrs, Username: l.Login, Password: l.Passcode, UseSSL: c.Broker.TLS, SSLCACerts: authorities,
		}
	}
	return metainfo.PromptBroker{
		TransformerBroker:          entry(message.QueueSlicesWorkers),
		TransformerBroadcastBroker: entry(message.TopicTransformer),
		ResultBroker:               entry(message.TopicResults),
	}
}
