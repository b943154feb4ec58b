package slurm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// Submit hands in all pilots as one array. Slurm takes all or none.
func (s *System) Submit(ctx context.Context, sub harvester.Submission) ([]string, error) {
	if sub.Count < 1 {
		return nil, nil
	}
	if sub.Ship {
		s.sweep(sub.Dir)
	}
	undo, err := makeFolders(sub)
	if err != nil {
		return nil, err
	}
	env, names := carry(sub.Env)
	out, _, err := s.feed(ctx, invocation{command: "sbatch", args: s.options(sub), env: env, stdin: s.script(sub, names)})
	if err != nil {
		if !errors.Is(err, harvester.ErrUnclear) {
			undo()
		}
		return nil, err
	}
	array, err := submitted(out)
	if err != nil {
		return nil, err
	}
	ids := make([]string, sub.Count)
	for i := range ids {
		ids[i] = array + "_" + strconv.Itoa(i)
	}
	return ids, nil
}

// submitted reads what sbatch --parsable prints: the job's id, and the cluster's name where there are several.
func submitted(out string) (string, error) {
	m := parsable.FindStringSubmatch(strings.TrimSpace(out))
	if m == nil {
		if len(out) > 400 {
			out = out[:400] + "..."
		}
		return "", exitcode.WithNext(exitcode.New(exitcode.NoBatch, "sbatch printed no job id but %q: %w", out, harvester.ErrUnclear),
			"see whether sbatch is a site's own script; bin in the [slurm] table can name another folder")
	}
	return m[1], nil
}

// parsable is the last line: a site may greet its users before.
var parsable = regexp.MustCompile(`(?:^|\n)([0-9]{1,18})(?:;[^\s;]+)?$`)

// carry packs the pilot's environment into variables that sbatch takes along without their having a meaning for itself: a PATH
// or LD_LIBRARY_PATH of the pilot's is none for sbatch. The script unpacks them.
func carry(env []string) (packed, names []string) {
	for i, v := range env {
		name := fmt.Sprintf("TFPILOT_ENV_%d", i)
		names = append(names, name)
		packed = append(packed, name+"="+v)
	}
	return packed, names
}

// options are the arguments of sbatch.
func (s *System) options(sub harvester.Submission) []string {
	folder := filepath.Join(strings.ReplaceAll(sub.Dir, "%", "%%"), sub.Tag+".%a") + "/"
	o := []string{
		"--parsable", "--job-name=" + sub.Tag, "--array=0-" + strconv.Itoa(sub.Count-1),
		"--output=" + folder + harvester.StdoutFile, "--error=" + folder + harvester.StderrFile, "--open-mode=append", "--chdir=" + sub.Dir,
		// All of an environment that we make: of any less, Slurm would run the user's login files on the node to have the rest.
		"--export=ALL",
		"--propagate=NONE", // the limits of a login node are no limits of a pilot
		"--kill-on-invalid-dep=yes", "--nodes=1", "--ntasks=1",
	}
	add := func(option, value string) {
		if value != "" {
			o = append(o, "--"+option+"="+value)
		}
	}
	number := func(n int, unit string) string {
		if n <= 0 {
			return ""
		}
		return strconv.Itoa(n) + unit
	}
	add("cpus-per-task", number(sub.Cores, ""))
	add("mem", number(sub.MemoryMB, "M"))
	add("tmp", number(sub.DiskMB, "M"))
	add("time", number(int((sub.WallTime+time.Minute-1)/time.Minute), "")) // minutes; Slurm counts no less
	// The signal may come a minute early, and must not come before the pilot has started.
	if s.cfg.Warning > 0 && sub.WallTime > s.cfg.Warning+2*time.Minute {
		add("signal", "B:USR2@"+strconv.Itoa(int(s.cfg.Warning/time.Second)))
	}
	add("partition", s.cfg.Partition)
	add("account", s.cfg.Account)
	add("qos", s.cfg.QOS)
	add("constraint", s.cfg.Constraint)
	add("reservation", s.cfg.Reservation)
	add("exclude", strings.Join(sub.Exclude, ","))
	if s.cfg.Requeue {
		o = append(o, "--requeue")
	} else {
		o = append(o, "--no-requeue")
	}
	return append(o, s.cfg.Options...)
}

// script is what Slurm keeps and runs. It ends by becoming the pilot, so that every signal reaches that.
func (s *System) script(sub harvester.Submission, names []string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/sh")
	line("# Pilots of tfpilot; the harvester has submitted them as %s.", sub.Tag)
	line(`worker=%s.$SLURM_ARRAY_TASK_ID`, quote(sub.Tag))
	line(`cd %s/"$worker" || exit %d`, quote(sub.Dir), exitcode.SiteNoSpace.Code)
	program := sub.Path
	if sub.Ship {
		program = "./" + filepath.Base(sub.Path)
		line(ship, quote(s.cfg.Scratch), exitcode.SiteNoSpace.Code, quote(shipped(sub)))
	}
	ofSbatch := slices.DeleteFunc(slices.Clone(kept), func(name string) bool { return name == slurmConf })
	line("unset %s %s SLURM_EXPORT_ENV SLURM_TIME_FORMAT LC_ALL", strings.Join(ofSbatch, " "), proc.Mark)
	// With it the pilot finds squeue's answer and KillWait, where the site has them elsewhere than Slurm looks.
	line(`[ -r "$%s" ] || unset %s`, slurmConf, slurmConf)
	for _, name := range names {
		line(`export "$%s"; unset %s`, name, name)
	}
	line(`export %s=slurm %s="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" %s="$worker"`, harvester.EnvBatchSystem, harvester.EnvBatchID, harvester.EnvWorkerID)
	if sub.WallTime > 0 {
		line("export %s=%s", harvester.EnvWallTime, sub.WallTime)
	}
	b.WriteString("exec " + quote(program))
	for _, a := range sub.Args {
		b.WriteString(" " + quote(a))
	}
	b.WriteString("\n")
	return b.String()
}

// ship makes a working folder on the node's own disk and takes the program and its files there. Nobody can remove it when the
// pilot has ended, which this script has become: the next one does, when the lock on it is gone with its holder. It gets its name
// when it is locked: several pilots start at once on a node, and each would clear away what another has only just made. A link in
// the folder's place is somebody else's, whoever owns what it names.
const ship = `scratch=%s
scratch=${scratch:-${TMPDIR:-/tmp}}/tfpilot-$(id -u)
failed() { echo "slurm: $*" >&2; exit %d; }
mkdir -p -m 700 "$scratch" && [ ! -L "$scratch" ] && [ -O "$scratch" ] || failed "$scratch is not ours on $(uname -n)"
for old in "$scratch"/*; do
	if [ -e "$old/.lock" ]; then flock --nonblock "$old/.lock" rm -rf "$old" 2>/dev/null; fi # another one may be faster
done
mkdir -p "$scratch/.$worker" && cd "$scratch/.$worker" && exec 9>.lock && flock --nonblock 9 &&
	mv -T "$scratch/.$worker" "$scratch/$worker" && cd "$scratch/$worker" || failed "no working folder in $scratch on $(uname -n)"
cp -pR %s/. . || failed "copying to $scratch on $(uname -n)"`

// quote makes one word of the shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
