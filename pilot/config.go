package pilot

import (
	"errors"
	"fmt"
	"time"

	"tfpilot/internal/exitcode"
)

// Config is how a pilot behaves. Zero means zero: [config.Defaults] sets the defaults.
type Config struct {
	Run       string `toml:"run" help:"run number; without one the run of the first slice"`
	Namespace string `toml:"namespace" help:"namespace: messages of others are left alone"`
	Slots     Slots  `toml:"slots" default:"1" help:"payloads at once; auto for as many as cores and memory of the slot hold"`
	// Ahead bounds what a slot holds beyond the slice that it works on while payloads take less time than the broker's answers.
	Ahead int `toml:"ahead" default:"32" zero:"true" help:"slices that a slot may hold ahead while payloads are quicker than the broker's answers; 0 for none"`
	// IdleTimeout counts on a proven link, after the first slice, unless idds says that the run is open.
	IdleTimeout time.Duration `toml:"idle_timeout" default:"2m" help:"leave after this long without a slice, unless idds says that the run is open or ending"`
	// FirstSliceTimeout is the same before the first slice.
	FirstSliceTimeout time.Duration `toml:"first_slice_timeout" default:"10m" help:"leave after this long when no slice comes at all, unless idds says that the run is open or ending"`
	// BrokerTimeout counts while there is no connection and no payload under way.
	BrokerTimeout time.Duration `toml:"broker_timeout" default:"10m" zero:"true" help:"leave after this long without a broker; 0 waits for ever"`
	// StopQuiet is how long no slice may come after stop_transformer. A pilot that was idle when it came leaves at once.
	StopQuiet time.Duration `toml:"stop_quiet" default:"5s" zero:"true" help:"leave after the stop message and this long without a slice; an idle pilot leaves at once"`
	Heartbeat time.Duration `toml:"heartbeat" default:"5s" help:"time between two reports to idds"`
	// DrainTime is how long a signal lets payloads go on.
	DrainTime time.Duration `toml:"drain_time" default:"10s" zero:"true" help:"time that a signal leaves to payloads under way"`
	// SiteHold measures the patience with a site that fails: a slot rests for a tenth of it after the first failure, then for
	// twice as long each time, up to ten times of it.
	SiteHold time.Duration `toml:"site_hold" default:"10s" help:"a slot rests after failures of the site, from a tenth of this, doubled each time, to ten times this"`
	// MaxReleases counts those of one slice at least SiteHold apart.
	MaxReleases int           `toml:"max_releases" default:"3" help:"releases of one slice for the site's sake, each --site-hold apart, before it is published as failed"`
	ResultTTL   time.Duration `toml:"result_ttl" default:"12h" help:"time after which the broker may drop a result"`
	// SliceTime is what is expected of a slice before there has been one.
	SliceTime time.Duration `toml:"slice_time" default:"10s" zero:"true" help:"time that a slice is expected to take, until there have been some"`
	// EndReserve is for ending payloads, publishing, giving back and leaving.
	EndReserve  time.Duration `toml:"end_reserve" default:"15s" zero:"true" help:"time before the end of the slot at which the pilot begins to leave, whatever is under way"`
	BatchSystem string        `toml:"batch_system" help:"batch system that runs the pilot, set by the harvester (default: what the environment says)"`
	BatchID     string        `toml:"batch_id" help:"the pilot's id there, set by the harvester (default: what the environment says)"`
	WorkerID    string        `toml:"worker_id" help:"the pilot's id with the harvester, which sets it"`
	Site        string        `toml:"site" help:"the harvester's name for the queue that the pilot came through, set by it"`
	SubmittedAt string        `toml:"submitted_at" help:"when the harvester submitted the pilot (RFC 3339), set by it"`
	// ID names the pilot; one is made when it is empty.
	ID string `toml:"-"`
	// NodeHold and NodeEvery are what it does about a node that is not fit; which tests there are is not its own.
	NodeHold  time.Duration `toml:"node_hold" default:"10m" zero:"true" help:"time that a pilot holds the slot of a node that fails a test, testing again, before it leaves"`
	NodeEvery time.Duration `toml:"node_every" default:"10m" zero:"true" help:"time between two examinations of the node; 0 for the one before the first slice alone"`
}

// Validate names every option that makes no sense.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		option         string
		value, low, up int
	}{
		{"ahead", c.Ahead, 0, aheadMost},
		{"max-releases", c.MaxReleases, 1, 1000},
	} {
		if n.value < n.low || n.value > n.up {
			errs = append(errs, fmt.Errorf("--%s %d: must be %d to %d", n.option, n.value, n.low, n.up))
		}
	}
	if c.Slots != AutoSlots && (c.Slots < 1 || c.Slots > maxSlots) {
		errs = append(errs, fmt.Errorf("--slots %d: must be auto or 1 to %d", int(c.Slots), maxSlots))
	}
	for _, d := range []struct {
		option     string
		value, low time.Duration
	}{
		{"idle-timeout", c.IdleTimeout, time.Millisecond},
		{"first-slice-timeout", c.FirstSliceTimeout, time.Millisecond},
		{"broker-timeout", c.BrokerTimeout, 0},
		{"stop-quiet", c.StopQuiet, 0},
		{"heartbeat", c.Heartbeat, time.Millisecond},
		{"drain-time", c.DrainTime, 0},
		{"site-hold", c.SiteHold, time.Millisecond},
		{"result-ttl", c.ResultTTL, time.Second},
		{"node-hold", c.NodeHold, 0},
		{"node-every", c.NodeEvery, 0},
		{"slice-time", c.SliceTime, 0},
		{"end-reserve", c.EndReserve, 0},
	} {
		if d.value < d.low {
			errs = append(errs, fmt.Errorf("--%s %s: must be at least %s", d.option, d.value, d.low))
		}
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}
