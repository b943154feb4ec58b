package htcondor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// EventLog is the name of HTCondor's own log of a pilot, in its folder.
const EventLog = "htcondor.log"

// description is what condor_submit gets: a text of NAME = VALUE lines.
func (s *System) description(sub harvester.Submission) (string, error) {
	d := &lines{}
	transfer := s.cfg.Transfer || sub.Ship || s.grid()
	s.describeJob(d, sub)
	s.describeFiles(d, sub, transfer)
	s.describeRequest(d, sub)
	s.describeEnd(d, sub)
	for _, line := range s.cfg.Submit {
		d.raw(line)
	}
	d.raw("queue " + strconv.Itoa(sub.Count))
	return d.text()
}

func (s *System) grid() bool { return s.cfg.GridResource != "" }

// describeJob says what is run.
func (s *System) describeJob(d *lines, sub harvester.Submission) {
	if !s.grid() {
		d.set("universe", "vanilla")
	} else {
		d.set("universe", "grid")
		d.set("grid_resource", s.cfg.GridResource)
		if s.cfg.TokenFile != "" {
			d.set("use_scitokens", "true")
			d.set("scitokens_file", s.cfg.TokenFile)
		}
	}
	d.set("batch_name", sub.Tag)
	d.set("My.TfpilotTag", `"`+sub.Tag+`"`)
	d.reference("My.TfpilotIndex", "$(Process)")
	d.set("My.TfpilotWallTime", seconds(sub.WallTime))
	d.set("notification", "never")
	d.set("executable", sub.Path)
	d.list("arguments", sub.Args)
	env := append([]string{}, sub.Env...)
	env = append(env, harvester.EnvBatchSystem+"=htcondor")
	if sub.WallTime > 0 {
		env = append(env, harvester.EnvWallTime+"="+sub.WallTime.String())
	}
	d.list("environment", env,
		harvester.EnvBatchID+"=$(Cluster).$(Process)", harvester.EnvWorkerID+"="+sub.Tag+".$(Process)")
}

// describeFiles says where its files are.
func (s *System) describeFiles(d *lines, sub harvester.Submission, transfer bool) {
	d.reference("initialdir", escape(filepath.Join(sub.Dir, sub.Tag))+".$(Process)")
	d.set("output", harvester.StdoutFile)
	d.set("error", harvester.StderrFile)
	d.set("log", EventLog)
	if !sub.Ship {
		d.set("transfer_executable", "false")
	}
	if !transfer {
		d.set("should_transfer_files", "NO")
		return
	}
	d.set("should_transfer_files", "YES")
	d.set("when_to_transfer_output", "ON_EXIT_OR_EVICT")
	d.set("transfer_output_files", `""`) // else everything that it leaves in its folder
	if !s.grid() {
		d.set("stream_output", "true")
		d.set("stream_error", "true")
	}
	if sub.Ship && len(sub.Files) > 0 {
		for _, f := range sub.Files {
			if strings.Contains(f, ",") {
				d.fail("%s: a comma in the name of a file that is shipped; rename it", f)
			}
		}
		d.set("transfer_input_files", strings.Join(sub.Files, ", "))
	}
}

// describeRequest says what it needs of a machine.
func (s *System) describeRequest(d *lines, sub harvester.Submission) {
	if sub.Cores > 0 {
		d.set("request_cpus", strconv.Itoa(sub.Cores))
	}
	if sub.MemoryMB > 0 {
		d.set("request_memory", strconv.Itoa(sub.MemoryMB))
	}
	if sub.DiskMB > 0 {
		d.set("request_disk", strconv.Itoa(sub.DiskMB)+"MB")
	}
	if s.cfg.AccountingGroup != "" {
		d.set("accounting_group", s.cfg.AccountingGroup)
	}
	if s.cfg.AccountingUser != "" {
		d.set("accounting_group_user", s.cfg.AccountingUser)
	}
	if s.grid() { // in the words of a CE
		d.set("My.xcount", strconv.Itoa(max(sub.Cores, 1)))
		if sub.MemoryMB > 0 {
			d.set("My.maxMemory", strconv.Itoa(sub.MemoryMB))
		}
		if sub.WallTime > 0 {
			d.set("My.maxWallTime", strconv.Itoa(int((sub.WallTime+time.Minute-1)/time.Minute)))
		}
		return
	}
	var conditions []string
	if s.cfg.Requirements != "" {
		conditions = append(conditions, "("+s.cfg.Requirements+")")
	}
	if !s.cfg.Requeue {
		conditions = append(conditions, "(MY.NumShadowStarts =?= undefined || MY.NumShadowStarts == 0)")
	}
	for _, node := range sub.Exclude {
		if !nodeName.MatchString(node) {
			d.fail("%q is no name of a node", node)
		}
		// A slot's name ends with that of its node.
		conditions = append(conditions, fmt.Sprintf(`(substr(TARGET.Name, -%d) =!= "@%s")`, len(node)+1, node))
	}
	if len(conditions) > 0 {
		d.raw("requirements = " + strings.Join(conditions, " && "))
	}
}

