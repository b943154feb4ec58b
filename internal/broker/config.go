package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
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
	// ClientID names this connection to the broker's operators; none when empty.
	ClientID string `toml:"-"`
	// TLS is used when not nil.
	TLS *tls.Config `toml:"-"`
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

// prepare applies the defaults and finds what is wrong.
func (c *Config) prepare() error {
	config.Defaults(c)
	if len(c.Addrs) == 0 {
		return exitcode.New(exitcode.BadConfig, "no broker address given")
	}
	for _, addr := range c.Addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return exitcode.New(exitcode.BadConfig, "broker address %q is not host:port", addr)
		}
	}
	if c.Logger == nil {
		c.Logger = logging.Discard()
	}
	if c.Dial == nil {
		session := stomp.Config{
			Login: c.Login, Passcode: c.Passcode, ClientID: c.ClientID, TLS: c.TLS, Logger: c.Logger,
			HeartBeatSend: c.HeartBeat, HeartBeatReceive: c.HeartBeat,
		}
		c.Dial = func(ctx context.Context, addr string) (*stomp.Conn, error) { return stomp.Dial(ctx, addr, session) }
	}
	return nil
}

// String leaves the passcode out, whoever prints a Config.
func (c Config) String() string { return fmt.Sprintf("%v as %q", c.Addrs, c.Login) }
