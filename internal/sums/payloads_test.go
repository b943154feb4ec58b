package sums_test

import (
	"math"
	"strings"
	"testing"

	"tfpilot/internal/message"
	"tfpilot/internal/sums"
)

// worked is a good result that took some seconds.
func worked(id message.PayloadIdentity, seconds float64, u *message.Usage) message.ResultContent {
	return message.ResultContent{State: message.StateDone, Payload: &id, ProcessingTime: &seconds, Usage: u}
}

func TestWhatAWorkerClaimsDoesNotSpoilTheSums(t *testing.T) {
	t.Parallel()
	var run sums.Payloads
	for i, u := range []message.Usage{
		{UserSeconds: -1}, {WallSeconds: math.MaxFloat64}, {PeakBytes: -1}, {ReadBytes: math.MaxInt64}, {UserSeconds: 1, WallSeconds: 1, Cores: -3}, {UserSeconds: math.NaN()},
	} {
		run.AddDone(worked(message.PayloadIdentity{Name: "reco"}, []float64{-1, 1e300, 0, 1, 1, math.NaN()}[i], &u))
	}
	if p := run.Documents()[0]; p.Done != 6 || p.Measured != 1 || p.CPUSeconds != 1 || *p.CPUEfficiency != 1 || p.Seconds.N != 4 || p.Seconds.Max != 1e7 {
		t.Errorf("%+v", p)
	}
}

func TestVersionsOfPayloadsAreBounded(t *testing.T) {
	t.Parallel()
	var run sums.Payloads
	for i := range 200 {
		run.AddDone(worked(message.PayloadIdentity{Name: "reco", Version: strings.Repeat("v", 201-i)}, 1, nil))
	}
	run.AddFailed(&message.PayloadIdentity{Name: strings.Repeat("n", 201)})
	list := run.Documents()
	done, longest := 0, 0
	for _, p := range list {
		done, longest = done+p.Done, max(longest, len(p.Version))
	}
	if longest != 200 || len(list) != 50 || list[0].Name != "(others)" || list[0].Failed != 1 || done != 200 {
		t.Errorf("%d payloads of %d slices: %+v", len(list), done, list[0])
	}
}

func TestAPeerNamesNoPayload(t *testing.T) {
	t.Parallel()
	var run sums.Payloads
	run.AddDone(message.ResultContent{State: message.StateDone})
	run.AddFailed(nil)
	if list := run.Documents(); len(list) != 1 || list[0].Name != "" || list[0].Done != 1 || list[0].Failed != 1 {
		t.Errorf("%+v", list)
	}
}
