package nodetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
)

// request is what a child of the kind look is asked, on its stdin.
type request struct {
	Folders   []folder `json:"folders"`
	MinBytes  int64    `json:"min_bytes"`
	MinInodes int64    `json:"min_inodes"`
	CVMFS     []string `json:"cvmfs"`
	Programs  []string `json:"programs"`
	Tools     []string `json:"tools"`
	Userns    bool     `json:"userns"`
	GPU       bool     `json:"gpu"`
}

type folder struct {
	Test string `json:"test"`
	Path string `json:"path"`
}

// answer is a line that it prints as soon as it knows one of them: what it has not answered hangs.
type answer struct {
	// About is the key of what was asked.
	About    string            `json:"about"`
	Findings []fitness.Finding `json:"findings,omitempty"`
	Paths    []string          `json:"paths,omitempty"`
	Error    string            `json:"error,omitempty"`
}

// Keys of the questions.
func aboutFolder(f folder) string { return "folder " + f.Path }
func aboutCVMFS(r string) string  { return "cvmfs " + r }
func aboutProgram(p string) string {
	return "program " + p
}

const (
	aboutTools  = "tools"
	aboutUserns = "userns"
	aboutGPU    = "gpu"
)

// sight is what a look has come to.
type sight struct {
	folders, cvmfs, userns, gpu []fitness.Finding
	programs                    []string
	broken                      []fitness.Finding // programs that were not found
	tools                       []string          // paths of programs
	toolsHang                   bool
}

// look asks a child about everything that lies on a file system.
func (t *Tests) look(ctx context.Context, calm, all bool) sight {
	q := request{
		Folders: []folder{{testWork, t.places.WorkDir}}, MinBytes: int64(t.cfg.MinDiskMB) << 20, MinInodes: int64(t.cfg.MinInodes),
		CVMFS: t.cfg.CVMFS, Programs: t.cfg.Programs,
		Userns: all || t.needed(testUserns), GPU: all || t.needed(testGPU),
	}
	if t.places.JournalDir != "" && t.places.JournalDir != t.places.WorkDir {
		q.Folders = append(q.Folders, folder{testJournal, t.places.JournalDir})
	}
	if all || t.needed(testContainer) {
		q.Tools = append(q.Tools, runtimes()...)
	}
	if q.GPU {
		q.Tools = append(q.Tools, smi)
	}
	answers, why := t.ask(ctx, calm, q)
	return t.gather(q, answers, why)
}

// ask returns the answers by their keys, and what is to be said of those that are missing.
func (t *Tests) ask(ctx context.Context, calm bool, q request) (answers map[string]answer, why fitness.Finding) {
	input, err := json.Marshal(t.without(q))
	if err != nil {
		return nil, failed(exitcode.Wrap(exitcode.Internal, err))
	}
	// It waits more than it works, and starts a fifth sooner with one thread of its own.
	o, err := t.child(ctx, input, scrubbed("GOMAXPROCS=1"), childLook, calmWord(calm))
	answers = map[string]answer{}
	for line := range strings.Lines(o.stdout.String()) {
		var a answer
		if json.Unmarshal([]byte(line), &a) == nil {
			answers[a.About] = a
		}
	}
	if o.stuck != nil {
		for _, about := range q.abouts() {
			if _, ok := answers[about]; !ok {
				t.giveUp(o.stuck, about)
			}
		}
	}
	switch {
	case err == nil && o.ExitCode != 0:
		why = unknown("look at the memory and process limits of the slot", "the child that looks ended early: "+said(o))
	case err == nil, errors.Is(err, errHangs): // or it was not asked because it still hangs
		why = bad("look at the file server or the mount; `ls` of it hangs too", fmt.Sprintf("no answer within %s: the file system hangs", t.cfg.Limit))
	default:
		why = failed(err)
	}
	return answers, why
}

// abouts are the keys of all questions.
func (q request) abouts() (keys []string) {
	for _, f := range q.Folders {
		keys = append(keys, aboutFolder(f))
	}
	for _, r := range q.CVMFS {
		keys = append(keys, aboutCVMFS(r))
	}
	for _, p := range q.Programs {
		keys = append(keys, aboutProgram(p))
	}
	return append(keys, aboutTools, aboutUserns, aboutGPU)
}

// without leaves out what hung in a child that is still there.
func (t *Tests) without(q request) request {
	q.Folders = slices.DeleteFunc(slices.Clone(q.Folders), func(f folder) bool { return t.hangs(aboutFolder(f)) })
	q.CVMFS = slices.DeleteFunc(slices.Clone(q.CVMFS), func(r string) bool { return t.hangs(aboutCVMFS(r)) })
	q.Programs = slices.DeleteFunc(slices.Clone(q.Programs), func(p string) bool { return t.hangs(aboutProgram(p)) })
	if t.hangs(aboutTools) {
		q.Tools = nil
	}
	q.Userns = q.Userns && !t.hangs(aboutUserns)
	q.GPU = q.GPU && !t.hangs(aboutGPU)
	return q
}

// gather makes findings of the answers, and of those that are missing.
func (t *Tests) gather(q request, answers map[string]answer, why fitness.Finding) (s sight) {
	take := func(test, about, subject string) []fitness.Finding {
		a, ok := answers[about]
		if ok {
			return a.Findings
		}
		f := why
		f.Test, f.Found = test, subject+": "+f.Found
		return []fitness.Finding{f}
	}
	for _, f := range q.Folders {
		s.folders = append(s.folders, take(f.Test, aboutFolder(f), f.Path)...)
	}
	for _, r := range q.CVMFS {
		s.cvmfs = append(s.cvmfs, take(testCVMFS, aboutCVMFS(r), cvmfsPath(r))...)
	}
	for _, p := range q.Programs {
		a, ok := answers[aboutProgram(p)]
		switch {
		case !ok:
			s.broken = append(s.broken, take(filepath.Base(p), aboutProgram(p), p)...)
		case a.Error != "":
			f := bad("mend the path that --node-test names", a.Error)
			f.Test = filepath.Base(p)
			s.broken = append(s.broken, f)
		default:
			s.programs = append(s.programs, a.Paths...)
		}
	}
	if q.Userns {
		s.userns = take(testUserns, aboutUserns, "user namespaces")
	}
	if q.GPU {
		s.gpu = take(testGPU, aboutGPU, "/dev")
	}
	tools, ok := answers[aboutTools]
	s.tools, s.toolsHang = tools.Paths, !ok && len(q.Tools) > 0
	return s
}

func cvmfsPath(repository string) string {
	if filepath.IsAbs(repository) {
		return repository
	}
	return filepath.Join("/cvmfs", repository)
}

func calmWord(calm bool) string {
	if calm {
		return "calm"
	}
	return "now"
}
