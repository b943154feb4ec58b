package harvestercmd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/testkit"
)

// site is a local site whose pilot is a script.
type site struct {
	t      *testing.T
	dir    string
	config string
}

func newSite(t *testing.T, pilot, more string) site {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pilot": "#!/bin/sh\n[ \"$1\" = version ] && { echo a pilot; exit 0; }\n" + pilot, "broker.toml": "",
		"site.toml": "name = \"here\"\nidds = \"\"\ncount = 2\ninterval = \"10ms\"\nstate = '" + dir + "/state'\n" + more +
			"[pilot]\npath = '" + dir + "/pilot'\nbroker_config = '" + dir + "/broker.toml'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return site{t, dir, filepath.Join(dir, "site.toml")}
}

// do runs a command line on the site and wants it to end well.
func (s site) do(args ...string) string {
	s.t.Helper()
	status, stdout, stderr := command(s.t.Context(), append(args, "--config", s.config)...)
	if status != 0 {
		s.t.Fatalf("%v: %d: %s%s", args, status, stdout, stderr)
	}
	return stdout
}

// run keeps a harvester until stop is called.
func (s site) run() (stop func()) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], "run", "--config", s.config)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // its pilots end with it, also when the test fails
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := <-ended; err != nil {
			s.t.Errorf("it ended with %v", err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// await waits until what a command prints has a text. It is not asked before a harvester has been there.
func (s site) await(text string, args ...string) (said string) {
	s.t.Helper()
	testkit.Await(s.t, fmt.Sprintf("%q of %v", text, args), func() bool {
		var status int
		status, said, _ = command(s.t.Context(), append(args, "--config", s.config)...)
		return status == 0 && strings.Contains(said, text)
	})
	return said
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

const faithful = "trap 'exit 59' TERM\necho hello from the pilot >&2\nwhile :; do sleep 0.01; done\n"

func TestTheStateOfAQueueIsToldWhileAHarvesterRunsAndAfterwards(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	stop := s.run()
	contains(t, s.await("2 running", "explain"), "Whatever run there is wants 2 and has 2 (2 running).", "The harvester is process")
	contains(t, s.do("status"), "here (local)", "(any)")
	status, _, stderr := command(t.Context(), "run", "--config", s.config)
	if status != 45 {
		t.Errorf("a second harvester: %d", status)
	}
	contains(t, stderr, "is held by process ", " on ", ", since ")
	worker := strings.Fields(s.do("workers", "--live", "--output", "quiet"))[0]
	contains(t, s.await("hello from the pilot", "workers", "show", worker), worker, "It runs on ", "The end of its log:")
	contains(t, s.do("explain", worker), "It runs on ")
	stop()
	contains(t, s.do("explain"), "No harvester runs on this state folder")
	contains(t, s.do("explain", worker), "interrupted")
	var doc struct {
		Harvester any
		Runs      []struct{ Workers map[string]int }
	}
	if err := json.Unmarshal([]byte(s.do("status", "--output", "json")), &doc); err != nil || doc.Harvester != nil || doc.Runs[0].Workers["ended"] != 2 {
		t.Errorf("%+v, %v", doc, err)
	}
}

func TestAllPilotsThatLiveAreCountedHoweverMany(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	store, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	crowd := make([]harvester.Worker, 3000)
	for i := range crowd {
		crowd[i] = harvester.Worker{ID: fmt.Sprintf("tfpilot-x-y.%d", i), Tag: "tfpilot-x-y", State: harvester.Running, IntendedAt: time.Unix(int64(i), 0)}
		if i >= 2900 {
			crowd[i].State = harvester.Ended
		}
	}
	if err := errors.Join(store.Put(t.Context(), crowd...), store.Close()); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Runs []struct{ Workers map[string]int }
	}
	if err := json.Unmarshal([]byte(s.do("status", "--output", "json")), &doc); err != nil || len(doc.Runs) != 1 || doc.Runs[0].Workers["running"] != 2900 || doc.Runs[0].Workers["ended"] != 100 {
		t.Errorf("%+v, %v", doc, err)
	}
}

func TestARunningHarvesterDrainsWhenItIsTold(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, "exit 55\n", "")
	stop := s.run()
	s.await("ended", "workers")
	contains(t, s.do("drain"), "told the harvester (process ")
	s.await("it drains", "explain")
	before := s.do("workers", "--output", "quiet")
	s.await("it drains", "status", "--output", "json")
	if after := s.do("workers", "--output", "quiet"); after != before {
		t.Errorf("more pilots were submitted:\n%s\n%s", before, after)
	}
	s.do("drain", "--undo")
	s.await("has ", "explain")
	stop()
	contains(t, s.do("drain"), "no harvester runs")
	contains(t, s.do("drain", "--undo"), "no longer drained")
}

func TestPilotsThatFailAreExplained(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, "echo no token here >&2\nexit 50\n", "max_backoff = \"1h\"\n")
	stop := s.run()
	contains(t, s.await("after failures there is a pause", "explain"), "no_credential")
	contains(t, s.do("status"), "failures in a row: ")
	worker := strings.Fields(s.do("workers", "--output", "quiet"))[0]
	contains(t, s.do("workers", "show", worker), "no token here", "a token or password is missing")
	stop()
}

