package pilotcmd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/metainfo"
)

// brokerFile is the TOML of --broker-config: the keys of /metainfo/prompt_broker. A pilot has one connection: where a table has
// brokers of its own, they must be those of transformer_broker.
type brokerFile struct {
	Transformer fileEntry `toml:"transformer_broker"`
	Broadcast   fileEntry `toml:"transformer_broadcast_broker"`
	Result      fileEntry `toml:"result_broker"`
}

type fileEntry struct {
	Destination string   `toml:"destination"`
	Brokers     []string `toml:"brokers"`
	Username    string   `toml:"username"`
	Password    string   `toml:"password"`
	UseSSL      bool     `toml:"use_ssl"`
	SSLCACerts  string   `toml:"ssl_ca_certs"`
}

func (e fileEntry) entry() *metainfo.BrokerEntry {
	return &metainfo.BrokerEntry{
		Destination: e.Destination, Brokers: e.Brokers, Username: e.Username, Password: e.Password, UseSSL: e.UseSSL, SSLCACerts: &e.SSLCACerts,
	}
}

// like gives an entry that only names its destination the brokers of the first.
func (e fileEntry) like(first fileEntry) (fileEntry, error) {
	first.Destination = e.Destination
	if !reflect.DeepEqual(e, fileEntry{Destination: e.Destination}) && !reflect.DeepEqual(e, first) {
		return e, errors.New("other brokers, username, password or TLS than transformer_broker: a pilot has one connection")
	}
	return first, nil
}

// linkConfig is that of the one connection of a pilot, to the brokers that all three entries have to agree on.
func linkConfig(cfg runConfig, p metainfo.PromptBroker, log *slog.Logger) (broker.Config, error) {
	first := p.TransformerBroker
	for _, e := range []*metainfo.BrokerEntry{p.TransformerBroadcastBroker, p.ResultBroker} {
		if !slices.Equal(e.Brokers, first.Brokers) || e.Username != first.Username || e.Password != first.Password || e.UseSSL != first.UseSSL {
			return broker.Config{}, exitcode.New(exitcode.BadConfig, "the entry of %s has other brokers, username, password or use_ssl than transformer_broker: a pilot has one connection", e.Destination)
		}
	}
	return broker.Config{
		Addrs: first.Brokers, Login: first.Username, Passcode: first.Password, TLS: first.UseSSL, CAFile: brokerCAFile(first), Logger: log, Tuning: cfg.Broker,
	}, nil
}

// caEnv names the authorities of the broker's certificate, as for the production worker.
const caEnv = "ARTEMIS_SSL_CA_CERTS"

// brokerCAFile is the file of the entry, which is named by whoever runs the broker and may not be here, else that of the
// environment; empty for the system's authorities.
func brokerCAFile(e *metainfo.BrokerEntry) string {
	path := os.Getenv(caEnv)
	switch {
	case !e.UseSSL:
		return ""
	case e.SSLCACerts != nil && *e.SSLCACerts != "":
		if _, err := os.Stat(*e.SSLCACerts); err == nil || path == "" {
			return *e.SSLCACerts
		}
	}
	return path
}

// readBrokerConfig reads the file; since it may hold a password, nothing of its text is quoted in an error but keys.
func readBrokerConfig(path string) (metainfo.PromptBroker, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return metainfo.PromptBroker{}, exitcode.New(exitcode.BadConfig, "reading the broker configuration: %w", err)
	}
	var f brokerFile
	if err := config.DecodeTOML(path, text, &f); err != nil {
		return metainfo.PromptBroker{}, err
	}
	if info, err := os.Stat(path); f.Transformer.Password != "" && err == nil && info.Mode().Perm()&0o077 != 0 {
		return metainfo.PromptBroker{}, exitcode.New(exitcode.NoCredential, "%s holds a password and is readable by others (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	var errs []error
	for name, e := range map[string]*fileEntry{"transformer_broadcast_broker": &f.Broadcast, "result_broker": &f.Result} {
		if *e, err = e.like(f.Transformer); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	p := metainfo.PromptBroker{
		TransformerBroker: f.Transformer.entry(), TransformerBroadcastBroker: f.Broadcast.entry(), ResultBroker: f.Result.entry(),
	}
	if err := errors.Join(append(errs, p.Validate())...); err != nil {
		return p, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "%s: %w", path, err), "docs/operations/slot.md has an example")
	}
	return p, nil
}
