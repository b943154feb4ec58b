package nodetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/fitness"
)

// report is the line that a program prints.
type report struct {
	Found string `json:"found"`
	Next  string `json:"next"`
}

// The exit statuses of a program.
const (
	statusGood    = 0
	statusBad     = 1
	statusUnknown = 2
)

// atOnce is how many of the site's programs run at the same time.
const atOnce = 4

// programs runs the site's tests.
func (t *Tests) programs(ctx context.Context, calm bool, s sight) []fitness.Finding {
	findings := make([]fitness.Finding, len(s.programs))
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, path := range s.programs {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			findings[i] = t.program(ctx, calm, path)
		})
	}
	all.Wait()
	return append(findings, s.broken...)
}

// program runs one.
func (t *Tests) program(ctx context.Context, calm bool, path string) fitness.Finding {
	began := time.Now()
	env := scrubbed(append([]string{
		"TFPILOT_NODE_TEST=1", "TFPILOT_WORK_DIR=" + t.places.WorkDir,
		"TFPILOT_NODE_LIMIT=" + strconv.FormatFloat(t.cfg.Limit.Seconds(), 'f', -1, 64),
	}, t.places.Env...)...)
	var o outcome
	err := errHangs
	if about := aboutProgram(path); !t.hangs(about) {
		if o, err = t.child(ctx, nil, env, childStart, calmWord(calm), path); o.stuck != nil {
			t.giveUp(o.stuck, about)
		}
	}
	f := t.verdict(path, o, err)
	f.Test, f.Seconds = filepath.Base(path), time.Since(began).Seconds()
	return f
}

// verdict reads how a program ended. Whatever is none of its three answers says nothing good of the node.
func (t *Tests) verdict(path string, o outcome, err error) fitness.Finding {
	switch {
	case errors.Is(err, errHangs):
		return bad("run "+path+" by hand on this node; --node-limit is its time", fmt.Sprintf("did not end within %s and was killed", t.cfg.Limit))
	case err != nil:
		return failed(err)
	}
	line, isReport := firstLine(o.stdout.String())
	found, byHand := line.Found, "run "+path+" by hand on this node"
	switch dropped := o.stdout.Dropped(); {
	case dropped > 0 && isReport:
		found += fmt.Sprintf(" (and it printed %s more)", size(dropped))
	case dropped > 0:
		found = fmt.Sprintf("printed no JSON line on stdout, but %s", size(dropped))
	case !isReport:
		found = "printed no JSON line on stdout; " + said(o)
	}
	found = oneLine(found)
	switch {
	case o.Signal != "":
		return bad(byHand, fmt.Sprintf("ended by a signal (%s); %s", o.Signal, found))
	case o.ExitCode == statusGood && isReport:
		return good(found)
	case o.ExitCode == statusGood:
		return fitness.Finding{Verdict: fitness.OK, Found: found, Next: "have it print one line such as " + example}
	case o.ExitCode == statusBad:
		return bad(cmp.Or(oneLine(line.Next), byHand), found)
	case o.ExitCode == statusUnknown:
		return unknown(oneLine(line.Next), found)
	default:
		return bad("have it end with 0 for good, 1 for bad, 2 for cannot tell", fmt.Sprintf("ended with status %d, which is none of 0, 1 and 2; %s", o.ExitCode, found))
	}
}

const example = `{"found":"scratch is there"}`

// firstLine is the first line that is a report; ok is false when there is none.
func firstLine(text string) (r report, ok bool) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &r) == nil && r.Found != "" {
			return r, true
		}
	}
	return report{}, false
}

// said is the last that a child had to say.
func said(o outcome) string {
	for _, c := range []string{o.stderr.String(), o.stdout.String()} {
		lines := strings.Split(strings.TrimSpace(c), "\n")
		if last := oneLine(lines[len(lines)-1]); last != "" {
			return fmt.Sprintf("its last line is %.160q", last)
		}
	}
	return "it printed nothing at all"
}
