package harvestercmd

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/harvester"
	"tfpilot/harvester/guard"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// siteConfig describes one queue of one site, and is everything that a harvester can be told: one TOML file, --config.
type siteConfig struct {
	Name   string `toml:"name" help:"what people call this queue (default: that of the batch system)"`
	System string `toml:"system" default:"local" help:"the batch system"`

	IDDS      string `toml:"idds" default:"http://127.0.0.1:8443" zero:"true" help:"address of idds, for us and for pilots; empty: none, with --count and a broker configuration of the pilots"`
	TokenFile string `toml:"token_file" help:"file with the token of role harvester"`
	Token     string `toml:"token" secret:"true" help:"the token itself"`
	State     string `toml:"state" default:"harvester-state" help:"folder of the store and the pilots' logs; with a batch system, one that its nodes see or it transfers to"`

	NoShipLogs  bool   `toml:"no_ship_logs" help:"do not send the lines of the log to idds"`
	MetricsFile string `toml:"metrics_file" help:"write metrics here for the textfile collector of Prometheus' node_exporter; the name ends in .prom"`

	Count int    `toml:"count" help:"keep so many pilots alive, and do not ask idds how many"`
	Run   string `toml:"run" help:"the run of these pilots (default: whichever run there is)"`

	harvester.Config

	Guard guard.Config `toml:"guard"`

	Resources harvester.Resources `toml:"resources"`
	Pilot     pilotConfig         `toml:"pilot"`
	tables
}

// pilotConfig is how pilots are started.
type pilotConfig struct {
	Path         string   `toml:"path" help:"the pilot program (default: beside this one)"`
	Ship         bool     `toml:"ship" help:"the batch system takes program and files along to the node; otherwise they are used in place"`
	TokenFile    string   `toml:"token_file" help:"file with the token of role pilot, handed on by its name"`
	BrokerConfig string   `toml:"broker_config" help:"TOML file with the broker configuration, where pilots are not to ask idds"`
	Slots        slots    `toml:"slots" default:"1" help:"payloads at once in each pilot; auto for as many as cores and memory of its slot hold"`
	Payload      string   `toml:"payload" default:"tfreco" help:"tfreco, synthetic, or a payload's TOML file"`
	JournalDir   string   `toml:"journal_dir" help:"folder of the pilots' journals on a node (default: in the state folder for local pilots, else the pilot's own choice)"`
	Args         []string `toml:"args" help:"further arguments of pilot run"`
	Env          []string `toml:"env" help:"further environment of pilots, each NAME=value"`
}

// slots is a number, or auto: then a pilot finds out itself.
type slots string

// UnmarshalText reads it.
func (s *slots) UnmarshalText(text []byte) error {
	if n, err := strconv.Atoi(string(text)); string(text) != "auto" && (err != nil || n < 1) {
		return fmt.Errorf("%q is neither auto nor a number from 1", text)
	}
	*s = slots(text)
	return nil
}

// site binds a new siteConfig. Only options that are named become flags, all of them when none is named; environment and file
// know them all.
func site(cfg *siteConfig, only ...string) (flags []cli.Flag, before cli.BeforeFunc, bind *config.Binding) {
	bind = config.Bind(cfg)
	flags = bind.Flags()
	if len(only) > 0 {
		only = append(only, "config")
		flags = slices.DeleteFunc(flags, func(f cli.Flag) bool { return !slices.Contains(only, f.Names()[0]) })
	}
	return flags, func(c *cli.Context) error {
		if err := program.NoArgs(c); err != nil {
			return err
		}
		return cfg.load(c, bind)
	}, bind
}

// load reads the configuration.
func (cfg *siteConfig) load(c *cli.Context, bind *config.Binding) error {
	if err := bind.Load(c); err != nil {
		return err
	}
	return cfg.complete()
}

// complete checks what concerns several options, and fills in what depends on others.
func (cfg *siteConfig) complete() error {
	if _, ok := systems[cfg.System]; !ok {
		return exitcode.New(exitcode.Usage, "system %q is none of %s", cfg.System, strings.Join(systemNames(), ", "))
	}
	if cfg.Name = cmp.Or(cfg.Name, cfg.System); !assignment.MatchString(harvester.EnvSite + "=" + cfg.Name) {
		return exitcode.New(exitcode.Usage, "name %q is not of one line: pilots are told it", cfg.Name)
	}
	// A process table is quick and always right; a batch system is asked seldom, and may be late.
	if cfg.System == "local" {
		cfg.Interval, cfg.LostAfter = cmp.Or(cfg.Interval, time.Second), cmp.Or(cfg.LostAfter, 5*time.Second)
	} else {
		cfg.Interval, cfg.LostAfter = cmp.Or(cfg.Interval, 30*time.Second), cmp.Or(cfg.LostAfter, 2*time.Minute)
		cfg.Guard.MinInterval = cmp.Or(cfg.Guard.MinInterval, 5*time.Second)
	}
	for _, e := range cfg.Pilot.Env {
		if !assignment.MatchString(e) {
			return exitcode.New(exitcode.Usage, "pilot.env: %q is not NAME=value, with a name of letters, digits and _, and a value of one line", e)
		}
	}
	return nil
}

// assignment is what every batch system can hand on: a shell has no other names, and HTCondor no line breaks.
var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^\x00\n\r]*$`)

// jobs is the folder of the pilots' folders: absolute, because a pilot works in a folder of its own.
func (cfg siteConfig) jobs() (string, error) {
	dir, err := filepath.Abs(filepath.Join(cfg.State, "jobs"))
	return dir, exitcode.Wrap(exitcode.StoreFailed, err)
}

// batch makes the batch system of the site.
func (cfg siteConfig) batch(log *slog.Logger) (harvester.BatchSystem, error) {
	return systems[cfg.System](cfg, log)
}

// pilot is how a pilot is started. Its token travels in a file, never in its arguments.
func (cfg siteConfig) pilot() (harvester.Pilot, error) {
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
func (cfg siteConfig) environment() []string {
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

// checkPilot looks at what every pilot would stumble over: sooner here than by each of them.
func (cfg siteConfig) checkPilot() error {
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

func configCommand() *cli.Command {
	var cfg siteConfig
	flags, before, bind := site(&cfg)
	return &cli.Command{
		Name: "config", Usage: "the configuration of the site",
		Subcommands: []*cli.Command{{
			Name: "show", Usage: "print every option with its value and its origin",
			Description: "Examples:\n" +
				"  harvester config show --config site.toml\n" +
				"  harvester config show --config site.toml --output json",
			Flags: append(flags, program.OutputFlag()), Before: before,
			Action: func(c *cli.Context) error {
				if c.String("output") != "quiet" {
					return bind.Show(c.App.Writer, c.String("output"))
				}
				for _, o := range bind.Options() {
					fmt.Fprintln(c.App.Writer, o.Key)
				}
				return nil
			},
		}},
	}
}
