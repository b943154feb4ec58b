package chaos

import (
	"errors"
	"fmt"
	"net"
	"time"

	"tfpilot/internal/exitcode"
)

// Config says what is broken, and how much work meanwhile goes through the chain. The zero value is every short fault on
// the embedded broker.
type Config struct {
	Out          string        `toml:"out" default:"chaos-out" help:"folder for the report and all state; a former one's is replaced"`
	Faults       []string      `toml:"faults" default:"short" help:"names of faults, or short, long, all"`
	Seed         uint64        `toml:"seed" default:"1" help:"seed of the schedule: the same seed breaks the same things at the same points"`
	Slices       int           `toml:"slices" default:"600" help:"slices per fault"`
	Pilots       int           `toml:"pilots" default:"3" help:"pilots at once; one that a fault ends is replaced"`
	Slots        int           `toml:"slots" default:"1" help:"slots of each pilot"`
	Work         time.Duration `toml:"work" default:"50ms" help:"time that a payload takes for a slice"`
	HeartBeat    time.Duration `toml:"heart_beat" default:"1s" help:"heart-beat interval of the links to the broker"`
	RecoverLimit time.Duration `toml:"recover_limit" default:"5s" help:"time from the end of a fault in which there has to be a new result"`
	Limit        time.Duration `toml:"limit" default:"3m" help:"time in which a run has to end, beside the fault's own"`

	Broker        string `toml:"broker" help:"host:port of a broker that runs already; an embedded one is started otherwise"`
	Login         string `toml:"login" help:"login at that broker"`
	PasscodeFile  string `toml:"passcode_file" help:"file with the passcode at that broker"`
	Passcode      string `toml:"passcode" secret:"true" help:"the passcode itself"`
	BrokerKill    string `toml:"broker_kill" help:"program that kills that broker with -9; without it kill-broker is left out"`
	BrokerStart   string `toml:"broker_start" help:"program that starts that broker again and returns when it listens"`
	BrokerPIDFile string `toml:"broker_pid_file" help:"file with that broker's process id; without it freeze-broker is left out"`
}

// slicesPerSTF is how many slices daq cuts from an STF.
const slicesPerSTF = 20

// Validate names every value that makes no sense.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		name            string
		value, min, max int
	}{{"slices", c.Slices, slicesPerSTF, 1_000_000}, {"pilots", c.Pilots, 1, 100}, {"slots", c.Slots, 1, 1000}} {
		if n.value < n.min || n.value > n.max {
			errs = append(errs, fmt.Errorf("--%s %d: must be from %d to %d", n.name, n.value, n.min, n.max))
		}
	}
	if c.Slices%slicesPerSTF != 0 {
		errs = append(errs, fmt.Errorf("--slices %d: must be a multiple of %d, the slices of an STF", c.Slices, slicesPerSTF))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"work", c.Work}, {"heart-beat", c.HeartBeat}, {"recover-limit", c.RecoverLimit}, {"limit", c.Limit}} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("--%s %s: must be positive", d.name, d.value))
		}
	}
	if _, err := chosen(c.Faults); err != nil {
		errs = append(errs, err)
	}
	if (c.BrokerKill == "") != (c.BrokerStart == "") {
		errs = append(errs, errors.New("--broker-kill and --broker-start go together"))
	}
	if c.Broker == "" && (c.BrokerKill != "" || c.BrokerPIDFile != "" || c.Login != "" || c.PasscodeFile != "") {
		errs = append(errs, errors.New("--login, --passcode-file, --broker-kill, --broker-start and --broker-pid-file go with --broker"))
	}
	if c.Broker != "" {
		if _, _, err := net.SplitHostPort(c.Broker); err != nil {
			errs = append(errs, fmt.Errorf("--broker %q is not host:port", c.Broker))
		}
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}
