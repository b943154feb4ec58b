package site

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// Submissions is how pilots are started, for whichever run. Their token travels in a file, never in their arguments.
func (cfg Config) Submissions() (harvester.Pilot, error) {
	path, err := program.Beside(cfg.Pilot.Path, "pilot")
	if err != nil {
		return nil, err
	}
	s := harvester.Submission{Path: path, Ship: cfg.Pilot.Ship, Resources: cfg.Resources, Env: cfg.environment()}
	s.Args = []string{"run", "--slots", string(cfg.Pilot.Slots)}
	if cfg.IDDS != "" {
		s.Args = append(s.Args, "--idds", cfg.IDDS)
	}
	payload := cfg.Pilot.Payload
	if _, err := os.Stat(payload); err != nil {
		s.Args = append(s.Args, "--payload", payload)
		payload = ""
	}
	for _, o := range []struct{ flag, file string }{
		{"--token-file", cfg.Pilot.TokenFile}, {"--broker-config", cfg.Pilot.BrokerConfig}, {"--payload", payload},
	} {
		if o.file == "" {
			continue
		}
		abs, err := filepath.Abs(o.file)
		if err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		s.Files = append(s.Files, abs)
		if s.Ship {
			abs = filepath.Base(abs)
		}
		s.Args = append(s.Args, o.flag, abs)
	}
	if s.Ship { // the built-in payloads are looked for beside the pilot
		bin := cmp.Or(os.Getenv("TFPILOT_PAYLOAD_BIN"), filepath.Join(filepath.Dir(path), "tfpilot-payload"))
		if _, err := os.Stat(bin); err == nil {
			s.Files = append(s.Files, bin)
		}
	}
	if s.Ship {
		if err := distinct(append([]string{s.Path}, s.Files...)); err != nil {
			return nil, err
		}
	}
	if dir := cfg.Pilot.JournalDir; dir != "" || cfg.System == "local" {
		if dir, err = filepath.Abs(cmp.Or(dir, filepath.Join(cfg.State, "journal"))); err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		s.Args = append(s.Args, "--journal-dir", dir)
	}
	s.Args = append(s.Args, cfg.Pilot.Args...)
	return func(run, namespace string) harvester.Submission {
		s := s
		s.Args = slices.Clone(s.Args)
		if run != "" {
			s.Args = append(s.Args, "--run", run)
		}
		if namespace != "" {
			s.Args = append(s.Args, "--namespace", namespace)
		}
		return s
	}, nil
}

// distinct wants the names of files that go into one folder to differ: of two tokens of one name one would be taken for the other.
func distinct(files []string) error {
	from := map[string]string{}
	for _, f := range files {
		name := filepath.Base(f)
		if other, taken := from[name]; taken {
			return exitcode.New(exitcode.BadConfig, "%s and %s are shipped to one folder, and have one name: rename one", other, f)
		}
		from[name] = f
	}
	return nil
}

// environment is what a pilot gets of ours: enough to find tools, no option that was meant for us. A folder for temporary
// files is that of this machine, and so is the program of the built-in payloads.
func (cfg Config) environment() []string {
	keys := []string{"PATH", "HOME", "USER", "LANG", "TZ"}
	if cfg.System == "local" {
		keys = append(keys, "TMPDIR")
	}
	if !cfg.Pilot.Ship {
		keys = append(keys, "TFPILOT_PAYLOAD_BIN")
	}
	var env []string
	for _, key := range keys {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return append(append(env, harvester.EnvSite+"="+cfg.Name), cfg.Pilot.Env...)
}

// CheckPilots looks at what every pilot would stumble over: sooner here than by each of them.
func (cfg Config) CheckPilots() error {
	if _, err := program.Token("", cfg.Pilot.TokenFile); err != nil {
		return exitcode.WithNext(fmt.Errorf("--pilot-token-file: %w", err), "on the machine of idds, `(umask 077; idds token --state STATE pilot > FILE)` writes one")
	}
	named := func(arg string) bool {
		return strings.HasPrefix(arg, "--broker-config") || strings.HasPrefix(arg, "-broker-config")
	}
	if cfg.IDDS == "" && cfg.Pilot.BrokerConfig == "" && !slices.ContainsFunc(cfg.Pilot.Args, named) {
		return exitcode.New(exitcode.BadConfig, "without idds pilots do not learn where the broker is: give --pilot-broker-config")
	}
	if file := cfg.Pilot.BrokerConfig; file != "" {
		if _, err := os.Stat(file); err != nil {
			return exitcode.New(exitcode.BadConfig, "--pilot-broker-config: %w", err)
		}
	}
	return nil
}
