package harvester

import "time"

// Config is how a harvester behaves.
type Config struct {
	// Jobs is the folder of the workers' folders.
	Jobs string `toml:"-"`
	// Namespace keeps demands of others out; all when empty.
	Namespace string        `toml:"namespace" help:"only runs of this namespace"`
	Interval  time.Duration `toml:"interval" help:"time between two looks at demand and workers (default: 1s for local pilots, else 30s)"`

	MaxWorkers int `toml:"max_workers" default:"100" help:"pilots at most, waiting and running, over all runs"`
	MaxQueued  int `toml:"max_queued" default:"100" help:"pilots that wait in the batch system at most"`
	MaxSubmit  int `toml:"max_submit" default:"20" help:"pilots submitted at most in one look"`

	// ShortLife and MaxBackoff: a pilot that fails at once is not to be started thousands of times.
	ShortLife  time.Duration `toml:"short_life" default:"30s" help:"a pilot that failed sooner counts as a failed submission"`
	MaxBackoff time.Duration `toml:"max_backoff" default:"5m" help:"longest pause after failed submissions; the first is a second"`
	// ExcludeAfter and ExcludeFor: neither is a node that fails whatever is started on it.
	ExcludeAfter int           `toml:"exclude_after" default:"3" help:"a node is kept away from after so many pilots in a row failed there"`
	ExcludeFor   time.Duration `toml:"exclude_for" default:"30m" help:"for how long; twice as long with each further one, up to 16 times"`

	// LostAfter bounds what nobody knows: batch systems list a job late, and answers get lost.
	LostAfter time.Duration `toml:"lost_after" help:"a job that the batch system does not list is not given up sooner (default: 5s for local pilots, else 2m)"`
	HeldLimit time.Duration `toml:"held_limit" default:"1h" help:"a job that the batch system holds is cancelled after"`
	Keep      time.Duration `toml:"keep" default:"168h" help:"ended pilots and their folders are kept for"`
}
