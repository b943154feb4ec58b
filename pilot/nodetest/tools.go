package nodetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/fitness"
)

// smi is the tool that speaks with the driver of a GPU.
const smi = "nvidia-smi"

// runtime is how a container runtime is asked whether it works here, without an image.
type runtime struct {
	name string
	args []string
}

// inOrder are the runtimes, the ones for batch nodes first.
var inOrder = []runtime{
	{"apptainer", []string{"version"}},
	{"singularity", []string{"version"}},
	{"podman", []string{"info", "--format", "{{.Host.OCIRuntime.Name}}"}},
	{"docker", []string{"info", "--format", "{{.ServerVersion}}"}},
	{"bwrap", []string{"--ro-bind", "/", "/", "--dev", "/dev", "true"}},
}

func runtimes() []string {
	var names []string
	for _, r := range inOrder {
		names = append(names, r.name)
	}
	return names
}

// tools tests what payloads need of the node beside its disks.
func (t *Tests) tools(ctx context.Context, calm, all bool, s sight) []fitness.Finding {
	var findings []fitness.Finding
	add := func(f fitness.Finding) { findings = append(findings, t.soften(f)) }
	if all || t.needed(testContainer) {
		began := time.Now()
		f := t.container(ctx, calm, s)
		f.Test, f.Seconds = testContainer, time.Since(began).Seconds()
		add(f)
	}
	for _, f := range s.userns {
		add(f)
	}
	for _, f := range s.gpu {
		began := time.Now()
		if f.Verdict == fitness.OK {
			f = t.driver(ctx, calm, s, f)
			f.Seconds = time.Since(began).Seconds()
		}
		add(f)
	}
	return findings
}

// container has the runtimes that there are do something, until one works.
func (t *Tests) container(ctx context.Context, calm bool, s sight) fitness.Finding {
	if s.toolsHang {
		return bad("look at the folders of PATH: one of them is on a file system that hangs", "looking for a container runtime hangs")
	}
	var broken []string
	for _, r := range inOrder {
		path := pathOf(s.tools, r.name)
		if path == "" {
			continue
		}
		text, err := t.tool(ctx, calm, path, r.args...)
		if err == nil {
			return good(oneLine(path + " works " + text))
		}
		broken = append(broken, r.name+": "+err.Error())
	}
	if len(broken) > 0 {
		return bad("run it by hand as the pilot's user", oneLine(strings.Join(broken, "; ")))
	}
	return bad("install apptainer, or put the one that is there into PATH", "no container runtime in PATH: none of "+strings.Join(runtimes(), ", "))
}

// driver asks the driver of the GPUs, where its tool is there.
func (t *Tests) driver(ctx context.Context, calm bool, s sight, devices fitness.Finding) fitness.Finding {
	path := pathOf(s.tools, smi)
	if path == "" {
		return devices
	}
	text, err := t.tool(ctx, calm, path, "-L")
	if err != nil {
		f := bad("drain the node and reset its GPUs or its driver", smi+" -L: "+oneLine(err.Error()))
		f.Test = testGPU
		return f
	}
	devices.Found = oneLine(text)
	return devices
}

// tool runs a tool of others, bounded as a test is.
func (t *Tests) tool(ctx context.Context, calm bool, path string, args ...string) (string, error) {
	if t.hangs(aboutProgram(path)) {
		return "", errors.New("it still hangs")
	}
	o, err := t.child(ctx, nil, scrubbed(), append([]string{childStart, calmWord(calm), path}, args...)...)
	if o.stuck != nil {
		t.giveUp(o.stuck, aboutProgram(path))
	}
	switch {
	case errors.Is(err, errHangs):
		return "", errors.New("it did not end within " + t.cfg.Limit.String())
	case err != nil:
		return "", err
	case o.ExitCode != 0:
		if r, ok := firstLine(o.stdout.String()); ok {
			return "", errors.New(r.Found)
		}
		return "", errors.New("it failed; " + said(o))
	}
	return o.stdout.String(), nil
}

func pathOf(paths []string, name string) string {
	i := slices.IndexFunc(paths, func(p string) bool { return filepath.Base(p) == name })
	if i < 0 {
		return ""
	}
	return paths[i]
}

// slotHasGPU says that the batch system has given this slot a GPU.
func slotHasGPU() bool {
	return slices.ContainsFunc([]string{"SLURM_JOB_GPUS", "_CONDOR_AssignedGPUs", "CUDA_VISIBLE_DEVICES"}, func(key string) bool {
		value := os.Getenv(key)
		return value != "" && !slices.Contains([]string{"none", "void", "NoDevFiles", "undefined", "-1", "10000"}, value) // how they say none
	})
}
