package slurm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// Check looks at the commands, the controller, the partition, what accounting there is, the state folder, and asks Slurm
// whether it would take a pilot.
func (s *System) Check(ctx context.Context) []harvester.Finding {
	commands := s.checkCommands(ctx)
	if !commands.OK {
		return []harvester.Finding{commands}
	}
	controller := s.checkController(ctx)
	findings := []harvester.Finding{commands, controller}
	if controller.OK {
		findings = append(findings, s.checkPartition(ctx), s.checkAccounting(ctx), s.checkSubmit(ctx))
	}
	if s.cfg.Jobs != "" {
		findings = append(findings, checkFolder(s.cfg.Jobs))
	}
	return findings
}

// found makes a finding of what was found or of an error.
func found(what, detail string, err error) harvester.Finding {
	if err != nil {
		return harvester.Finding{What: what, Detail: err.Error(), Next: exitcode.Next(err)}
	}
	return harvester.Finding{What: what, OK: true, Detail: detail}
}

func (s *System) checkCommands(ctx context.Context) harvester.Finding {
	version := ""
	for _, command := range []string{"sbatch", "squeue", "scancel", "sacct", "scontrol", "sinfo"} {
		out, err := s.run(ctx, command, "--version")
		if err != nil {
			return found("commands", "", err)
		}
		version = strings.TrimSpace(out)
	}
	return found("commands", version, nil)
}

func (s *System) checkController(ctx context.Context) harvester.Finding {
	out, err := s.run(ctx, "scontrol", "ping")
	return found("controller", oneLine(out), err)
}

// checkPartition compares the partition with what a pilot asks for.
func (s *System) checkPartition(ctx context.Context) harvester.Finding {
	args := []string{"--noheader", "--format=%P|%a|%l|%c|%m|%D|%T"}
	what := "partition"
	if s.cfg.Partition != "" {
		args = append(args, "--partition="+s.cfg.Partition)
		what += " " + s.cfg.Partition
	}
	out, err := s.run(ctx, "sinfo", args...)
	if err != nil {
		return found(what, "", err)
	}
	var lines [][]string
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) == 7 && (s.cfg.Partition != "" || strings.HasSuffix(f[0], "*")) {
			lines = append(lines, f)
		}
	}
	switch {
	case len(lines) == 0 && s.cfg.Partition == "":
		return found(what, "", exitcode.WithNext(errors.New("the cluster has no default partition"), nextPartition))
	case len(lines) == 0:
		return found(what, "", exitcode.WithNext(errors.New("there is no such partition"), nextPartition))
	}
	if s.cfg.Partition == "" {
		what += " " + strings.TrimSuffix(lines[0][0], "*") + ", the default"
	}
	err = s.fits(lines)
	detail := fmt.Sprintf("%s, time limit %s, %s nodes of %s cores and %s MB (%s)", lines[0][1], lines[0][2], lines[0][5], lines[0][3], lines[0][4], lines[0][6])
	return found(what, detail, err)
}

// fits says why no node of a partition, in lines of sinfo, would take a pilot.
func (s *System) fits(lines [][]string) error {
	want := s.cfg.Resources
	if state := lines[0][1]; state != "up" {
		return exitcode.WithNext(fmt.Errorf("it takes no jobs now, it is %s", state), nextClosed)
	}
	if limit, ok := timeLimit(lines[0][2]); ok && want.WallTime > limit {
		return exitcode.WithNext(fmt.Errorf("its time limit is %s, a pilot asks for %s", limit, want.WallTime), nextTime)
	}
	usable := false
	for _, f := range lines {
		cores, _ := strconv.Atoi(strings.TrimSuffix(f[3], "+"))
		memory, _ := strconv.Atoi(strings.TrimSuffix(f[4], "+"))
		more := strings.HasSuffix(f[3], "+") || strings.HasSuffix(f[4], "+") // others of the line have more
		if !more && (cores < want.Cores || memory < want.MemoryMB) {
			continue
		}
		if !strings.HasPrefix(f[6], "down") && !strings.HasPrefix(f[6], "drain") && !strings.HasSuffix(f[6], "*") {
			return nil
		}
		usable = true
	}
	if usable {
		return exitcode.WithNext(errors.New("all its nodes that are large enough are down or drained"), "`sinfo -R` tells why")
	}
	return exitcode.WithNext(fmt.Errorf("no node has %d cores and %d MB", want.Cores, want.MemoryMB), nextResources)
}

