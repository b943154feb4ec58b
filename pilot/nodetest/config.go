package nodetest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
)

// Config is what is tested, and what it means. Zero means zero: [config.Defaults] sets the defaults.
type Config struct {
	// Programs are the site's tests; docs/operations/node.md is their contract. A folder stands for all files in it.
	Programs []string `toml:"test" help:"program, or folder of programs, that tells whether the node is fit (docs/operations/node.md); several, separated by commas"`
	// Limit bounds each test.
	Limit time.Duration `toml:"limit" default:"10s" help:"time limit of each test of the node"`
	// MinDiskMB and MinInodes are what has to be free where the work directory is.
	MinDiskMB int      `toml:"min_disk_mb" default:"100" zero:"true" help:"MB that have to be free where the work directory is"`
	MinInodes int      `toml:"min_inodes" default:"1000" zero:"true" help:"files that it has to be possible to make there"`
	Need      []string `toml:"need" help:"what payloads need of the node: container, userns, gpu; a GPU that the batch system has given to the slot is needed too"`
	CVMFS     []string `toml:"cvmfs" help:"CVMFS repositories that payloads need, such as eic.opensciencegrid.org"`
	// Fatal and Warn change what the failure of a test means.
	Fatal []string `toml:"fatal" help:"tests whose failure makes the node unfit, though it is only a warning by default: clock"`
	Warn  []string `toml:"warn" help:"tests whose failure is only a warning"`
}

// Names of the built-in tests.
const (
	testWork      = "work_dir"
	testJournal   = "journal_dir"
	testDisk      = "disk"
	testInodes    = "inodes"
	testClock     = "clock"
	testContainer = "container"
	testUserns    = "userns"
	testGPU       = "gpu"
	testCVMFS     = "cvmfs"
	testNames     = "names"
	testIDDS      = "idds"
	testToken     = "token"
	testBroker    = "broker"
)

// needable are the tests of what not every payload needs.
var needable = []string{testContainer, testUserns, testGPU}

// warnOnly are the tests whose failure is a warning unless Config.Fatal says otherwise. A clock that is wrong spoils latencies, and
// it is not known whose it is.
var warnOnly = []string{testClock}

func builtin() []string {
	return append([]string{testWork, testJournal, testDisk, testInodes, testClock, testCVMFS}, needable...)
}

// Validate names every option that makes no sense.
func (c Config) Validate() error {
	var errs []error
	for _, need := range c.Need {
		if !slices.Contains(needable, need) {
			errs = append(errs, fmt.Errorf("--node-need %q is none of %s", need, strings.Join(needable, ", ")))
		}
	}
	folder := slices.ContainsFunc(c.Programs, func(p string) bool { return strings.HasSuffix(p, "/") })
	for option, names := range map[string][]string{"fatal": c.Fatal, "warn": c.Warn} {
		for _, name := range names {
			known := slices.Contains(builtin(), name) || len(c.Programs) > 0 // whose names may come from a folder that hangs
			if !known && !folder {
				errs = append(errs, fmt.Errorf("--node-%s %q is none of %s", option, name, strings.Join(builtin(), ", ")))
			}
			if option == "fatal" && slices.Contains(c.Warn, name) {
				errs = append(errs, fmt.Errorf("--node-fatal and --node-warn both name %q", name))
			}
		}
	}
	for _, repository := range c.CVMFS {
		if strings.Contains(repository, "/") && !filepath.IsAbs(repository) {
			errs = append(errs, fmt.Errorf("--node-cvmfs %q is no repository such as eic.opensciencegrid.org, and no absolute path", repository))
		}
	}
	if c.Limit < time.Millisecond {
		errs = append(errs, fmt.Errorf("--node-limit %s: must be at least 1ms", c.Limit))
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}
