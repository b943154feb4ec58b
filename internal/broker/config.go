package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
	"tfpilot/internal/stomp"
)

// Config is which brokers to use and how.
type Config struct {
	// Addrs are host:port, tried in this order; after a loss the last good one is tried first, because only it remembers
	// the _AMQ_DUPL_IDs sent to it.
	Addrs []string `toml:"addr" help:"host:port of the broker; several, separated by commas, are tried in turn"`
	// Login and Passcode are sent to each broker; none when empty.
	Login    string `toml:"login" help:"login at the broker"`
	Passcode string `toml:"passcode" secret:"true" help:"passcode at the broker"`
	// PasscodeFile holds the passcode instead; nobody else may read it.
	PasscodeFile string `toml:"passcode_file" help:"file with the passcode at the broker, which nobody else may read"`
	// TLS is spoken with each broker, whose certificate is verified always: by the authorities in CAFile (PEM), or by those of
	// the system when that is empty.
	TLS    bool   `toml:"tls" help:"speak TLS with the broker, whose certificate is verified"`
	CAFile string `toml:"ca_file" help:"authorities of the broker's certificate (PEM) in place of the system's"`
	// ClientID names this connection to the broker's operators; none when empty.
	ClientID string `toml:"-"`
	// Dial replaces stomp.Dial with the settings above, for tests.
	Dial func(ctx context.Context, addr string) (*stomp.Conn, error) `toml:"-"`
	// Logger gets connections found and lost; nobody when nil.
	Logger *slog.Logger `toml:"-"`

	Tuning
}

// Tuning is the times of a link; the defaults suit all but tests.
type Tuning struct {
	// HeartBeat is the interval in both directions.
	HeartBeat time.Duration `toml:"heart_beat" default:"10s" help:"heart-beat interval, both ways"`
	// FirstWait is the first upper bound of the random time before a new attempt; it doubles with each.
	FirstWait time.Duration `toml:"first_wait" default:"200ms" help:"longest wait before the first new attempt to connect"`
	// EarlyCap and LateCap are where doubling ends in the first minute without a connection, and after it.
	EarlyCap time.Duration `toml:"early_cap" default:"3s" help:"longest wait between attempts in the first minute"`
	LateCap  time.Duration `toml:"late_cap" default:"30s" help:"longest wait between attempts after the first minute"`
	// DialLimit bounds one attempt at one address.
	DialLimit time.Duration `toml:"dial_limit" default:"10s" help:"time limit of one attempt to connect"`
	// LeaveLimit bounds giving everything back and saying goodbye when Run's context ends.
	LeaveLimit time.Duration `toml:"leave_limit" default:"2s" help:"time limit for giving back messages at the end"`
}

// promised is the percentage of the heart-beat interval in which we promise to say something. ActiveMQ Classic cuts off who is
// silent for four intervals, and whoever nothing is heard of has to be cut off within three of ours.
const promised = 60

// prepare applies the defaults and finds what is wrong.
func (c *Config) prepare() error {
	config.Defaults(c)
	if len(c.Addrs) == 0 {
		return exitcode.WithNext(exitcode.New(exitcode.BadConfig, "no broker address given"), "name one, such as --broker-addr 127.0.0.1:61613")
	}
	for _, addr := range c.Addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return exitcode.New(exitcode.BadConfig, "broker address %q is not host:port", addr)
		}
	}
	if c.Logger == nil {
		c.Logger = logging.Discard()
	}
	session, err := c.Session()
	if err != nil {
		return err
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (*stomp.Conn, error) { return stomp.Dial(ctx, addr, session) }
	}
	return nil
}

// Session is how one connection is made.
func (c *Config) Session() (stomp.Config, error) {
	if err := c.ReadPasscode(); err != nil {
		return stomp.Config{}, err
	}
	authorities, err := c.authorities()
	return stomp.Config{
		Login: c.Login, Passcode: c.Passcode, ClientID: c.ClientID, TLS: authorities, Logger: c.Logger,
		HeartBeatSend: c.HeartBeat * promised / 100, HeartBeatReceive: c.HeartBeat,
	}, err
}

// ReadPasscode takes the passcode from its file, if one is named. New does so for itself.
func (c *Config) ReadPasscode() error {
	if c.PasscodeFile != "" && c.Login == "" {
		return exitcode.New(exitcode.BadConfig, "a passcode file for the broker, %s, but no login", c.PasscodeFile)
	}
	passcode, err := program.Token(c.Passcode, c.PasscodeFile)
	if err != nil {
		return fmt.Errorf("passcode at the broker: %w", err)
	}
	c.Passcode = passcode
	return nil
}

// authorities is how TLS is spoken; nil without it.
func (c *Config) authorities() (*tls.Config, error) {
	if !c.TLS {
		if c.CAFile != "" {
			return nil, exitcode.New(exitcode.BadConfig, "authorities for the broker's certificate, %s, but no TLS: it needs --broker-tls too", c.CAFile)
		}
		return nil, nil //nolint:nilnil // what stomp.Config takes for no TLS
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return conf, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "reading the authorities of the broker's certificate: %w", err)
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(text) {
		return nil, exitcode.New(exitcode.BadConfig, "%s holds no certificate in PEM form", c.CAFile)
	}
	return conf, nil
}

// String leaves the passcode out, whoever prints a Config.
func (c Config) String() string { return fmt.Sprintf("%v as %q", c.Addrs, c.Login) }
