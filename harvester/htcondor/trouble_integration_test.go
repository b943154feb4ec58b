//go:build integration

package htcondor_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
	"tfpilot/internal/exitcode"
)

// The tests that end daemons come one after the other, before those that run at once: all use one pool.

func TestIntegrationAScheddThatCrashesLosesAndDoublesNothing(t *testing.T) { //nolint:paralleltest // ends what others use
	s := open(t)
	sub := script(t, 10, lasting)
	ids := submit(t, s, sub)
	awaitStarted(t, sub, 10)
	crash(t, daemons(t, "condor_schedd", ""))
	jobs, err := s.Queue(t.Context())
	if err == nil && len(jobs) == 0 {
		t.Error("a schedd that is down is taken for an empty queue")
	}
	if err != nil && exitcode.From(err) != exitcode.NoBatch {
		t.Errorf("%s: %v", exitcode.From(err).Name, err)
	}
	awaitState(t, s, ids, harvester.Running)
	command(t, "condor_vacate_job", ids...)
	awaitState(t, s, ids, harvester.Ended)
	if n := len(started(t, sub)); n != 10 {
		t.Errorf("10 pilots were started %d times", n)
	}
}

func TestIntegrationALostNodeIsNoticedAtTheEndOfTheLease(t *testing.T) { //nolint:paralleltest // ends what others use
	s := open(t, func(c *htcondor.Config) { c.Requirements = `regexp("nodeb", TARGET.Name)` })
	sub := script(t, 2, lasting)
	ids := submit(t, s, sub)
	awaitStarted(t, sub, 2)
	startd := daemons(t, "condor_startd", "nodeb")
	crash(t, append(startd, children(t, daemons(t, "condor_starter", ""), startd)...))
	for id, st := range awaitState(t, s, ids, harvester.Ended) {
		if st.Cause.Code != exitcode.NodeFailed.Code || !strings.HasPrefix(st.Node, "nodeb@") || st.Starts != 1 {
			t.Errorf("%s: %+v", id, st)
		}
	}
	if n := len(started(t, sub)); n != 2 {
		t.Errorf("2 pilots were started %d times", n)
	}
}

func TestIntegrationAPilotWhoseStarterCrashesIsNotStartedAgain(t *testing.T) { //nolint:paralleltest // ends what others use
	s := open(t, func(c *htcondor.Config) { c.Requirements, c.Transfer = `regexp("nodea", TARGET.Name)`, true })
	sub := script(t, 1, lasting)
	ids := submit(t, s, sub)
	awaitStarted(t, sub, 1)
	crash(t, children(t, daemons(t, "condor_starter", ""), daemons(t, "condor_startd", "condor_startd")))
	for id, st := range awaitState(t, s, ids, harvester.Ended) {
		if st.Cause.Code != exitcode.NodeFailed.Code || st.Starts != 1 {
			t.Errorf("%s: %+v", id, st)
		}
	}
}

func TestIntegrationARefusedSubmissionLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*htcondor.Config)
		failure exitcode.Failure
		words   string
	}{
		"a requirement that is no expression": {func(c *htcondor.Config) { c.Requirements = "(((" }, exitcode.BatchRefused, "Parse error in expression"},
		"a line that is none":                 {func(c *htcondor.Config) { c.Submit = []string{"what is this"} }, exitcode.BatchRefused, "Failed to parse"},
		"a schedd that is not there":          {func(c *htcondor.Config) { c.Schedd = "nosuch" }, exitcode.NoBatch, "nosuch"},
		"a pool that is not there":            {func(c *htcondor.Config) { c.Pool, c.Schedd = "127.0.0.1:1", "vm" }, exitcode.NoBatch, "vm"},
		"commands that are not there":         {func(c *htcondor.Config) { c.Bin = t.TempDir() }, exitcode.NoBatch, "condor_submit"},
		"a token that is not there": {func(c *htcondor.Config) {
			c.GridResource, c.TokenFile = "condor ce.invalid ce.invalid:9619", "/no/such/token"
		}, exitcode.NoCredential, "/no/such/token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, c.change)
			sub := script(t, 2, "exit 0")
			ids, err := s.Submit(t.Context(), sub)
			if exitcode.From(err) != c.failure || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\n") || len(ids) != 0 {
				t.Errorf("%s, %v: %v", exitcode.From(err).Name, ids, err)
			}
			if errors.Is(err, harvester.ErrUnclear) || exitcode.Next(err) == "" {
				t.Errorf("%v; %s", err, exitcode.Next(err))
			}
			if left, _ := filepath.Glob(filepath.Join(sub.Dir, "*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			if jobs, err := open(t).Queue(t.Context()); err != nil {
				t.Error(err)
			} else {
				for _, j := range jobs {
					if j.Tag == sub.Tag {
						t.Errorf("%s is in the queue", j.ID)
					}
				}
			}
		})
	}
}

