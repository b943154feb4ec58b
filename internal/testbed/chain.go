package testbed

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
)

// Chain is the programs of a run, each started when the one before it listens.
type Chain struct {
	*Stack

	// Namespace is that of all its runs.
	Namespace string
	// Broker is the broker's host:port; IDDS the address of the REST interface, once it was started.
	Broker, IDDS string
	// Via are host:port through which a program (idds, daq, pilot) reaches the broker, when it is not Broker itself.
	Via map[string]string
	// Login and Passcode are those at the broker; none when empty.
	Login, Passcode string
	// IDDSClock is by how much the clock of idds is off.
	IDDSClock time.Duration
	// HeartBeat is the interval of the links to the broker; the programs' own when 0.
	HeartBeat time.Duration

	tokens map[string]secret
}

// secret is a token and the file that it stands in.
type secret struct{ text, file string }

// NewChain starts the broker.
func NewChain(ctx context.Context, stack *Stack, namespace string) (*Chain, error) {
	c, err := JoinChain(stack, namespace, "")
	if err != nil {
		return nil, err
	}
	return c, c.StartBroker(ctx)
}

// JoinChain is a chain on a broker that is there already.
func JoinChain(stack *Stack, namespace, broker string) (*Chain, error) {
	c := &Chain{Stack: stack, Namespace: namespace, Broker: broker}
	return c, c.makeTokens()
}

// StartBroker starts the embedded broker with further arguments, on the address that it had when it was started before. Without --state
// among them it is in memory: when it ends, so does everything else.
func (c *Chain) StartBroker(ctx context.Context, args ...string) error {
	if !slices.Contains(args, "--state") {
		args = append(args, "--in-memory")
	}
	if err := c.forget("broker"); err != nil {
		return err
	}
	err := c.Start(ctx, "broker", "testbed", append([]string{
		"broker", "--listen", cmp.Or(c.Broker, "127.0.0.1:0"), "--address-file", c.AddressFile("broker"),
	}, args...))
	if err != nil {
		return err
	}
	c.Broker, err = c.Address(ctx, "broker")
	return err
}

// forget removes the address that a server had, so that Address waits for the new one.
func (c *Chain) forget(name string) error {
	if err := os.Remove(c.AddressFile(name)); err != nil && !os.IsNotExist(err) {
		return exitcode.Wrap(exitcode.StoreFailed, err)
	}
	return nil
}

// broker is how a program is told of its broker: arguments and environment.
func (c *Chain) broker(program string) (args, env []string) {
	args = []string{"--broker-addr", cmp.Or(c.Via[program], c.Broker)}
	if c.Login != "" {
		args = append(args, "--broker-login", c.Login)
		env = append(env, "TFPILOT_BROKER_PASSCODE="+c.Passcode)
	}
	if c.HeartBeat > 0 {
		args = append(args, "--broker-heart-beat", c.HeartBeat.String())
	}
	return args, env
}

// StartIDDS starts idds with further arguments, on the address and the state that it had when it was started before.
func (c *Chain) StartIDDS(ctx context.Context, args ...string) error {
	listen := "127.0.0.1:0"
	if c.IDDS != "" {
		listen = c.IDDS[len("http://"):]
	}
	if err := c.forget("idds"); err != nil {
		return err
	}
	broker, env := c.broker("idds")
	if c.IDDSClock != 0 {
		env = append(env, program.ClockEnv+"="+c.IDDSClock.String())
	}
	if err := c.Start(ctx, "idds", "idds", slices.Concat([]string{
		"serve", "--listen", listen, "--address-file", c.AddressFile("idds"), "--state", c.Path("idds"), "--namespace", c.Namespace,
	}, broker, args), env...); err != nil {
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
	// The disk that chaos fills is a small one.
	pilot := []string{"--work-dir=" + c.Path("work"), "--heartbeat=1s", "--node-min-disk-mb=1"}
	if addr := c.Via["pilot"]; addr != "" {
		file, err := c.brokerFile(addr)
		if err != nil {
			return err
		}
		pilot = append(pilot, "--broker-config="+file)
	}
	if c.HeartBeat > 0 {
		pilot = append(pilot, "--broker-heart-beat="+c.HeartBeat.String())
	}
	b, err := toml.Marshal(map[string]any{"pilot": map[string]any{"args": pilot}})
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

// brokerFile writes the broker configuration of pilots that reach the broker through addr.
func (c *Chain) brokerFile(addr string) (string, error) {
	entry := func(destination string) map[string]any {
		return map[string]any{"destination": destination, "brokers": []string{addr}, "username": c.Login, "password": c.Passcode}
	}
	b, err := toml.Marshal(map[string]any{
		"transformer_broker": entry(message.QueueSlicesWorkers), "transformer_broadcast_broker": entry(message.TopicTransformer),
		"result_broker": entry(message.TopicResults),
	})
	if err != nil {
		return "", fmt.Errorf("encoding the broker configuration: %w", err)
	}
	file := c.Path("broker.toml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return "", exitcode.New(exitcode.StoreFailed, "writing the broker configuration: %w", err)
	}
	return file, nil
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
	broker, env := c.broker("daq")
	if c.IDDS != "" {
		broker = append(broker, "--idds", c.IDDS, "--token-file", c.tokens["harvester"].file)
	}
	return c.Start(ctx, "daq", "daq", slices.Concat([]string{
		"run", "--run", run, "--namespace", c.Namespace, "--state", c.Path("daq"), "--data", c.Path("data"),
		"--no-beam-not-ready-delay", "200ms", "--beam-not-ready-delay", "500ms", "--beam-ready-delay", "500ms",
		"--beam-not-ready-end-delay", "200ms", "--broadcast-delay", "100ms", "--output", "json",
	}, broker, args), env...)
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
