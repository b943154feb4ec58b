package testbed

import (
	"context"
	"fmt"
	"os"

	"github.com/pelletier/go-toml/v2"

	"tfpilot/internal/exitcode"
)

// Chain is the programs of a run, each started when the one before it listens.
type Chain struct {
	*Stack

	// Namespace is that of all its runs.
	Namespace string
	// Broker is the broker's host:port; IDDS the address of the REST interface, once it was started.
	Broker, IDDS string

	tokens map[string]secret
}

// secret is a token and the file that it stands in.
type secret struct{ text, file string }

// NewChain starts the broker.
func NewChain(ctx context.Context, stack *Stack, namespace string) (*Chain, error) {
	c := &Chain{Stack: stack, Namespace: namespace}
	if err := c.makeTokens(); err != nil {
		return nil, err
	}
	err := c.Start(ctx, "broker", "testbed", []string{"broker", "--listen", "127.0.0.1:0", "--address-file", c.AddressFile("broker")})
	if err != nil {
		return nil, err
	}
	c.Broker, err = c.Address(ctx, "broker")
	return c, err
}

// StartIDDS starts idds, on the address and the state that it had when it was started before.
func (c *Chain) StartIDDS(ctx context.Context) error {
	listen := "127.0.0.1:0"
	if c.IDDS != "" {
		listen = c.IDDS[len("http://"):]
	}
	if err := os.Remove(c.AddressFile("idds")); err != nil && !os.IsNotExist(err) {
		return exitcode.Wrap(exitcode.StoreFailed, err)
	}
	if err := c.Start(ctx, "idds", "idds", []string{
		"serve", "--listen", listen, "--address-file", c.AddressFile("idds"), "--state", c.Path("idds"),
		"--namespace", c.Namespace, "--broker-addr", c.Broker,
	}); err != nil {
		return err
	}
	addr, err := c.Address(ctx, "idds")
	if err != nil {
		return err
	}
	c.IDDS = "http://" + addr
	return nil
}

// Client asks idds as a viewer.
func (c *Chain) Client() *Client { return NewClient(c.IDDS, c.tokens["viewer"].text) }

// StartHarvester starts the harvester with further arguments.
func (c *Chain) StartHarvester(ctx context.Context, args ...string) error {
	// In a file, because a list on the command line is parted at commas, which the folder's name may hold.
	b, err := toml.Marshal(map[string]any{"pilot": map[string]any{"args": []string{"--work-dir=" + c.Path("work"), "--heartbeat=1s"}}})
	if err != nil {
		return fmt.Errorf("encoding the harvester's configuration: %w", err)
	}
	file := c.Path("harvester.toml")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the harvester's configuration: %w", err)
	}
	return c.Start(ctx, "harvester", "harvester", append([]string{
		"run", "--config", file, "--idds", c.IDDS, "--token-file", c.tokens["harvester"].file, "--state", c.Path("harvester"),
		"--interval", "250ms", "--pilot-token-file", c.tokens["pilot"].file,
	}, args...))
}

// StartPilot starts a pilot without a harvester.
func (c *Chain) StartPilot(ctx context.Context, name string, args ...string) error {
	return c.Start(ctx, name, "pilot", append([]string{
		"run", "--idds", c.IDDS, "--token-file", c.tokens["pilot"].file, "--namespace", c.Namespace, "--work-dir", c.Path("work"),
		"--journal-dir", c.Path("journal"), "--heartbeat", "1s",
	}, args...))
}

// StartDAQ takes a run. Its conditions last no longer than a spectator needs to follow them.
func (c *Chain) StartDAQ(ctx context.Context, run string, args ...string) error {
	return c.Start(ctx, "daq", "daq", append([]string{
		"run", "--broker-addr", c.Broker, "--run", run, "--namespace", c.Namespace, "--state", c.Path("daq"), "--data", c.Path("data"),
		"--no-beam-not-ready-delay", "200ms", "--beam-not-ready-delay", "500ms", "--beam-ready-delay", "500ms",
		"--beam-not-ready-end-delay", "200ms", "--broadcast-delay", "100ms", "--output", "json",
	}, args...))
}

// makeTokens makes a token for each role, each in a file of its own for its user, and all in idds' tokens.toml.
func (c *Chain) makeTokens() error {
	c.tokens = map[string]secret{}
	lists := map[string][]string{}
	for _, role := range []string{"pilot", "harvester", "operator", "viewer"} {
		text, file, err := c.Secret(role + ".token")
		if err != nil {
			return err
		}
		c.tokens[role], lists[role] = secret{text, file}, []string{text}
	}
	b, err := toml.Marshal(lists)
	if err != nil {
		return fmt.Errorf("encoding the tokens: %w", err)
	}
	if err = os.MkdirAll(c.Path("idds"), 0o700); err == nil {
		err = os.WriteFile(c.Path("idds", "tokens.toml"), b, 0o600)
	}
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the tokens: %w", err)
	}
	return nil
}