func TestIntegrationAFolderThatCannotBeWrittenIsSaid(t *testing.T) {
	t.Parallel()
	s := open(t)
	sub := script(t, 1, "exit 0")
	sub.Dir = filepath.Join(sub.Dir, "file")
	if err := os.WriteFile(sub.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := s.Submit(t.Context(), sub); exitcode.From(err) != exitcode.SiteNoSpace || len(ids) != 0 {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestIntegrationWhatNoMachineCanRunIsExplained(t *testing.T) {
	t.Parallel()
	s := open(t)
	sub := script(t, 1, "exit 0")
	sub.MemoryMB = 900_000_000
	ids := submit(t, s, sub)
	await(t, s, ids, "explained", func(st harvester.Status) bool {
		return st.State == harvester.Queued && strings.Contains(st.Reason, "TARGET.Memory >= RequestMemory")
	})
}

func TestIntegrationACheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*htcondor.Config)
		what   string
		words  string
	}{
		"no commands":      {func(c *htcondor.Config) { c.Bin = t.TempDir() }, "HTCondor's commands", "condor_version"},
		"no schedd":        {func(c *htcondor.Config) { c.Schedd = "nosuch" }, "schedd", "nosuch"},
		"no such memory":   {func(c *htcondor.Config) { c.Resources.MemoryMB = 900_000_000 }, "machines", "RequestMemory = 900000000"},
		"no such machine":  {func(c *htcondor.Config) { c.Requirements = `TARGET.Machine == "moon"` }, "machines", "moon"},
		"bad requirements": {func(c *htcondor.Config) { c.Requirements = "(((" }, "submit description", "Parse error"},
		"a mistyped line":  {func(c *htcondor.Config) { c.Submit = []string{"reqest_gpus = 1"} }, "submit description", "reqest_gpus"},
		"no folder":        {func(c *htcondor.Config) { c.Jobs = "/dev/null/jobs" }, "state folder", "/dev/null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bad []harvester.Finding
			for _, f := range open(t, c.change).Check(t.Context()) {
				if !f.OK {
					bad = append(bad, f)
				}
			}
			if len(bad) == 0 || bad[0].What != c.what || !strings.Contains(bad[0].Detail, c.words) || bad[0].Next == "" {
				t.Errorf("%+v", bad)
			}
		})
	}
}

func TestIntegrationAnAlternativeIsNoObstacle(t *testing.T) {
	t.Parallel()
	s := open(t, func(c *htcondor.Config) { c.Requirements = `TARGET.Machine == "moon" || TARGET.OpSys == "LINUX"` })
	for _, f := range s.Check(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}

// There is no HTCondor-CE to be had here: the real condor_submit takes the description, and holds to it what it makes of it.
func TestIntegrationTheDescriptionForACEIsTaken(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("header.payload.signature"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, func(c *htcondor.Config) {
		c.GridResource, c.TokenFile = "condor ce.example.org ce.example.org:9619", token
		c.Resources = harvester.Resources{Cores: 4, MemoryMB: 8000, WallTime: 90 * time.Minute}
	})
	for _, f := range s.Check(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}
