package slotinfo

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// slurm is a job of Slurm. Its environment says little of the end (22.05: nothing), so squeue is asked.
type slurm struct {
	m  Machine
	id string
}

// slurmOf is the job that the environment speaks of, nil for none.
func slurmOf(m Machine) batch {
	if id := m.Getenv("SLURM_JOB_ID"); id != "" {
		return &slurm{m, id}
	}
	return nil
}

const keySlurm = "slurm"

func (j *slurm) look(s *Slot) looked {
	l := looked{system: "slurm", id: j.id}
	note := func(name, variable string) {
		if v := j.m.Getenv(variable); v != "" {
			l.facts = append(l.facts, document.SlotFact{Name: name, Value: v, Source: variable, Counts: true})
		}
	}
	note("node", "SLURMD_NODENAME")
	note("queue", "SLURM_JOB_PARTITION")
	note("cluster", "SLURM_CLUSTER_NAME")
	note("restarts", "SLURM_RESTART_COUNT")
	number := func(variable string) int64 { n, _ := whole(j.m.Getenv(variable)); return n }
	cores := number("SLURM_CPUS_ON_NODE")
	if cores > 0 {
		l.cores = append(l.cores, amount{cores, "SLURM_CPUS_ON_NODE"})
	}
	if n := number("SLURM_CPUS_PER_TASK"); n > 0 && j.inStep() {
		l.cores = append(l.cores, amount{n, "SLURM_CPUS_PER_TASK"})
		cores = n
	}
	if n := number("SLURM_MEM_PER_NODE"); n > 0 {
		l.memory = append(l.memory, amount{n * mega, "SLURM_MEM_PER_NODE"})
	}
	if n := number("SLURM_MEM_PER_CPU"); n > 0 && cores > 0 {
		l.memory = append(l.memory, amount{n * max(cores, 1) * mega, "SLURM_MEM_PER_CPU"})
	}
	l.kill = []amount{j.killWait()}
	if start, end := number("SLURM_JOB_START_TIME"), number("SLURM_JOB_END_TIME"); end > 0 {
		j.endAt(s, start, end)
	}
	return l
}

// inStep says that we are a task of srun: the process of the step is then younger than the job.
func (j *slurm) inStep() bool { return j.m.Getenv("SLURM_STEP_ID") != "" }

// endAt takes the end of the job from the environment, until squeue has answered.
func (j *slurm) endAt(s *Slot, start, over int64) {
	clock := end{source: "SLURM_JOB_END_TIME", cause: exitcode.Walltime, at: time.Unix(over, 0), absolute: true}
	if start > 0 && over > start && s.ofJob && !j.inStep() {
		left, doubt := steady(clock.left(0), times(over-start, time.Second)-s.used(), true)
		clock = in(left, "SLURM_JOB_END_TIME"+doubt)
	}
	s.set(keySlurm, &clock)
}

// slurmConfigs are where slurm.conf lies, beside SLURM_CONF.
var slurmConfigs = []string{"/etc/slurm/slurm.conf", "/run/slurm/conf/slurm.conf", "/etc/slurm-llnl/slurm.conf"}

// killWait is the time between SIGTERM and SIGKILL. The controller would know it too, but need not be asked for what a file says.
func (j *slurm) killWait() amount {
	files := slurmConfigs
	if f := j.m.Getenv("SLURM_CONF"); f != "" {
		files = append([]string{f}, files...)
	}
	for _, file := range files {
		for line := range strings.Lines(j.m.read(file)) {
			for field := range strings.FieldsSeq(line) {
				if strings.HasPrefix(field, "#") {
					break
				}
				key, value, _ := strings.Cut(field, "=")
				if n, ok := whole(value); ok && strings.EqualFold(key, "KillWait") {
					return amount{int64(times(n, time.Second)), "KillWait of " + file}
				}
			}
		}
	}
	return amount{int64(30 * time.Second), "Slurm's own default of KillWait"}
}

// ask asks for the time left and the time limit: the limit may be changed while the job runs.
func (j *slurm) ask(ctx context.Context, s *Slot) error {
	out, err := j.m.ask(ctx, "squeue", "-h", "-j", j.id, "-o", "%A %L %l")
	if err != nil {
		return err
	}
	f := j.own(out, 3)
	if f == nil {
		return exitcode.New(exitcode.NoBatch, "squeue does not know job %s", j.id)
	}
	leftText, limitText := f[1], f[2]
	limit, limited := slurmDuration(limitText)
	if !limited {
		s.set(keySlurm, nil) // UNLIMITED, or no limit that anybody knows
		return nil
	}
	left, source := limit-s.used(), "squeue, time limit of "+limit.String()
	if clock, ok := slurmDuration(leftText); ok || leftText == "INVALID" { // which is what is said of a job past its time
		if counted := left - s.stood(); (clock - counted).Abs() <= agreement {
			left = counted // Slurm was not the one who stopped us
		}
		var doubt string
		left, doubt = steady(clock, left, s.ofJob && !j.inStep())
		source += doubt
	}
	e := in(left, source)
	s.set(keySlurm, &e)
	return nil
}

// own are the fields of our job in what squeue prints, of which the first is an id; nil when it is not there. One task of an array has
// the id of the whole array, and is asked for with all the others.
func (j *slurm) own(out string, fields int) []string {
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= fields && f[0] == j.id {
			return f
		}
	}
	return nil
}

// slurmDuration reads [days-]hours:minutes:seconds and its shorter forms; ok is false for words such as UNLIMITED.
func slurmDuration(text string) (d time.Duration, ok bool) {
	text = strings.TrimSpace(text)
	days, clock, hasDays := strings.Cut(text, "-")
	if !hasDays {
		days, clock = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, false
	}
	d = time.Duration(n) * 24 * time.Hour
	parts := strings.Split(clock, ":")
	units := []time.Duration{time.Hour, time.Minute, time.Second}
	switch {
	case len(parts) > len(units):
		return 0, false
	case !hasDays: // 5:00 is minutes and seconds; 1-5 is days and hours
		units = units[len(units)-max(len(parts), 2):]
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return 0, false
		}
		d += time.Duration(n) * units[i]
	}
	return d, true
}

// taken asks what became of the job. While its processes are being ended its state is COMPLETING whatever the reason: that has to
// be read from the traces that each leaves (measured with 22.05 and 24.11).
func (j *slurm) taken(ctx context.Context) error {
	out, err := j.m.ask(ctx, "squeue", "-h", "-t", "all", "-j", j.id, "-O", "JobID:20,State:40,Reason:40,PreemptTime:40,RestartCnt:20")
	const state, reason, preempted, restarts = 1, 2, 3, 4
	f := j.own(out, restarts+1)
	if err != nil || f == nil {
		return nil //nolint:nilerr // the signal itself is all that is known then
	}
	now, _ := whole(f[restarts])
	then, _ := whole(j.m.Getenv("SLURM_RESTART_COUNT"))
	switch {
	case f[state] == "TIMEOUT", f[reason] == "TimeLimit":
		return exitcode.New(exitcode.Walltime, "Slurm ends the job at its time limit")
	case f[state] == "PREEMPTED", f[preempted] != "N/A" && f[preempted] != "None":
		return exitcode.New(exitcode.Preempted, "Slurm preempts the job")
	case now > then:
		return exitcode.New(exitcode.Preempted, "the job is requeued in Slurm")
	case f[state] == "CANCELLED", f[state] == "COMPLETING":
		return exitcode.New(exitcode.Cancelled, "the job is cancelled in Slurm")
	}
	return nil // it goes on, for Slurm: somebody has sent the signal by hand
}
