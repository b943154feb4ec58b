//go:build integration

package eicrecon_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
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

func TestIntegrationOneProcessForEachSlice(t *testing.T) {
	t.Parallel()
	s := pythonSite(t)
	s.spec.EICrecon.Mode = ""
	oneshot(t, s)
}
