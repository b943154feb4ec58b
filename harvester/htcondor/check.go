package htcondor

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// Check looks at the commands, the schedd and our rights there, tries the submit description, asks whether any machine could run
// it, and whether the state folder can be written to. It stops where the rest cannot be looked at.
func (s *System) Check(ctx context.Context) []harvester.Finding {
	var found []harvester.Finding
	look := func(what string, find func() (string, error)) bool {
		detail, err := find()
		f := harvester.Finding{What: what, OK: err == nil, Detail: detail}
		if err != nil {
			f.Detail, f.Next = err.Error(), exitcode.Next(err)
		}
		found = append(found, f)
		return f.OK
	}
	if s.cfg.Jobs != "" {
		look("state folder", s.checkFolder)
	}
	if !look("HTCondor's commands", func() (string, error) { return s.checkVersion(ctx) }) ||
		!look("schedd", func() (string, error) { return s.checkSchedd(ctx) }) ||
		!look("right to submit", func() (string, error) { return s.checkRights(ctx) }) {
		return found
	}
	var text []byte
	if look("submit description", func() (detail string, err error) {
		detail, text, err = s.dryRun(ctx)
		return detail, err
	}) && !s.grid() {
		look("machines", func() (string, error) { return s.checkMachines(ctx, text) })
	}
	return found
}

func (s *System) checkFolder() (string, error) {
	if err := os.MkdirAll(s.cfg.Jobs, 0o700); err != nil {
		return "", noFolder(err)
	}
	f, err := os.CreateTemp(s.cfg.Jobs, ".check-")
	if err != nil {
		return "", noFolder(err)
	}
	_, err = f.WriteString("tfpilot")
	if err2 := f.Close(); err == nil {
		err = err2
	}
	_ = os.Remove(f.Name())
	if err != nil {
		return "", noFolder(err)
	}
	return s.cfg.Jobs, nil
}

var versionLine = regexp.MustCompile(`\$CondorVersion: (\S+)`)

func (s *System) checkVersion(ctx context.Context) (string, error) {
	out, err := s.run(ctx, "condor_version")
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", exitcode.WithNext(exitcode.New(exitcode.NoBatch, "condor_version printed %q", excerpt(out)), "set bin in the [htcondor] table to the folder of HTCondor's commands")
	}
	return "version " + string(m[1]), nil
}

func (s *System) checkSchedd(ctx context.Context) (string, error) {
	out, err := s.run(ctx, "condor_q", s.where("-totals")...)
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(out) {
		if name, ok := strings.CutPrefix(string(line), "-- Schedd: "); ok {
			name, _, _ = strings.Cut(name, " ")
			return name + " answers", nil
		}
	}
	return "it answers", nil
}

func (s *System) checkRights(ctx context.Context) (string, error) {
	out, err := s.run(ctx, "condor_ping", s.where("-type", "schedd", "WRITE")...)
	if err != nil {
		return "", exitcode.WithNext(err, nextRights)
	}
	return excerpt(out), nil
}

// dryRun has condor_submit make a job of the description without submitting it. What it does not know, it warns of.
func (s *System) dryRun(ctx context.Context) (detail string, ad []byte, err error) {
	text, err := s.description(harvester.Submission{
		Tag: harvester.TagPrefix + "check", Count: 1, Dir: s.cfg.Jobs, Path: "/bin/true", Resources: s.cfg.Resources,
	})
	if err != nil {
		return "", nil, err
	}
	// The folder of a pilot is made for a submission only, and is not what is looked at.
	text = folderLine.ReplaceAllString(text, "initialdir = /")
	file, err := s.scratch()
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = os.Remove(file) }()
	_, warnings, err := s.feed(ctx, text, "condor_submit", s.where("-dry-run", file, "-")...)
	if err != nil {
		return "", nil, exitcode.WithNext(err, "mend what it names: requirements, accounting_group, grid_resource and submit in the [htcondor] table are the site's own")
	}
	if ad, err = os.ReadFile(file); err != nil {
		return "", nil, noFolder(err)
	}
	if unused := unusedLine.FindString(warnings); unused != "" {
		return "", ad, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "%s", unused), "mend or remove that line of submit in the [htcondor] table")
	}
	return "condor_submit takes it", ad, nil
}

var (
	folderLine = regexp.MustCompile(`(?m)^initialdir = .*$`)
	unusedLine = regexp.MustCompile(`the line '.*' was unused by condor_submit`)
)

// scratch is the name of a new file.
func (s *System) scratch() (string, error) {
	f, err := os.CreateTemp(s.cfg.Jobs, ".check-*.ad")
	if err != nil {
		return "", noFolder(err)
	}
	return f.Name(), f.Close()
}

// checkMachines has HTCondor try the job's conditions on the machines of the pool.
func (s *System) checkMachines(ctx context.Context, ad []byte) (string, error) {
	file, err := s.scratch()
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(file) }()
	if err := os.WriteFile(file, ad, 0o600); err != nil {
		return "", noFolder(err)
	}
	var pool []string
	if s.cfg.Pool != "" {
		pool = []string{"-pool", s.cfg.Pool}
	}
	out, err := s.run(ctx, "condor_q", append(pool, "-better-analyze", "-jobads", file)...)
	if err != nil {
		return "", err
	}
	slots, condition := analysis(out)
	switch {
	case condition == "":
		return "HTCondor does not say what fits", nil
	case slots == 0:
		return "", exitcode.WithNext(exitcode.New(exitcode.BatchRefused, "no slot fulfils %s", condition),
			"ask for less in [resources], or change requirements in the [htcondor] table")
	default:
		return strconv.Itoa(slots) + " slots fulfil what a pilot asks for", nil
	}
}

var (
	stepLine  = regexp.MustCompile(`^\[\d+\]\s+(\d+)\s+(.+)$`)
	valueLine = regexp.MustCompile(`^ {4}(\w+) = (.+)$`)
)

// analysis reads what condor_q -better-analyze says of a job: how many slots fulfil the condition that the fewest do, and that
// condition with the values of the job in it. There is none when nothing could be analysed.
func analysis(out []byte) (slots int, condition string) {
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if m := valueLine.FindStringSubmatch(lines.Text()); m != nil && values[m[1]] == "" {
			values[m[1]] = m[2]
		}
		m := stepLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err == nil && (condition == "" || n < slots) {
			slots, condition = n, m[2]
		}
	}
	for name, value := range values {
		if strings.Contains(condition, name) && name != condition {
			return slots, condition + ", where " + name + " = " + value
		}
	}
	return slots, condition
}
