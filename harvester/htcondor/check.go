package htcondor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
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
		look("state folder", func() (string, error) { return s.cfg.Jobs, writable(s.cfg.Jobs) })
	}
	if s.cfg.TokenFile != "" {
		look("token for the CE", func() (string, error) { return s.cfg.TokenFile, s.checkToken() })
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

// checkToken looks whether the token for a CE is there.
func (s *System) checkToken() error {
	if s.cfg.TokenFile == "" {
		return nil
	}
	b, err := os.ReadFile(s.cfg.TokenFile)
	if err == nil && len(bytes.TrimSpace(b)) == 0 {
		err = fmt.Errorf("%s is empty", s.cfg.TokenFile)
	}
	if err == nil {
		return nil
	}
	return exitcode.WithNext(exitcode.New(exitcode.NoCredential, "the token for the CE: %w", err),
		"get one from your issuer into that file, or set token_file in the [htcondor] table")
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
	_, warnings, err := s.describe(ctx, text, "-dry-run", file, "-")
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
	a := analyze(out)
	if a.condition != "" && a.slots == 0 {
		return "", exitcode.WithNext(exitcode.New(exitcode.BatchRefused, "%s", a),
			"ask for less in [resources], or change requirements in the [htcondor] table; where the pool is only full, wait")
	}
	return a.String(), nil
}
