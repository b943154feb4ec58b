package slurm

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// queueFormat is what squeue prints of a job: each field padded to its width, with a bar at its end, which no field before the
// last three can hold. Times are seconds (SLURM_TIME_FORMAT).
const queueFormat = "ArrayJobID:20|,ArrayTaskID:12|,State:20|,exit_code:12|,RestartCnt:8|,SubmitTime:16|,StartTime:16|,EndTime:16|,Name:64|,NodeList:64|,Reason:64|"

// historyFormat is what sacct prints.
const historyFormat = "JobID,State,ExitCode,Submit,Start,End,JobName,NodeList,Reason"

// maxRecord bounds what squeue says of one job: its fields have a width.
const maxRecord = 4096

var (
	number    = regexp.MustCompile(`^[0-9]{1,18}$`)
	taskID    = regexp.MustCompile(`^([0-9]{1,18})_([0-9]{1,9})$`)
	arrayID   = regexp.MustCompile(`^[0-9]{1,18}$`)
	taskRange = regexp.MustCompile(`^([0-9]{1,18})_\[([0-9,-]+)(?:%[0-9]+)?\]$`)
)

// queueFields is how many fields that makes, with the nothing after the last bar.
const queueFields = 12

// parseQueue reads what squeue prints in queueFormat and keeps the tasks of our arrays. rests is how it ended with those tasks of
// an array that Slurm does not name: all that were cancelled before they started are one record without numbers.
func parseQueue(text string) (jobs []harvester.Job, rests map[string]harvester.Status, err error) {
	rests = map[string]harvester.Status{}
	record := ""
	for part := range strings.Lines(text) {
		record += part
		f := strings.Split(strings.TrimRight(record, "\n"), "|")
		if len(f) < queueFields && len(record) < maxRecord {
			continue // the name of somebody's job has a line break in it
		}
		line := record
		record = ""
		if len(f) < queueFields || !number.MatchString(strings.TrimSpace(f[0])) {
			return nil, nil, unreadable("squeue", line)
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		if !harvester.IsTag(f[8]) {
			continue
		}
		code, signal, ok := exitStatus(f[3])
		index, err := strconv.Atoi(f[1])
		if err != nil {
			// A job of that name that is alive and no array is none of ours.
			if st := status(f[2], f[10], code, signal, f[9] != ""); ok && st.State == harvester.Ended {
				st.QueuedAt, st.EndedAt = at(f[5]), at(f[7])
				rests[f[0]] = st
			}
			continue
		}
		restarts, err := strconv.Atoi(f[4])
		if !ok || err != nil || !taskID.MatchString(f[0]+"_"+f[1]) {
			return nil, nil, unreadable("squeue", line)
		}
		j := harvester.Job{ID: f[0] + "_" + f[1], Tag: f[8], Index: index}
		j.Status = status(f[2], f[10], code, signal, f[9] != "")
		j.Node, j.Starts, j.QueuedAt = f[9], restarts, at(f[5])
		if j.Node != "" && j.State != harvester.Queued && j.State != harvester.Held {
			j.Starts++
			j.StartedAt = at(f[6]) // before it starts that is a guess
		}
		switch j.State {
		case harvester.Running, harvester.Suspended:
			j.EndsAt = at(f[7])
		case harvester.Ended, harvester.Ending:
			j.EndedAt = at(f[7])
		default:
		}
		jobs = append(jobs, j)
	}
	if record != "" {
		return nil, nil, unreadable("squeue", record)
	}
	return jobs, rests, nil
}

// parseHistory reads what sacct prints in historyFormat, and keeps what has ended of the tasks that were asked for.
func parseHistory(text string, ids []string) (map[string]harvester.Status, error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	got, whole := map[string]harvester.Status{}, map[string]harvester.Status{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		f := strings.SplitN(line, "|", 9)
		if len(f) != 9 {
			return nil, unreadable("sacct", line)
		}
		// An id without a task is an array of which accounting has not yet heard all, or never will: it was cancelled before it
		// had. One that is not ours had the number before.
		tasks := tasksOf(f[0], wanted)
		if len(tasks) == 0 && !arrayID.MatchString(f[0]) || !harvester.IsTag(f[6]) {
			continue
		}
		code, signal, ok := exitStatus(f[2])
		if !ok {
			return nil, unreadable("sacct", line)
		}
		word, by, _ := strings.Cut(f[1], " by ") // CANCELLED by 1001
		node := f[7]
		if node == "None assigned" {
			node = ""
		}
		st := status(word, f[8], code, signal, node != "")
		if st.State != harvester.Ended {
			continue
		}
		if by != "" {
			st.Reason += " by user " + by
		}
		st.Node, st.QueuedAt, st.EndedAt = node, at(f[3]), at(f[5])
		if st.EndedAt.IsZero() {
			continue // for a moment accounting has the state of the end and not yet its time and exit status
		}
		if node != "" {
			st.Starts, st.StartedAt = 1, at(f[4])
		}
		if len(tasks) == 0 && st.StartedAt.IsZero() && st.Cause.Code == exitcode.Cancelled.Code {
			whole[f[0]] = st
		}
		for _, id := range tasks {
			got[id] = st
		}
	}
	for _, id := range ids { // what is said of a task itself goes before
		array, _, _ := strings.Cut(id, "_")
		if st, cancelled := whole[array]; cancelled && taskID.MatchString(id) {
			if _, own := got[id]; !own {
				got[id] = st
			}
		}
	}
	return got, nil
}

// tasksOf are the wanted tasks that an id of sacct means: 12_3, or 12_[1,4-7%2] for several that never started.
func tasksOf(id string, wanted map[string]bool) []string {
	if wanted[id] {
		return []string{id}
	}
	m := taskRange.FindStringSubmatch(id)
	if m == nil {
		return nil
	}
	var tasks []string
	for w := range wanted { // not the range, which may be long
		t := taskID.FindStringSubmatch(w)
		if t == nil || t[1] != m[1] {
			continue
		}
		index, _ := strconv.Atoi(t[2])
		for part := range strings.SplitSeq(m[2], ",") {
			low, high, isRange := strings.Cut(part, "-")
			if !isRange {
				high = low
			}
			from, err1 := strconv.Atoi(low)
			to, err2 := strconv.Atoi(high)
			if err1 == nil && err2 == nil && from <= index && index <= to {
				tasks = append(tasks, w)
				break
			}
		}
	}
	return tasks
}

// exitStatus reads 3:0 (status and signal), or the raw status of wait(2), as squeue of 22.05 prints it.
func exitStatus(text string) (code, signal int, ok bool) {
	first, second, both := strings.Cut(text, ":")
	n, err := strconv.Atoi(first)
	if err != nil || n < 0 {
		return 0, 0, false
	}
	if !both {
		if signal = n & 0x7f; signal == 0 {
			code = n >> 8 & 0xff
		}
		return code, signal, true
	}
	signal, err = strconv.Atoi(second)
	return n, signal, err == nil && signal >= 0
}

// at is a time in seconds; zero for N/A, Unknown, None and the like.
func at(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func unreadable(command, line string) error {
	if len(line) > 400 {
		line = line[:400] + "..."
	}
	return exitcode.WithNext(exitcode.New(exitcode.NoBatch, "%s printed a line that is not of the form asked for: %q", command, line),
		"see whether "+command+" is a site's own script; bin in the [slurm] table can name another folder")
}
