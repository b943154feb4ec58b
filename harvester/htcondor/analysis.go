package htcondor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// analysis is what HTCondor finds when it tries a job's conditions on all slots: how many fulfil the condition that the fewest
// do, and that condition with the job's values in it. Without one there was nothing to find.
type analysis struct {
	slots     int
	condition string
}

func (a analysis) String() string {
	switch {
	case a.condition == "":
		return "HTCondor does not say which slots fulfil what a pilot asks for"
	case a.slots == 0:
		return "no slot fulfils now: " + a.condition
	default:
		return fmt.Sprintf("%d slots fulfil what a pilot asks for", a.slots)
	}
}

var (
	stepLine  = regexp.MustCompile(`^(\[\d+\])\s+(\d+)\s+(.+)$`)
	stepOf    = regexp.MustCompile(`\[\d+\]`)
	valueLine = regexp.MustCompile(`^ {4}(\w+) = (.+)$`)
)

// analyze reads what condor_q -better-analyze prints of a job: numbered conditions with the slots that fulfil each. One may name
// others, as "[0] || [3]": then they are parts of it, and need not hold of any slot.
func analyze(out []byte) analysis {
	type step struct {
		analysis
		part bool
	}
	var steps []step
	place := map[string]int{}
	var values [][]string
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if m := valueLine.FindStringSubmatch(lines.Text()); m != nil {
			values = append(values, m)
		}
		m := stepLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		first := len(steps)
		whole := stepOf.ReplaceAllStringFunc(m[3], func(part string) string {
			i, known := place[part]
			if !known {
				return part
			}
			first = min(first, i)
			return "(" + steps[i].condition + ")"
		})
		// What it is made of stands before it, also what HTCondor leaves out of the names.
		for i := first; i < len(steps); i++ {
			steps[i].part = true
		}
		place[m[1]] = len(steps)
		steps = append(steps, step{analysis: analysis{n, whole}})
	}
	var a analysis
	for _, s := range steps {
		if !s.part && (a.condition == "" || s.slots < a.slots) {
			a = s.analysis
		}
	}
	for _, v := range values {
		if strings.Contains(a.condition, v[1]) {
			a.condition += ", where " + v[1] + " = " + v[2]
			break
		}
	}
	return a
}

const (
	// patience is how long a job may wait before it is asked why; again is when it is asked anew.
	patience = time.Minute
	again    = 10 * time.Minute
)

// waiting remembers why submissions wait: asking is dear, and the answer seldom changes.
type waiting struct {
	mu  sync.Mutex
	why map[number]reason // of a cluster, all of whose jobs ask for the same
}

type reason struct {
	text string
	at   time.Time
}

// explain asks HTCondor about at most one of the jobs that found no machine for a while, and puts what is known into all.
func (s *System) explain(ctx context.Context, ads []ad, now time.Time) {
	s.waiting.mu.Lock()
	defer s.waiting.mu.Unlock()
	known := map[number]reason{}
	asked := false
	for i := range ads {
		a := &ads[i]
		if !a.unmatched() || now.Sub(at(a.QueuedAt)) < patience {
			continue
		}
		r, done := known[a.ClusterID]
		if !done {
			r = s.waiting.why[a.ClusterID]
		}
		if !asked && now.Sub(r.at) >= again {
			asked = true
			r = reason{at: now}
			if out, err := s.run(ctx, "condor_q", s.where("-better-analyze", a.id())...); err == nil { // else what the job itself says has to do
				r.text = analyze(out).String()
			}
		}
		known[a.ClusterID] = r
		a.why = r.text
	}
	s.waiting.why = known // what waits no more is forgotten
}