func TestWhatAPilotHasWrittenCommandsNoTerminal(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, `printf 'one\033]0;owned\007\ttwo\n\302\233K\377three\n' >&2; exit 50`+"\n", "max_backoff = \"1h\"\n")
	stop := s.run()
	s.await("after failures there is a pause", "explain")
	worker := strings.Fields(s.do("workers", "--output", "quiet"))[0]
	contains(t, s.do("workers", "show", worker), "one·]0;owned·\ttwo\n·K·three\n")
	status, _, stderr := command(t.Context(), "workers", "show", "--tail", "-1", worker, "--config", s.config)
	if status != 64 {
		t.Errorf("%d", status)
	}
	contains(t, stderr, "--tail -1: must not be negative")
	stop()
}

func TestJobsOfAHarvesterThatIsGoneAreAdoptedOrReaped(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	stop := s.run()
	s.await("2 running", "explain")
	if status, _, stderr := command(t.Context(), "reap", "--yes", "--config", s.config); status != 45 {
		t.Errorf("reaping under a harvester: %d, %s", status, stderr)
	}
	// Its store is lost, and its process with a kill -9: what remains are the folders of its pilots.
	submitter := strings.Split(s.do("workers", "--output", "quiet"), "-")[1]
	other := s
	other.config = filepath.Join(s.dir, "other.toml")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other.config, []byte(strings.Replace(string(text), s.dir+"/state", s.dir+"/other", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(s.dir, "state", "jobs"), filepath.Join(s.dir, "other", "jobs")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reap", "adopt"} { // it has none of its own, and says whose there are
		status, stdout, stderr := command(t.Context(), name, "--output", "quiet", "--config", other.config)
		if want := "when the jobs of another are meant: " + submitter + " (2)"; status != 0 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s ended with %d, %s%s", name, status, stdout, stderr)
		}
	}
	contains(t, other.do("reap", "--all"), submitter, "running")
	contains(t, other.do("adopt", "--run", "7", submitter), "running", "7")
	contains(t, other.do("workers", "--live"), "7")
	if out := other.do("adopt", "--run", "7", submitter, "--output", "quiet"); out != "" {
		t.Errorf("adopted twice: %s", out)
	}
	if n := strings.Count(other.do("reap", submitter), "running"); n != 2 {
		t.Errorf("%d would be reaped", n)
	}
	s.await("2 running", "explain")
	other.do("reap", "--yes", submitter)
	s.await("interrupted", "workers")
	stop()
}

