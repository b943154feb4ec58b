package htcondor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// Config is how a site's HTCondor is used.
type Config struct {
	Bin    string `toml:"bin" help:"folder of condor_submit and the other commands (default: they are on PATH)"`
	Schedd string `toml:"schedd" help:"name of the schedd (default: that of this machine)"`
	Pool   string `toml:"pool" help:"host:port of the central manager that knows that schedd (default: this machine's)"`

	GridResource string `toml:"grid_resource" help:"send pilots through an HTCondor-CE, such as: condor ce.example.org ce.example.org:9619"`
	TokenFile    string `toml:"token_file" help:"file with the SciToken for the HTCondor-CE"`

	Requirements    string   `toml:"requirements" help:"expression that a machine has to fulfil"`
	AccountingGroup string   `toml:"accounting_group" help:"group that is charged"`
	AccountingUser  string   `toml:"accounting_user" help:"user of that group that is charged"`
	Transfer        bool     `toml:"transfer" help:"the nodes do not see the state folder: logs are transferred; pilot.ship implies it"`
	Submit          []string `toml:"submit" help:"further lines of the submit description, such as +WantX = true"`

	Requeue    bool          `toml:"requeue" help:"HTCondor starts an evicted pilot again; otherwise it is removed, and the harvester submits another"`
	VacateTime time.Duration `toml:"vacate_time" default:"30s" help:"time between SIGTERM and SIGKILL of a pilot; the machine may give less"`
	Lease      time.Duration `toml:"lease" default:"5m" help:"time after which a pilot whose node is lost counts as gone"`
	HoldTime   time.Duration `toml:"hold_time" default:"5m" help:"a pilot that HTCondor holds for longer is removed"`
	KeepTime   time.Duration `toml:"keep_time" default:"10m" help:"time for which what has ended stays in the queue"`
	Timeout    time.Duration `toml:"timeout" default:"1m" help:"time limit of each HTCondor command"`

	// Jobs is the folder of the pilots' folders, and Resources what each asks for: Check looks at both.
	Jobs      string              `toml:"-"`
	Resources harvester.Resources `toml:"-"`
}

// System is the HTCondor of a site.
type System struct {
	cfg     Config
	waiting waiting
}

var _ harvester.BatchSystem = (*System)(nil)

// New checks the configuration; all that is wrong with it is in the error.
func New(cfg Config) (*System, error) {
	config.Defaults(&cfg)
	var wrong []error
	lines := append([]string{cfg.Requirements, cfg.AccountingGroup, cfg.AccountingUser, cfg.GridResource, cfg.TokenFile}, cfg.Submit...)
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n") {
			wrong = append(wrong, fmt.Errorf("%q: a line break has no place in a submit description; give each line an entry of its own in submit", line))
		}
	}
	for _, line := range cfg.Submit {
		if queueLine.MatchString(line) {
			wrong = append(wrong, fmt.Errorf("submit: %q: the harvester says how many are queued", line))
		}
	}
	if cfg.TokenFile != "" && cfg.GridResource == "" {
		wrong = append(wrong, errors.New("token_file is for an HTCondor-CE, which grid_resource names"))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "configuration of htcondor: %w", err)
	}
	if cfg.TokenFile != "" {
		abs, err := filepath.Abs(cfg.TokenFile)
		if err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		cfg.TokenFile = abs
	}
	return &System{cfg: cfg}, nil
}

var queueLine = regexp.MustCompile(`(?i)^\s*queue\b`)

// Name is htcondor.
func (s *System) Name() string { return "htcondor" }

// Submit hands in all pilots by one condor_submit. HTCondor takes all or none.
func (s *System) Submit(ctx context.Context, sub harvester.Submission) ([]string, error) {
	text, err := s.description(sub)
	if err != nil {
		return nil, err
	}
	if err := s.checkToken(); err != nil { // HTCondor would take the jobs, and hold them
		return nil, err
	}
	undo, err := makeFolders(sub)
	if err != nil {
		return nil, err
	}
	out, _, err := s.describe(ctx, text, "-terse", "-")
	if err != nil {
		if !errors.Is(err, harvester.ErrUnclear) {
			undo()
		}
		return nil, err
	}
	return submitted(out, sub.Count)
}

var terse = regexp.MustCompile(`(?m)^(\d+)\.(\d+) - (\d+)\.(\d+)$`)

// submitted reads what condor_submit -terse prints: the first and the last id.
func submitted(out []byte, count int) ([]string, error) {
	m := terse.FindSubmatch(out)
	if m == nil || string(m[1]) != string(m[3]) {
		return nil, exitcode.New(exitcode.NoBatch, "condor_submit printed %q: %w", excerpt(out), harvester.ErrUnclear)
	}
	first, err1 := strconv.Atoi(string(m[2]))
	last, err2 := strconv.Atoi(string(m[4]))
	if err1 != nil || err2 != nil || last-first+1 != count {
		return nil, exitcode.New(exitcode.NoBatch, "condor_submit printed %q for %d pilots: %w", excerpt(out), count, harvester.ErrUnclear)
	}
	ids := make([]string, count)
	for i := range ids {
		ids[i] = string(m[1]) + "." + strconv.Itoa(first+i)
	}
	return ids, nil
}

// Queue asks condor_q for all jobs with a tag of ours.
func (s *System) Queue(ctx context.Context) ([]harvester.Job, error) {
	out, err := s.run(ctx, "condor_q", s.where("-json", "-attributes", attributes, "-constraint", ours)...)
	if err != nil {
		return nil, err
	}
	ads, err := parseAds(out)
	if err != nil {
		return nil, err
	}
	s.explain(ctx, ads, time.Now())
	var jobs []harvester.Job
	for _, a := range ads {
		if j := a.job(); harvester.IsTag(j.Tag) {
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// ours is what holds of jobs that a harvester has submitted.
const ours = "TfpilotTag =!= undefined"

// scanLimit is how many entries of the history are read at most, from its end: what is not among so many ended so long ago that
// nobody waits for it.
const scanLimit = 100_000

// History asks condor_history, which reads a file that may be large.
func (s *System) History(ctx context.Context, ids []string) (map[string]harvester.Status, error) {
	past := map[string]harvester.Status{}
	for _, which := range selections(ids) {
		out, err := s.run(ctx, "condor_history", s.where("-json", "-attributes", attributes,
			"-limit", strconv.Itoa(which.jobs), "-scanlimit", strconv.Itoa(scanLimit), "-constraint", which.expression)...)
		if err != nil {
			return nil, err
		}
		ads, err := parseAds(out)
		if err != nil {
			return nil, err
		}
		for _, a := range ads {
			past[a.id()] = a.status()
		}
	}
	return past, nil
}

// Cancel removes jobs by one condor_rm. They are chosen by an expression: of the ids on a command line one that is no number
// would be taken for a user, and one that has ended, and is only still listed, would be removed again.
func (s *System) Cancel(ctx context.Context, ids []string) error {
	for _, which := range selections(ids) {
		_, err := s.run(ctx, "condor_rm", s.where("-reason", "cancelled by the harvester",
			"-constraint", ours+" && JobStatus != 3 && JobStatus != 4 && "+which.expression)...)
		if err != nil && !errors.Is(err, errNone) {
			return err
		}
	}
	return nil
}

// where are the arguments that choose a schedd, and then the given ones.
func (s *System) where(args ...string) []string {
	var at []string
	if s.cfg.Pool != "" {
		at = append(at, "-pool", s.cfg.Pool)
	}
	if s.cfg.Schedd != "" {
		at = append(at, "-name", s.cfg.Schedd)
	}
	return append(at, args...)
}
