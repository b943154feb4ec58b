package pilotcmd

import (
	"cmp"
	"context"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload/kinds"
	"tfpilot/wrapper"
)

// testContainer is the test of what the payload runs in, after --node-need container, which needs no image.
const testContainer = "payload_container"

// checkPayload starts a container as the payload's programs would be started; nothing for a payload that runs in none.
func checkPayload(ctx context.Context, cfg runConfig) ([]fitness.Finding, error) {
	spec, err := payloadfile.Load(cfg.Payload)
	if err != nil {
		return nil, err
	}
	if spec.Container == nil {
		return nil, nil
	}
	f := fitness.Finding{Test: testContainer, Verdict: fitness.OK}
	began := time.Now()
	used, why, err := startContainer(ctx, spec, cfg)
	f.Found = used + " starts"
	if why != "" {
		f.Found += " (" + why + ")"
	}
	if err != nil {
		f.Verdict, f.Found, f.Next, f.Failure = fitness.Bad, err.Error(), exitcode.Next(err), exitcode.From(err).Name
	}
	f.Seconds = time.Since(began).Seconds()
	return []fitness.Finding{f}, nil
}

func startContainer(ctx context.Context, spec payloadfile.Spec, cfg runConfig) (used, why string, err error) {
	p, err := kinds.New(spec, cfg.PayloadBin)
	if err != nil {
		return "", "", err
	}
	simulated, err := kinds.Simulated()
	if err != nil {
		return "", "", err
	}
	work, err := wrapper.New(spec, p, simulated, cfg.Work)
	if err != nil {
		return "", "", err
	}
	defer closePayload(ctx, work, cfg.maxGrace)
	used, why, err = work.Container(ctx)
	return cmp.Or(used, "the image that each slice names"), why, err
}
