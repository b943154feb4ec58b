package demand

import (
	"math"
	"time"
)

const (
	// defaultStartup is what a worker takes to start while nobody knows.
	defaultStartup = 30 * time.Second
	// enough is how many times have to be known before they count for more than what the producer guessed.
	enough = 5

	// likely is how many standard deviations chance stays below nine times in ten. Once in ten the queue may become longer than was
	// thought: that is seen a moment later, and mended in the time of a start.
	likely = 1.28
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
	chance    float64 // variance of the work that comes in a second
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
	o.room = max(0, p.Goal-high).Seconds()
	startup := r.Startup.Median
	if r.Startup.N == 0 {
		startup = max(r.Request.RampUp, defaultStartup)
	}
	o.startup = startup.Seconds()
	o.rampDown = max(p.RampDown, r.Request.RampDown, startup)
	o.busy, o.spread = o.rate*o.slice, r.Arrived.Spread*o.slice
	deviation := r.Processing.Spread.Seconds()
	o.chance = o.rate * (max(1, r.Arrived.Uneven)*o.slice*o.slice + deviation*deviation)
	o.queued = float64(r.Waiting) * o.slice
	return o
}

// wait is for how long a queue would take the slots that there are, or that what comes needs.
func (o outlook) wait(queued float64) float64 {
	return max(0, queued) / max(o.busy, o.have, o.perWorker)
}

// ahead is the queue as it will be when workers that are asked for now could have started, if those that are wanted already come
// meanwhile.
func (o outlook) ahead(wanted int) float64 {
	coming := float64(wanted) * o.perWorker
	if coming > o.have {
		coming = (o.have + coming) / 2
	}
	return max(0, o.queued+(o.busy-coming)*o.startup)
}

// luck is by how much the work that comes in some seconds stays below more than is expected, nine times in ten: that of each second
// varies, and the rate may be another than was measured.
func (o outlook) luck(time float64) float64 {
	return likely * math.Sqrt(o.chance*time+o.spread*time*o.spread*time)
}

// need is how many workers are needed, in parts of one, and how many of those that are wanted have to stay.
func (p Policy) need(o outlook, wanted int) (need, stay float64) {
	queued, goal := o.ahead(wanted), p.Goal.Seconds()
	// What waits when they have started, and what comes in the time of a slice, or of a start, is to be within the goal after that,
	// with luck that is bad, too. A queue may stay: it keeps workers busy.
	soon := max(goal-o.room, o.startup)
	need = (queued + o.busy*soon + o.luck(o.startup+soon)) / (soon + o.room)
	// A queue that is long for certain, beyond half of the time that there is, is brought back in the time of a goal, however long a
	// start takes.
	need = max(need, o.busy+(queued-o.room*o.busy/2)/goal)
	// Nobody leaves whom the queue could be done with in that time, or who would be missed before another could start.
	stay = o.busy + queued/max(goal, o.startup)
	return need / o.perWorker, max(need, stay) / o.perWorker
}
