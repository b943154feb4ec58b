package demand

import "time"

const (
	// defaultStartup is what a worker takes to start while nobody knows.
	defaultStartup = 30 * time.Second
	// enough is how many times have to be known before they count for more than what the producer guessed.
	enough = 5

	// patience is the share of the time for waiting after which more workers are needed, target the share that they are to bring it
	// to. Below the target less is needed than what comes takes: the queue may grow to it.
	patience, target = 0.6, 0.25
	// hurry is how far beyond the time for waiting the queue has to be for the answer to be as quick as it can be.
	hurry = 1.5
)

// outlook is a run in slots and seconds.
type outlook struct {
	perWorker float64 // slots of a worker
	rate      float64 // slices that come in a second
	slice     float64 // seconds of one
	guessed   bool    // nobody has measured that yet
	room      float64 // seconds that a slice may wait
	startup   float64
	busy      float64 // slots that what comes keeps busy
	spread    float64 // by how many that may be off
	have      float64 // slots of ready workers
	queued    float64 // seconds of slots in the queue
	rampDown  time.Duration
}

func (p Policy) outlook(r *Run) outlook {
	o := outlook{perWorker: 1, rate: r.Arrived.PerSecond}
	if r.State != openState && r.Announced == 0 { // nothing more comes
		o.rate = 0
	}
	ready, slots := 0, 0
	for _, w := range r.Workers {
		ready, slots = ready+w.Ready, slots+w.Slots
	}
	if o.have = float64(slots); ready > 0 {
		o.perWorker = max(1, o.have/float64(ready))
	}
	mean, high := r.Processing.Mean, r.Processing.High
	if o.guessed = r.Processing.N < enough; o.guessed {
		mean, high = max(mean, r.Request.ProcessingTime), max(high, r.Request.ProcessingTime)
	}
	o.slice = mean.Seconds()
	o.room = max(p.Goal/5, p.Goal-high).Seconds()
	startup := r.Startup.Median
	if r.Startup.N == 0 {
		startup = max(r.Request.RampUp, defaultStartup)
	}
	o.startup = startup.Seconds()
	o.rampDown = max(p.RampDown, r.Request.RampDown, 2*startup)
	o.busy, o.spread = o.rate*o.slice, r.Arrived.Spread*o.slice
	o.queued = float64(r.Waiting) * o.slice
	return o
}

// wait is for how long a queue would take the slots that there are, or that what comes needs.
func (o outlook) wait(queued float64) float64 {
	return max(0, queued) / max(o.busy, o.have, o.perWorker)
}

// ahead is the queue as it will be when workers that are asked for now could have started, if those that are wanted already come
// meanwhile. What may be chance is no growth.
func (o outlook) ahead(wanted int) float64 {
	coming := (o.have + max(o.have, float64(wanted)*o.perWorker)) / 2
	return o.queued + max(0, o.busy-2*o.spread-coming)*o.startup
}

// need is how many workers are needed, in parts of one. more says that those that are wanted do not do.
func (p Policy) need(o outlook, wanted int) (need float64, more bool) {
	queued := o.ahead(wanted)
	wait := o.wait(queued)
	// Within the goal there is time until workers, once asked for, are let go again. What comes too late is to be brought back as
	// soon as it can be: not before they have started.
	slow := max(o.rampDown.Seconds(), p.Goal.Seconds())
	quick := max(p.Goal.Seconds()/2, o.startup)
	urgency := min(1, max(0, (wait-o.room)/((hurry-1)*o.room)))
	within := slow + (quick-slow)*urgency
	// The longer a start takes, the less can be mended in time when fewer were wanted than turn out to be needed.
	caution := o.spread * min(1, o.startup/(4*p.Goal.Seconds()))
	return (o.busy + caution + (queued-o.busy*o.room*target)/within) / o.perWorker, wait > o.room*patience
}
