package testbed

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tfpilot/internal/exitcode"
)

// startChain starts broker, idds, harvester and daq, each when the one before it listens.
func startChain(ctx context.Context, stack *Stack, cfg DemoConfig, show *progress) (*Client, error) {
	tokens, err := makeTokens(stack)
	if err != nil {
		return nil, err
	}
	if err := stack.Start(ctx, "broker", "testbed", []string{
		"broker", "--listen", "127.0.0.1:0", "--address-file", stack.AddressFile("broker"),
	}); err != nil {
		return nil, err
	}
	broker, err := stack.Address(ctx, "broker")
	if err != nil {
		return nil, err
	}
	show.note(time.Now(), "broker on %s", broker)
	if err := stack.Start(ctx, "idds", "idds", []string{
		"serve", "--listen", "127.0.0.1:0", "--address-file", stack.AddressFile("idds"), "--state", stack.Path("idds"),
		"--namespace", demoNamespace, "--broker-addr", broker,
	}); err != nil {
		return nil, err
	}
	idds, err := stack.Address(ctx, "idds")
	if err != nil {
		return nil, err
	}
	show.note(time.Now(), "idds on http://%s", idds)
	client := NewClient("http://"+idds, tokens["viewer"].text)
	if err := stack.Start(ctx, "harvester", "harvester", []string{
		"run", "--idds", "http://" + idds, "--token-file", tokens["harvester"].file, "--state", stack.Path("harvester"),
		"--pilot-token-file", tokens["pilot"].file, "--pilot-payload", cfg.Payload, "--pilot-slots", strconv.Itoa(cfg.Slots),
		"--pilot-args", "--work-dir=" + stack.Path("work") + ",--heartbeat=1s", "--interval", "250ms",
	}); err != nil {
		return nil, err
	}
	// The run's conditions take the plan's time; the waiting between them is cut to what a newcomer can follow.
	if err := stack.Start(ctx, "daq", "daq", []string{
		"run", "--broker-addr", broker, "--run", demoRun, "--namespace", demoNamespace, "--state", stack.Path("daq"), "--data", stack.Path("data"),
		"--stf-count", strconv.Itoa(cfg.STFs), "--frames", strconv.Itoa(cfg.Frames), "--slices-per-sample", strconv.Itoa(cfg.Slices),
		"--target-worker-count", strconv.Itoa(cfg.Pilots), "--stf-interval", cfg.STFInterval.String(), "--seed", strconv.FormatUint(cfg.Seed, 10),
		"--no-beam-not-ready-delay", "200ms", "--beam-not-ready-delay", "500ms", "--beam-ready-delay", "500ms",
		"--beam-not-ready-end-delay", "200ms", "--broadcast-delay", "100ms", "--output", "json",
	}); err != nil {
		return nil, err
	}
	show.note(time.Now(), "harvester and daq started; run %s: %d STFs of %d frames, %d slices each, %d pilots x %d slots, payload %s",
		demoRun, cfg.STFs, cfg.Frames, cfg.Slices, cfg.Pilots, cfg.Slots, cfg.Payload)
	return client, nil
}

// secret is a token and the file that it stands in.
type secret struct{ text, file string }

// makeTokens makes a token for each role, each in a file of its own for its user, and all in idds' tokens.toml.
func makeTokens(stack *Stack) (map[string]secret, error) {
	out := map[string]secret{}
	lists := map[string][]string{}
	for _, role := range []string{"pilot", "harvester", "operator", "viewer"} {
		text, file, err := stack.Secret(role + ".token")
		if err != nil {
			return nil, err
		}
		out[role], lists[role] = secret{text, file}, []string{text}
	}
	b, err := toml.Marshal(lists)
	if err != nil {
		return nil, fmt.Errorf("encoding the tokens: %w", err)
	}
	if err = os.MkdirAll(stack.Path("idds"), 0o700); err == nil {
		err = os.WriteFile(stack.Path("idds", "tokens.toml"), b, 0o600)
	}
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "writing the tokens: %w", err)
	}
	return out, nil
}
