package slurm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// Config is how a site's Slurm is used.
type Config struct {
	Partition   string   `toml:"partition" help:"partition of the pilots (default: the cluster's)"`
	Account     string   `toml:"account" help:"account that is charged (default: the user's)"`
	QOS         string   `toml:"qos" help:"quality of service (default: the account's)"`
	Constraint  string   `toml:"constraint" help:"features that a node must have"`
	Reservation string   `toml:"reservation" help:"reservation that is used"`
	Options     []string `toml:"options" help:"further options of sbatch, such as --gres=gpu:1"`

	Requeue bool          `toml:"requeue" help:"Slurm starts a pilot again that lost its node or was preempted; otherwise the harvester submits another"`
	Warning time.Duration `toml:"warning" default:"2m" zero:"true" help:"a pilot gets SIGUSR2 this long before its time is over, or up to a minute sooner; 0: none"`
	Scratch string        `toml:"scratch" help:"folder on the nodes for pilots that are shipped (default: $TMPDIR of the job, else /tmp)"`

	Bin     string        `toml:"bin" help:"folder of sbatch and the other commands (default: they are on PATH)"`
	Timeout time.Duration `toml:"timeout" default:"1m" help:"time limit of each Slurm command"`

	// Jobs is the folder of the pilots' folders, and Resources what each asks for: Check looks at both.
	Jobs      string              `toml:"-"`
	Resources harvester.Resources `toml:"-"`
}

// System is the Slurm of a site.
type System struct {
	cfg Config

	mu        sync.Mutex
	cancelled map[string]time.Time        // when; forgotten when a later look shows that it did not help, or is not needed any more
	live      map[string]bool             // tags with a job that had not ended when last looked; nil before
	rests     map[string]harvester.Status // of arrays, by the last look: how it ended with the tasks that it did not name
}

var _ harvester.BatchSystem = (*System)(nil)

// New checks the configuration; all that is wrong with it is in the error. A zero Warning is none.
func New(cfg Config) (*System, error) {
	warning := cfg.Warning
	config.Defaults(&cfg)
	cfg.Warning = warning
	var wrong []error
	for _, o := range cfg.Options {
		if !strings.HasPrefix(o, "-") {
			wrong = append(wrong, fmt.Errorf("options: %q is no option of sbatch; write an option and its value as one, --gres=gpu:1", o))
		}
		if name, _, _ := strings.Cut(o, "="); slices.ContainsFunc(reserved, func(ours string) bool { return sets(o, name, ours) }) {
			wrong = append(wrong, fmt.Errorf("options: %s is the harvester's to set", name))
		}
	}
	if cfg.Warning < 0 {
		wrong = append(wrong, fmt.Errorf("warning %s: must not be negative", cfg.Warning))
	}
	if cfg.Timeout < time.Second {
		wrong = append(wrong, fmt.Errorf("timeout %s: must be a second at least", cfg.Timeout))
	}
	if cfg.Scratch != "" && !filepath.IsAbs(cfg.Scratch) {
		wrong = append(wrong, fmt.Errorf("scratch %q: must be an absolute path", cfg.Scratch))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "configuration of slurm: %w", err)
	}
	return &System{cfg: cfg, cancelled: map[string]time.Time{}}, nil
}

// reserved are the options of sbatch by which a submission is found again, or that keep it from being one.
var reserved = []string{
	"--array", "-a", "--job-name", "-J", "--output", "-o", "--error", "-e", "--chdir", "-D", "--parsable", "--wrap", "--export", "--test-only", "--wait", "-W",
}

// sets reports whether an option of that name, as getopt reads it, is one of ours: it takes -Jname, and --job for --job-name.
func sets(option, name, ours string) bool {
	if strings.HasPrefix(ours, "--") {
		return len(name) > len("--") && strings.HasPrefix(ours, name)
	}
	return strings.HasPrefix(option, ours)
}

// Name is slurm.
func (s *System) Name() string { return "slurm" }

// Queue asks squeue for all jobs of this user and picks ours.
func (s *System) Queue(ctx context.Context) ([]harvester.Job, error) {
	asked := time.Now()
	out, err := s.run(ctx, "squeue", "--me", "--noheader", "--array", "--states=all", "--Format="+queueFormat)
	if err != nil {
		return nil, err
	}
	jobs, rests, err := parseQueue(out)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.rests = rests
	s.mu.Unlock()
	s.review(jobs, asked)
	return jobs, nil
}

// History asks sacct, and knows from the last look of tasks that were cancelled before they started. What accounting takes for
// alive is not in the answer: it hears of things late, and of some never.
func (s *System) History(ctx context.Context, ids []string) (map[string]harvester.Status, error) {
	// By their arrays: accounting keeps tasks that were cancelled together before they started as one, which no task's id finds.
	var arrays []string
	for _, id := range ids {
		if m := taskID.FindStringSubmatch(id); m != nil && !slices.Contains(arrays, m[1]) {
			arrays = append(arrays, m[1])
		}
	}
	if len(arrays) == 0 {
		return map[string]harvester.Status{}, nil
	}
	out, err := s.run(ctx, "sacct", "--noheader", "--parsable2", "--allocations", "--jobs="+strings.Join(arrays, ","), "--format="+historyFormat)
	if err != nil && !errors.Is(err, errNoAccounting) {
		return nil, err
	}
	past := map[string]harvester.Status{}
	if err == nil {
		if past, err = parseHistory(out, ids); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		array, _, _ := strings.Cut(id, "_")
		if st, told := s.rests[array]; told && past[id].State == "" {
			past[id] = st
		}
	}
	return past, nil
}

// Cancel is one scancel. What was cancelled since the last look is left out: a second signal could hit what Slurm has
// started again meanwhile under the same id.
func (s *System) Cancel(ctx context.Context, ids []string) error {
	s.mu.Lock()
	var fresh []string
	for _, id := range ids {
		if _, done := s.cancelled[id]; !done && taskID.MatchString(id) {
			fresh = append(fresh, id)
		}
	}
	now := time.Now()
	for _, id := range fresh {
		s.cancelled[id] = now
	}
	s.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	// Without --quiet it fails for what ended a moment ago.
	_, err := s.run(ctx, "scancel", append([]string{"--quiet"}, fresh...)...)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, id := range fresh {
			delete(s.cancelled, id)
		}
	}
	return err
}

// review forgets the cancelling of jobs that a later look shows as untouched by it, and of those that have ended. It notes which
// submissions live.
func (s *System) review(jobs []harvester.Job, asked time.Time) {
	ending, live := map[string]bool{}, map[string]bool{}
	for _, j := range jobs {
		ending[j.ID] = j.State == harvester.Ending
		live[j.Tag] = live[j.Tag] || j.State.Live()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = live
	for id, at := range s.cancelled {
		if at.Before(asked) && !ending[id] {
			delete(s.cancelled, id)
		}
	}
}
