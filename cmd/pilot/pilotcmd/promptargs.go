package pilotcmd

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadlog"
)

const promptHelp = `NAME:
   run_prompt - tfpilot's pilot in the place of the production worker (also called run_prompt_wrapper)

USAGE:
   run_prompt [--run_id N] [--idle_timeout S] [--namespace NS] [--workdir D] [--verbose]

OPTIONS:
   --run_id N         run number; without one the run of the first slice
   --idle_timeout S   leave after this many seconds without a slice (default 600)
   --namespace NS     namespace: messages of others are left alone
   --workdir D        folder for the slices' own folders (default: the current one)
   --verbose, -v      log more
   --version          print the version of this build
   Others are ignored, as the production worker does. What is tfpilot's own comes from the environment: TFPILOT_SLOTS=4,
   TFPILOT_PAYLOAD=mine.toml and so on; "pilot config show" lists them all.

EXAMPLES:
   run_prompt_wrapper --run_id 102023 --idle_timeout 120           with PANDA_SERVER_URL, PANDA_AUTH_DIR and PANDA_AUTH_ORIGIN set
   PROMPT_TRANSFORM_CONF=prompt.conf run_prompt --run_id 102023    without the PanDA relay

EXIT STATUS:
   0 after the end of the run or the idle time, 40 when no broker could be reached, 41 without an answer of the PanDA relay,
   50 for a bad token or proxy, 51 for a bad prompt.conf, 59 after a signal; all in docs/exit-codes.md
`

// promptIdle is how long a production worker waits for a slice when it is not told.
const promptIdle = 10 * time.Minute

// promptArgs is the production command line.
type promptArgs struct {
	run, namespace, workdir string
	idle                    time.Duration
	verbose, version, help  bool
}

// parsePrompt reads it as the production worker does: what it does not know it ignores, and the last of several counts.
func parsePrompt(args []string) (promptArgs, error) {
	var p promptArgs
	for len(args) > 0 {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		switch name {
		case "--verbose", "-v":
			p.verbose = true
			continue
		case "--version":
			p.version = true
			continue
		case "--help", "-h":
			p.help = true
			continue
		case "--run_id", "--idle_timeout", "--namespace", "--workdir":
		default:
			continue
		}
		if !joined {
			if len(args) == 0 || strings.HasPrefix(args[0], "--") {
				return p, exitcode.New(exitcode.Usage, "%s: value missing", name)
			}
			value, args = args[0], args[1:]
		}
		if err := p.set(name, value); err != nil {
			return p, exitcode.New(exitcode.Usage, "%s: %w", name, err)
		}
	}
	return p, nil
}

func (p *promptArgs) set(name, value string) error {
	switch name {
	case "--run_id":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return fmt.Errorf("%q is no run number", value)
		}
		p.run = strconv.FormatUint(n, 10)
	case "--idle_timeout":
		const most = 1e9 // seconds; 30 years
		s, err := strconv.ParseFloat(value, 64)
		if err != nil || !(s > 0 && s <= most) {
			return fmt.Errorf("%q is no number of seconds above 0", value)
		}
		p.idle = time.Duration(s * float64(time.Second))
	case "--namespace":
		p.namespace = value
	case "--workdir":
		p.workdir = value
	}
	return nil
}

// apply puts the production command line over what the environment says natively, and gives the rest the habits of a
// production worker.
func (p promptArgs) apply(cfg *runConfig, bind *config.Binding) {
	given := map[string]bool{}
	for _, o := range bind.Options() {
		given[o.Key] = o.Origin != config.FromDefault
	}
	cfg.Pilot.Run = cmp.Or(p.run, cfg.Pilot.Run)
	cfg.Pilot.Namespace = cmp.Or(p.namespace, cfg.Pilot.Namespace)
	cfg.Work.WorkDir = cmp.Or(p.workdir, cfg.Work.WorkDir, ".")
	cfg.Work.LogDir = cmp.Or(cfg.Work.LogDir, payloadlog.None) // the job's folder is left as a production worker leaves it
	if !given["dest_root"] {
		cfg.Work.Output.Roots = []string{"/"} // a production worker copies outputs to wherever the slice says
	}
	if p.idle > 0 {
		cfg.Pilot.IdleTimeout = p.idle
	} else if !given["idle_timeout"] {
		cfg.Pilot.IdleTimeout = promptIdle
	}
	if !given["first_slice_timeout"] {
		cfg.Pilot.FirstSliceTimeout = cfg.Pilot.IdleTimeout // a production worker knows one kind of idleness
	}
	cfg.Pilot.DrainTime, cfg.maxGrace = min(cfg.Pilot.DrainTime, promptDrain), promptGrace
	if cfg.JournalDir == "" {
		// Not in the job's folder, which goes with the job: the next pilot on the node has to find it.
		cfg.JournalDir = defaultJournalDir(os.TempDir(), cfg.Pilot.Namespace)
	}
}
