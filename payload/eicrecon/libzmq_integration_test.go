//go:build integration

package eicrecon_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/payload"
)

// pythonSite is the stand-in that speaks over libzmq.
func pythonSite(t *testing.T) *site {
	t.Helper()
	const variable = "TFPILOT_TEST_PYZMQ"
	python := os.Getenv(variable)
	if python == "" {
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatalf("%s names no Python with pyzmq, and REQUIRE_SERVICES=1; `make test/integration` makes one", variable)
		}
		t.Skipf("set %s=$(scripts/python.sh payload/eicrecon/testdata/requirements.txt)", variable)
	}
	script, err := filepath.Abs("testdata/eicrecon.py")
	if err != nil {
		t.Fatal(err)
	}
	return newSite(t, python+" "+script)
}

func TestIntegrationADaemonWorksOnManySlices(t *testing.T) {
	t.Parallel()
	manySlices(t, pythonSite(t))
}

func TestIntegrationAnotherVersionIsAnotherDaemon(t *testing.T) {
	t.Parallel()
	anotherVersion(t, pythonSite(t))
}

func TestIntegrationWhatGoesWrongIsToldAndTheNextSliceIsDone(t *testing.T) {
	t.Parallel()
	s, all := pythonSite(t), maps.Clone(faults)
	maps.Copy(all, map[string]fault{
		"an event is there twice":   {events: []string{"double"}, want: exitcode.PayloadBadResult, say: "2 events were processed, not the 1"},
		"the reply is a list":       {events: []string{"list"}, want: exitcode.PayloadBadResult, say: "its reply"},
		"the reply has three parts": {events: []string{"frames"}, want: exitcode.PayloadBadResult, say: "a reply of"},
		"the reply has 64 MB":       {events: []string{"flood"}, want: exitcode.PayloadBadResult, say: "a frame of 6"},
	})
	goesWrong(t, s, all)
}

func TestIntegrationADaemonThatTakesTooMuchMemoryIsEnded(t *testing.T) {
	t.Parallel()
	s := pythonSite(t)
	s.spec.MemoryMB = 200
	goesWrong(t, s, map[string]fault{
		"grows": {events: []string{"grow"}, want: exitcode.PayloadMemory, say: "200 MB"},
	})
}

func TestIntegrationADaemonThatDoesNotAnswerIsEndedWithItsSlice(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"hang", "late"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			s := pythonSite(t)
			s.spec.EICrecon.RequestTimeout = time.Second
			noAnswer(t, s, event)
		})
	}
}

func TestIntegrationASlotThatIsTakenBackEndsItsDaemon(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"", "stubborn"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := pythonSite(t)
			s.spec.Env = map[string]string{"EICRECON_FAULT": fault}
			s.spec.Grace = 500 * time.Millisecond
			takenBack(t, s)
		})
	}
}

func TestIntegrationADaemonThatDoesNotStartIsTold(t *testing.T) {
	t.Parallel()
	doesNotStart(t, pythonSite(t), map[string]start{
		"exit":  {want: exitcode.PayloadFailed, say: "status 1: geometry not found"},
		"never": {want: exitcode.PayloadTimeout, say: "was not ready within its startup_timeout of 500ms"},
		// libzmq hangs up on whom it cannot serve.
		"pub": {want: exitcode.PayloadTimeout, say: "was not ready within its startup_timeout of 500ms"},
	})
}

func TestIntegrationADaemonMayTakeItsTimeAndLeaveItsSocket(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"slow", "leaves"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := pythonSite(t)
			s.spec.Env = map[string]string{"EICRECON_FAULT": fault}
			anotherVersion(t, s)
		})
	}
}

func TestIntegrationADaemonThatDiesBetweenSlicesIsStartedAgain(t *testing.T) {
	t.Parallel()
	diesBetween(t, pythonSite(t))
}

func TestIntegrationWhatADaemonDoesBesidesIsNoFault(t *testing.T) {
	t.Parallel()
	besides(t, pythonSite(t))
}

func TestIntegrationOneProcessForEachSlice(t *testing.T) {
	t.Parallel()
	s := pythonSite(t)
	s.spec.EICrecon.Mode = ""
	oneshot(t, s)
}

// The image is this machine's own root, in which the stand-in is all that is there of the reconstruction.
func TestIntegrationItRunsInAContainer(t *testing.T) {
	t.Parallel()
	inside := func(t *testing.T) *site {
		t.Helper()
		s := pythonSite(t)
		s.spec.EICrecon.Image, s.spec.EICrecon.Images = "/", []string{"/"}
		// Of the root, /tmp is not seen, where this checkout and what it needs may be.
		testdata, err := filepath.Abs("testdata")
		if err != nil {
			t.Fatal(err)
		}
		venv := filepath.Dir(filepath.Dir(os.Getenv("TFPILOT_TEST_PYZMQ")))
		s.spec.Container = &container.Spec{Runtime: container.Bubblewrap, Binds: []string{filepath.Join(s.dir, "bin"), filepath.Join(s.dir, "detector"), testdata + "::ro", venv + "::ro"}}
		return s
	}
	t.Run("daemons", func(t *testing.T) {
		t.Parallel()
		s := inside(t)
		s.spec.Env = map[string]string{"EICRECON_FAULT": "stubborn"}
		s.spec.Grace = time.Second
		manySlices(t, s)
	})
	t.Run("versions", func(t *testing.T) {
		t.Parallel()
		anotherVersion(t, inside(t))
	})
	t.Run("processes", func(t *testing.T) {
		t.Parallel()
		s := inside(t)
		s.spec.EICrecon.Mode = ""
		oneshot(t, s)
	})
	t.Run("a crash", func(t *testing.T) {
		t.Parallel()
		goesWrong(t, inside(t), map[string]fault{"a crash": faults["the daemon crashes"]})
	})
	t.Run("an image that is not there", func(t *testing.T) {
		t.Parallel()
		s := inside(t)
		pl := s.open(t)
		_, _, err := pl.run(t.Context(), s.slice(t, `{"epic_image":"/nowhere/x"}`, "a"))
		if exitcode.From(err) != exitcode.SiteContainer || !errors.Is(err, payload.ErrNotReady) {
			t.Error(err)
		}
		_, _, err = pl.run(t.Context(), s.slice(t, `{"epic_image":"docker://evil/x"}`, "a"))
		if exitcode.From(err) != exitcode.DataInvalid {
			t.Error(err)
		}
	})
}
