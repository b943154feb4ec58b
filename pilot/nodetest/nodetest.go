package nodetest

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/proc"
)

// Places are what is tested: the folders of a pilot and where its idds is.
type Places struct {
	WorkDir, JournalDir string
	// IDDS is the address of idds, whose clock is compared; empty without one.
	IDDS string
	// Env is handed to the site's programs beside what they have of ours.
	Env []string
}

// Tests are the tests of one node.
type Tests struct {
	cfg    Config
	places Places

	mu    sync.Mutex
	stuck map[string]*proc.Process // children that were given up, by what hangs in them
	begun chan []fitness.Finding   // of an examination that was begun early
}

var _ fitness.Node = (*Tests)(nil)

// New makes tests.
func New(places Places, cfg Config) (*Tests, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Programs = slices.Clone(cfg.Programs)
	for i, path := range cfg.Programs { // a child has another current folder
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, exitcode.New(exitcode.BadConfig, "--node-test %s: %w", path, err)
		}
		cfg.Programs[i] = abs
	}
	return &Tests{cfg: cfg, places: places, stuck: map[string]*proc.Process{}}, nil
}

// Begin begins the first examination, so that it goes on while the pilot asks for its configuration. end ends it when it is not
// over, and leaves nothing of it.
func (t *Tests) Begin(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	begun, over := make(chan []fitness.Finding, 1), make(chan struct{})
	t.begun = begun
	go func() {
		defer close(over)
		begun <- t.test(ctx, false, false)
	}()
	return func() {
		cancel()
		<-over
	}
}

// Test runs every test that the configuration asks for. The first time it waits for what was begun, if anything was.
func (t *Tests) Test(ctx context.Context, calm bool) []fitness.Finding {
	begun := t.begun
	if t.begun = nil; begun == nil {
		return t.test(ctx, calm, false)
	}
	select {
	case findings := <-begun:
		return findings
	case <-ctx.Done():
		return nil
	}
}

// test also looks at what nobody needs when all is set.
func (t *Tests) test(ctx context.Context, calm, all bool) []fitness.Finding {
	var clock []fitness.Finding
	var beside sync.WaitGroup
	if t.places.IDDS != "" {
		beside.Go(func() { clock = t.timed(ctx, testClock, min(t.cfg.Limit, clockPatience), t.clock) })
	}
	seen := t.look(ctx, calm, all)
	tools := t.tools(ctx, calm, all, seen)
	programs := t.programs(ctx, calm, seen)
	beside.Wait()
	var findings []fitness.Finding
	for _, part := range [][]fitness.Finding{seen.folders, clock, tools, seen.cvmfs, programs} {
		findings = append(findings, part...)
	}
	for i := range findings {
		t.judge(&findings[i])
	}
	return findings
}

// timed runs what does not hang in the kernel within a time limit.
func (t *Tests) timed(ctx context.Context, name string, limit time.Duration, test func(context.Context) fitness.Finding) []fitness.Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	f := test(ctx)
	f.Test, f.Seconds = name, time.Since(began).Seconds()
	return []fitness.Finding{f}
}

// judge makes a warning of a failure that is to be one.
func (t *Tests) judge(f *fitness.Finding) {
	switch {
	case f.Verdict != fitness.Bad:
	case slices.Contains(t.cfg.Warn, f.Test), slices.Contains(warnOnly, f.Test) && !slices.Contains(t.cfg.Fatal, f.Test):
		f.Verdict, f.Failure = fitness.Warning, ""
	case f.Failure == "":
		f.Failure = exitcode.NodeUnfit.Name
	}
}

// needed says that a test of what not every payload needs is to be made, and whether its failure counts.
func (t *Tests) needed(name string) bool {
	return slices.Contains(t.cfg.Need, name) || name == testGPU && slotHasGPU()
}

// soften makes of the failure of something that nobody needs what it is.
func (t *Tests) soften(f fitness.Finding) fitness.Finding {
	if f.Verdict == fitness.Bad && slices.Contains(needable, f.Test) && !t.needed(f.Test) {
		f.Verdict, f.Next = fitness.NotNeeded, ""
	}
	return f
}

// bad, good and unknown make findings.
func bad(next, found string) fitness.Finding {
	return fitness.Finding{Verdict: fitness.Bad, Found: found, Next: next}
}

func good(found string) fitness.Finding {
	return fitness.Finding{Verdict: fitness.OK, Found: found}
}

func unknown(next, found string) fitness.Finding {
	return fitness.Finding{Verdict: fitness.Unknown, Found: found, Next: next}
}

// failed is a finding of an error, with its place in the table of failures.
func failed(err error) fitness.Finding {
	f := bad(exitcode.Next(err), oneLine(err.Error()))
	f.Failure = exitcode.From(err).Name
	return f
}

// Err is the first bad finding as an error, nil when there is none.
func Err(findings []fitness.Finding) error {
	for _, f := range findings {
		if f.Verdict == fitness.Bad {
			failure := exitcode.NodeUnfit
			if found := exitcode.Find(f.Failure); len(found) > 0 {
				failure = found[0]
			}
			return exitcode.WithNext(exitcode.Wrap(failure, errors.New(f.Test+": "+f.Found)), f.Next)
		}
	}
	return nil
}
