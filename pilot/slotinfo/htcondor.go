package slotinfo

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// condor is a job of HTCondor, which leaves two files beside it: the ad of the job and that of the machine. Nothing is asked: the
// schedd is seldom to be reached from a node.
type condor struct {
	m            Machine
	job, machine ad
}

// condorOf is the job that the environment speaks of, nil for none.
func condorOf(m Machine) batch {
	job, machine := m.Getenv("_CONDOR_JOB_AD"), m.Getenv("_CONDOR_MACHINE_AD")
	if job == "" && machine == "" {
		return nil
	}
	return &condor{m, parseAd(m.read(job)), parseAd(m.read(machine))}
}

// ad is a ClassAd in its old form, a line for each attribute. Names are in lower case, because HTCondor does not tell it apart.
type ad map[string]string

func parseAd(text string) ad {
	a := ad{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, "="); ok {
			a[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return a
}

// text is a text, or whatever else stands there.
func (a ad) text(name string) string {
	v := a[strings.ToLower(name)]
	if s, err := strconv.Unquote(v); err == nil {
		return s
	}
	return v
}

// number is a number above 0; ok is false for none, and for an expression, which only HTCondor itself could work out.
func (a ad) number(name string) (int64, bool) {
	f, err := strconv.ParseFloat(a[strings.ToLower(name)], 64)
	return int64(f), err == nil && f >= 1 && f < 1e15
}

// condorLimits are the attributes that bound the time of a job, from its start. The first is HTCondor's own; the others are what
// sites and their entries (HTCondor-CE) call it.
var condorLimits = []struct {
	name string
	unit time.Duration
}{
	{"AllowedExecuteDuration", time.Second},
	{"AllowedJobDuration", time.Second},
	{"MaxWallTimeMins", time.Minute},
	{"MaxWallTime", time.Minute},
	{"BatchRuntime", time.Second},
}

// condorEnds are attributes of the machine with a point in time at which it goes away: of HTCondor itself, and of glideins.
var condorEnds = []string{"DaemonStopTime", "GLIDEIN_ToDie"}

func (j *condor) look(s *Slot) looked {
	l := looked{system: "htcondor", id: j.job.text("ClusterId") + "." + j.job.text("ProcId")}
	note := func(name string, a ad, where, attribute string) {
		if v := a.text(attribute); v != "" {
			l.facts = append(l.facts, document.SlotFact{Name: name, Value: v, Source: where + " " + attribute, Counts: true})
		}
	}
	const jobAd, machineAd = "_CONDOR_JOB_AD", "_CONDOR_MACHINE_AD"
	note("node", j.machine, machineAd, "Machine")
	note("slot", j.machine, machineAd, "Name")
	note("restarts", j.job, jobAd, "NumJobStarts")
	if n, ok := j.machine.number("Cpus"); ok {
		l.cores = append(l.cores, amount{n, machineAd + " Cpus"})
	}
	if n, ok := j.machine.number("Memory"); ok {
		l.memory = append(l.memory, amount{n * mega, machineAd + " Memory"})
	}
	if n, ok := j.machine.number("MachineMaxVacateTime"); ok {
		l.kill = append(l.kill, amount{int64(times(n, time.Second)), machineAd + " MachineMaxVacateTime"})
	}
	if n, ok := j.job.number("JobMaxVacateTime"); ok {
		l.kill = append(l.kill, amount{int64(times(n, time.Second)), jobAd + " JobMaxVacateTime"})
	}
	for _, limit := range condorLimits {
		if n, ok := j.job.number(limit.name); ok {
			e := in(times(n, limit.unit)-s.used(), jobAd+" "+limit.name)
			s.set(e.source, &e)
		}
	}
	for _, name := range condorEnds {
		over, ok := j.machine.number(name)
		if !ok {
			continue
		}
		e := end{source: machineAd + " " + name, cause: exitcode.Walltime, at: time.Unix(over, 0), absolute: true}
		// The ad was written when the job came, and says what time it was then for HTCondor.
		if then, ok := j.machine.number("MyCurrentTime"); ok && s.ofJob {
			left, doubt := steady(e.left(0), times(over-then, time.Second)-s.used(), true)
			e = in(left, e.source+doubt)
		}
		s.set(name, &e)
	}
	return l
}

// ask has nothing to ask.
func (j *condor) ask(context.Context, *Slot) error { return nil }

// taken says no more than that it was HTCondor: it sends the same signal for removal, hold and vacation (remove_kill_sig goes for all
// three, measured with 23.9), and lets the job read of none of them. The schedd knows, and with it the harvester.
func (j *condor) taken(context.Context) error {
	return exitcode.New(exitcode.Preempted, "HTCondor takes the slot back")
}