// describeEnd says when and how it ends.
func (s *System) describeEnd(d *lines, sub harvester.Submission) {
	if !s.grid() {
		d.set("job_lease_duration", seconds(s.cfg.Lease))
		d.set("job_max_vacate_time", seconds(s.cfg.VacateTime))
	}
	remove := []string{
		"(JobStatus == 5 && " + ofItself + " && (" + lost + " || time() - EnteredCurrentStatus > " + seconds(s.cfg.HoldTime) + "))",
	}
	if !s.cfg.Requeue {
		remove = append(remove, "(JobStatus == 1 && NumShadowStarts > 0)")
	}
	if sub.WallTime > 0 {
		remove = append(remove, "(JobStatus == 2 && time() - "+runningSince+" > TfpilotWallTime)")
	}
	// An expression that is undefined would hold the job.
	d.set("periodic_remove", "("+strings.Join(remove, " || ")+") =?= true")
	d.set("leave_in_queue", "(JobStatus == 3 || JobStatus == 4) && time() - EnteredCurrentStatus < "+seconds(s.cfg.KeepTime))
}

const (
	// ofItself: neither a user holds it, nor is it held until its files are there.
	ofItself = "HoldReasonCode =!= 1 && HoldReasonCode =!= 15 && HoldReasonCode =!= 16"
	// lost: it has ended, for want of resources or time, and can only be removed.
	lost = "HoldReasonCode == 34 || HoldReasonCode == 46 || HoldReasonCode == 47"
	// runningSince also holds for what cannot tell when it began, as behind a CE.
	runningSince = "ifThenElse(JobCurrentStartExecutingDate =?= undefined, EnteredCurrentStatus, JobCurrentStartExecutingDate)"
)

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// lines collects the lines of a description, and the first thing that cannot be said in one.
type lines struct {
	b   strings.Builder
	err error
}

func (d *lines) fail(format string, args ...any) {
	if d.err == nil {
		d.err = exitcode.New(exitcode.BadConfig, format, args...)
	}
}

// set writes a value as it is.
func (d *lines) set(name, value string) { d.reference(name, escape(value)) }

// reference writes a value in which HTCondor's own references, such as $(Process), have their meaning.
func (d *lines) reference(name, value string) {
	if strings.ContainsAny(value, "\r\n") {
		d.fail("%s: HTCondor takes no line break", name)
	}
	if reserved.MatchString(value) {
		d.fail("%s: HTCondor takes $$( and $$[ for references to a machine", name)
	}
	d.raw(name + " = " + value)
}

// list writes arguments or an environment: separated by spaces, with quotes around what holds some. Those of referring are
// taken with their references.
func (d *lines) list(name string, values []string, referring ...string) {
	words := make([]string, 0, len(values)+len(referring))
	for _, v := range values {
		words = append(words, escape(quote(v)))
	}
	d.reference(name, `"`+strings.Join(append(words, referring...), " ")+`"`)
}

func (d *lines) raw(line string) { d.b.WriteString(line + "\n") }

func (d *lines) text() (string, error) { return d.b.String(), d.err }

// quote is a word of a list: single quotes where it needs them, and both kinds doubled.
func quote(word string) string {
	doubled := strings.ReplaceAll(word, `"`, `""`)
	if word != "" && !strings.ContainsAny(word, " \t'") {
		return doubled
	}
	return "'" + strings.ReplaceAll(doubled, "'", "''") + "'"
}

var (
	nodeName    = regexp.MustCompile(`^[\w.@-]+$`)
	referenceTo = regexp.MustCompile(`\$([A-Za-z_]*\()`)
	reserved    = regexp.MustCompile(`\$\$(\(|\[|[A-Za-z_]+\()`)
)

// escape keeps HTCondor from taking a dollar and a parenthesis for a reference; any other dollar is one.
func escape(value string) string {
	return referenceTo.ReplaceAllString(value, "$$(DOLLAR)$1")
}