func TestACheckFindsWhatWouldNotWork(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	contains(t, s.do("check", "--test-job"), `printed "a pilot"`, "state folder")
	if left, err := filepath.Glob(filepath.Join(s.dir, "state", "jobs", "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	broken := newSite(t, "", "")
	if err := os.WriteFile(filepath.Join(broken.dir, "pilot"), []byte("#!/bin/sh\necho wrong libc >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken.config+".txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + testkit.Nobody(t)
	for want, args := range map[string][]string{
		"wrong libc":                 {"--test-job"},
		"the pilot beside":           {"--pilot-path", filepath.Join(s.dir, "nix")},
		"is not a program":           {"--pilot-path", broken.config + ".txt"},
		"no_such_launcher":           {"--local-launcher", "no_such_launcher"},
		nobody:                       {"--idds", nobody, "--count", "0"},
		"pilots have no token for":   {"--idds", nobody},
		"leave it out":               {"--pilot-ship"},
		"mend its rights":            {"--state", "/proc/nix"},
		"nobody says how many":       {"--count", "0"},
		"--pilot-broker-config: sta": {"--pilot-broker-config", "nix"},
	} {
		status, stdout, stderr := command(t.Context(), append([]string{"check", "--config", broken.config}, args...)...)
		if status != 51 || stderr != "" {
			t.Errorf("%v: %d, %s", args, status, stderr)
		}
		contains(t, stdout, want, "problem")
	}
}

func TestAQueueOfTheProductionSystemBecomesAConfiguration(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	const file = "../../../harvester/panda/testdata/panda_queues.json"
	status, stdout, stderr := command(t.Context(), "import", "BNL_OSG_PanDA_1", "--from", file)
	if status != 0 {
		t.Fatalf("%d: %s", status, stderr)
	}
	contains(t, stdout, "name = 'BNL_OSG_PanDA_1'", "system = 'htcondor'", "memory_mb = 4000", "wall_time = '72h0m0s'", "APPTAINER_BINDPATH=/cvmfs",
		"condor ce1.example.org ce1.example.org:9619", "#   container_type =", "#   brand_new_key = true", "token=***")
	contains(t, stderr, "brand_new_key")
	out := filepath.Join(t.TempDir(), "site.toml")
	if status, _, stderr := command(t.Context(), "import", "NERSC_Perlmutter_epic", "--from", file, "--system", "local", "--out", out); status != 0 {
		t.Fatalf("%d: %s", status, stderr)
	}
	if v := shown(t.Context(), t, "--config", out); v["resources.cores"] != "16" || v["name"] != "NERSC_Perlmutter_epic" || v["resources.memory_mb"] != "0" {
		t.Errorf("%v", v)
	}
	for want, args := range map[string][]string{
		"is there already":   {"NERSC_Perlmutter_epic", "--from", file, "--out", out},
		"has no queue":       {"nix", "--from", file},
		"--system \"pbs\"":   {"NERSC_Perlmutter_epic", "--from", file, "--system", "pbs"},
		"the name of one":    {},
		"no such file":       {"x", "--from", "nix"},
		"not a panda_queues": {"x", "--from", "../../../go.mod"},
	} {
		status, stdout, stderr := command(t.Context(), append([]string{"import"}, args...)...)
		if status != 64 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %d, %s%s", args, status, stdout, stderr)
		}
		contains(t, stderr, want)
	}
}

func TestAQueueWritesNoConfigurationOfItsOwn(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	file, out := filepath.Join(dir, "queues.json"), filepath.Join(dir, "site.toml")
	const queue = `{"Q": {"name": "Q", "environ": "A='x\"]", "x\n[local]\nlauncher = [\"sh\"]\n#": "y", "z\u0007": 1,
		"queues": [{"ce_endpoint": "a\"\nb", "ce_queue_name": "p'\n[local]", "ce_flavour": "slurm"}]}}`
	if err := os.WriteFile(file, []byte(queue), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t.Context(), "import", "Q", "--from", file, "--out", out); status != 0 {
		t.Fatalf("%d: %s", status, stderr)
	}
	if v := shown(t.Context(), t, "--config", out); v["local.launcher"] != "" || v["slurm.partition"] != "p'\n[local]" {
		t.Errorf("%v", v)
	}
}

func TestASubmissionByHandSaysWhatItNeeds(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	for want, args := range map[string][]string{
		"say how many":            {"--count", "0"},
		"harvester run --count N": {},
	} {
		status, _, stderr := command(t.Context(), append([]string{"submit", "--config", s.config}, args...)...)
		if status != 64 {
			t.Errorf("%v: %d", args, status)
		}
		contains(t, stderr, want)
	}
	for want, args := range map[string][]string{
		"where the broker is":  {"run", "--config", s.config, "--pilot-broker-config", ""},
		"nobody says how many": {"run", "--config", s.config, "--count", "0"},
	} {
		status, _, stderr := command(t.Context(), args...)
		if status != 51 {
			t.Errorf("%v: %d, %s", args, status, stderr)
		}
		contains(t, stderr, want)
	}
}
