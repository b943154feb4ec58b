package site

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/guard"
	"tfpilot/harvester/rest"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
)

// Config describes one queue of one site, and is everything that a harvester can be told: one TOML file, --config.
type Config struct {
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

// complete checks what concerns several options, and fills in what depends on others.
func (cfg *Config) complete() error {
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

// JobsFolder is the folder of the pilots' folders: absolute, because a pilot works in a folder of its own.
func (cfg Config) JobsFolder() (string, error) {
	dir, err := filepath.Abs(filepath.Join(cfg.State, "jobs"))
	return dir, exitcode.Wrap(exitcode.StoreFailed, err)
}

// Batch makes the batch system of the site.
func (cfg Config) Batch(log *slog.Logger) (harvester.BatchSystem, error) {
	return systems[cfg.System](cfg, log)
}

// Demand is who says how many pilots are wanted: --count, or idds.
func (cfg Config) Demand() (harvester.Demand, error) {
	if cfg.IDDS != "" {
		if err := base.CheckBase("--idds", cfg.IDDS); err != nil {
			return nil, err
		}
	}
	if cfg.Count > 0 {
		return harvester.Fixed(document.RunDemand{RunID: cfg.Run, Namespace: cfg.Namespace, Wanted: cfg.Count, Reason: "count is set"}), nil
	}
	if cfg.IDDS == "" {
		return nil, exitcode.New(exitcode.BadConfig, "nobody says how many pilots are wanted: give --idds or --count")
	}
	token, err := program.Token(cfg.Token, cfg.TokenFile)
	if err != nil {
		return nil, base.TokenError(err, "harvester")
	}
	return rest.New(cfg.IDDS, token).For(cfg.Name, cfg.MaxWorkers), nil
}
