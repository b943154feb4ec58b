package demand

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Policy is how it is decided.
type Policy struct {
	Goal time.Duration `toml:"goal" default:"30s" help:"time from data taken to result that is aimed at; a shorter one takes more workers"`
	// RampUp and RampDown keep it from flapping.
	RampUp   time.Duration `toml:"ramp_up" default:"5s" zero:"true" help:"more workers are wanted when more were needed for so long"`
	RampDown time.Duration `toml:"ramp_down" default:"30s" zero:"true" help:"fewer workers are wanted when fewer were needed for so long, or for as long as a worker takes to start"`
	Hold     time.Duration `toml:"hold" default:"5m" zero:"true" help:"time for which an open run keeps its workers while no slice comes, as when the detector stands by"`
	GiveUp   time.Duration `toml:"give_up" default:"1h" zero:"true" help:"time without a slice after which an open run wants no workers until one comes: its producer may be gone; never with 0"`
	MaxRun   int           `toml:"max_run" help:"workers of one run at most (default: twice as many as it asked for)"`
	MaxAll   int           `toml:"max_all" help:"workers of all runs at most (default: as many as the sites let us have)"`
	Warm     int           `toml:"warm" help:"workers kept ready between runs, for whichever comes next"`
	// Costs are read by [Policy.Cost].
	Costs []string `toml:"costs" help:"what a worker costs at a site, each SITE=NUMBER; cheaper sites come first, those that are not named cost 1"`
}

// Validate names everything that is wrong, but for what no option of a program can be: less than nothing.
func (p Policy) Validate() error {
	var errs []error
	if p.Goal <= 0 {
		errs = append(errs, fmt.Errorf("--demand-goal %s is not longer than nothing", p.Goal))
	}
	for _, text := range p.Costs {
		if _, _, err := readCost(text); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// readCost understands SITE=NUMBER.
func readCost(text string) (site string, cost float64, err error) {
	site, number, ok := strings.Cut(text, "=")
	cost, err = strconv.ParseFloat(number, 64)
	if !ok || site == "" || err != nil || !(cost > 0 && cost < 1e9) {
		return "", 0, fmt.Errorf("--demand-costs: %q is not SITE=NUMBER with a number above 0", text)
	}
	return site, cost, nil
}

// Cost is what a worker costs at a site.
func (p Policy) Cost(site string) float64 {
	for _, text := range p.Costs {
		if name, cost, err := readCost(text); err == nil && name == site {
			return cost
		}
	}
	return 1
}