// timeLimit reads 5:00, 2:00:00, 1-00:00:00; ok is false for none.
func timeLimit(text string) (limit time.Duration, ok bool) {
	days, rest, hasDays := strings.Cut(text, "-")
	if !hasDays {
		days, rest = "0", text
	}
	n, err := strconv.Atoi(days)
	if err != nil {
		return 0, false
	}
	limit = time.Duration(n) * 24 * time.Hour
	unit := time.Second
	for _, part := range slices.Backward(strings.Split(rest, ":")) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return 0, false
		}
		limit += time.Duration(n) * unit
		unit *= 60
	}
	return limit, true
}

// checkAccounting says what will be known of pilots that have ended. None at all is no mistake.
func (s *System) checkAccounting(ctx context.Context) harvester.Finding {
	_, err := s.run(ctx, "sacct", "--noheader", "--parsable2", "--allocations", "--jobs=1", "--format=JobID")
	if !errors.Is(err, errNoAccounting) {
		return found("accounting", "sacct tells how pilots ended", err)
	}
	out, err := s.run(ctx, "scontrol", "show", "config")
	keeps := "for MinJobAge seconds"
	if m := minJobAge.FindStringSubmatch(out); m != nil {
		keeps = "for " + m[1] + " s"
	}
	return found("accounting", "none: how a pilot ended is known only as long as the controller remembers it, "+keeps+"; look more often than that", err)
}

var minJobAge = regexp.MustCompile(`MinJobAge\s*=\s*([0-9]+)`)

// checkSubmit asks Slurm what it would do with a pilot.
func (s *System) checkSubmit(ctx context.Context) harvester.Finding {
	sub := harvester.Submission{Tag: harvester.TagPrefix + "check", Count: 1, Dir: "/", Path: "/bin/true", Resources: s.cfg.Resources}
	_, said, err := s.feed(ctx, invocation{command: "sbatch", args: append(s.options(sub), "--test-only"), stdin: s.script(sub, nil)})
	said = startsAt.ReplaceAllStringFunc(oneLine(said), func(seconds string) string { return at(seconds).Format(time.RFC3339) })
	return found("submitting a pilot", strings.TrimPrefix(said, "sbatch: "), err)
}

var startsAt = regexp.MustCompile(`\b[0-9]{10}\b`)

// networked are file systems that nodes usually share.
var networked = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", 0x0BD00BD0: "Lustre", 0x47504653: "GPFS", unix.CEPH_SUPER_MAGIC: "CephFS", 0x19830326: "BeeGFS",
	unix.AFS_FS_MAGIC: "AFS", unix.SMB2_SUPER_MAGIC: "SMB", 0xAAD7AAEA: "PanFS", 0x65735546: "FUSE",
}

// checkFolder tries to write where pilots leave their output. Whether nodes see the same folder, only a job can tell.
func checkFolder(dir string) harvester.Finding {
	what := "pilots' folder " + dir
	next := "set state to a folder that this user may write to and that the nodes see"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return found(what, "", exitcode.WithNext(err, next))
	}
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return found(what, "", exitcode.WithNext(err, next))
	}
	_, err = f.Write(make([]byte, 4096)) // a full disk takes the name
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	var fs unix.Statfs_t
	if serr := unix.Statfs(dir, &fs); err == nil && serr != nil {
		err = serr
	}
	if err != nil {
		return found(what, "", exitcode.WithNext(err, next))
	}
	detail := "writable, on a disk of this machine; a pilot on a node that does not see it fails at once, and says so"
	if name, ok := networked[int64(fs.Type)]; ok { //nolint:unconvert // the type differs between processors
		detail = "writable, on " + name + "; whether the nodes have it mounted, a pilot tells"
	}
	return found(what, detail, nil)
}
